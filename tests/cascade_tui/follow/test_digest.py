"""What is kept of a long log for the next visit: the same as reading it all, or not believed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from cascade_tui.follow import follower
from cascade_tui.follow.digest import digest_folder, load_digest
from cascade_tui.follow.follower import RunFollower
from cascade_tui.follow.reader import METRICS, RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_step, write_run


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """A run with pictures, caches and problems, a gap, a jump, and two ways back."""
    run = write_run(tmp_path / "shiba", "running")
    with EventWriter(run.events) as events:
        for step in range(501, 700):
            emit_step(events, step, math.nan if step == 600 else 9.0 if step == 690 else 0.2)
        events.emit("rewind", step=650)
        for step in range(651, 900):
            emit_step(events, step, 0.1 + step / 9000)
        events.emit("validation", step=899, loss=0.3, bands=[0.1, 0.2, 0.3, 0.4], num_images=2)
        for step in range(880, 950):  # a crash went unrecorded
            emit_step(events, step, 0.1)
    return run


def read_all(reader: RunReader) -> RunSnapshot:
    while reader.poll() or reader.has_more:
        pass
    return reader.snapshot


def _until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.01)


def visited(run: RunDirectory) -> RunReader:
    reader = RunReader(run)
    read_all(reader)
    reader.save()
    return reader


def same(one: RunSnapshot, other: RunSnapshot) -> bool:
    for field in fields(RunSnapshot):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if field.name == "series":
            assert mine.keys() == theirs.keys()
            for name in mine:
                assert np.array_equal(mine[name].values(), theirs[name].values(), equal_nan=True)
                assert mine[name].last_step == theirs[name].last_step
                assert np.array_equal(
                    mine[name].columns(0, 1000, 37).high,
                    theirs[name].columns(0, 1000, 37).high,
                    equal_nan=True,
                )
        elif isinstance(mine, float):
            assert mine == pytest.approx(theirs, rel=1e-6), field.name
        elif field.name not in ("version", "health", "seconds_by_phase"):
            assert mine == theirs, field.name
    assert one.health.skipped_steps == other.health.skipped_steps
    assert one.health.checkpoint_bytes == other.health.checkpoint_bytes
    assert dict(one.seconds_by_phase) == pytest.approx(dict(other.seconds_by_phase))
    return True


def test_a_second_visit_knows_all_that_the_first_read_without_reading_it(run):
    first = visited(run)
    second = RunReader(run)
    assert second.restore()
    assert second.offset == run.events.stat().st_size
    second.look_around()
    assert same(second.snapshot, first.snapshot)
    assert first.snapshot.health.skipped_steps == (333, 600)


def test_what_was_written_since_is_read_on_as_if_nothing_had_been_kept(run):
    visited(run)
    with EventWriter(run.events) as events:
        events.emit("rewind", step=930)
        for step in range(931, 990):
            emit_step(events, step, 0.07)
        events.emit("phase", phase="validating", step=989)
    second = RunReader(run)
    assert second.restore()
    assert same(read_all(second), read_all(RunReader(run)))
    second.save()
    third = RunReader(run)
    assert third.restore()
    assert same(read_all(third), read_all(RunReader(run)))


def test_a_torn_last_line_is_not_part_of_it(run):
    whole = run.events.read_bytes()
    run.events.write_bytes(whole[:-10])
    visited(run)
    run.events.write_bytes(whole)
    second = RunReader(run)
    assert second.restore()
    assert same(read_all(second), read_all(RunReader(run)))


def _other_log(run: RunDirectory) -> None:
    content = run.events.read_bytes()
    run.events.write_bytes(content.replace(b'"loss": 0.1', b'"loss": 0.3'))


def _shorter_log(run: RunDirectory) -> None:
    run.events.write_bytes(run.events.read_bytes()[:3000])


def _part(run: RunDirectory, name: str) -> Path:
    [path] = digest_folder(run.events).glob(f"*/{name}")
    return path


def _damaged_head(run: RunDirectory) -> None:
    path = _part(run, "head.json")
    path.write_bytes(path.read_bytes()[:-100])


def _cut_off(run: RunDirectory) -> None:
    path = _part(run, "loss.npy")
    path.write_bytes(path.read_bytes()[:-100])


def _foreign(run: RunDirectory) -> None:
    _part(run, "lr.blocks.npy").write_text("not ours")


def _without_a_part(run: RunDirectory) -> None:
    _part(run, "steps.npy").unlink()


@pytest.mark.parametrize(
    "harm", [_other_log, _shorter_log, _damaged_head, _cut_off, _foreign, _without_a_part]
)
def test_one_that_does_not_hold_is_not_believed(run, harm):
    visited(run)
    harm(run)
    assert load_digest(run.events, METRICS) is None
    reader = RunReader(run)
    assert not reader.restore()
    assert same(read_all(reader), read_all(RunReader(run)))


def test_only_the_newest_is_kept(run):
    visited(run)
    with EventWriter(run.events) as events:
        emit_step(events, 950, 0.1)
    visited(run)
    assert len(list(digest_folder(run.events).iterdir())) == 1
    digest = load_digest(run.events, METRICS)
    assert digest is not None
    assert digest.offset == run.events.stat().st_size


def test_one_of_other_metrics_is_not_believed(run):
    visited(run)
    assert load_digest(run.events, [*METRICS, "further"]) is None


def test_a_viewer_keeps_what_it_read_of_a_long_log_and_writes_nothing_into_the_run(
    run, monkeypatch, cache
):
    monkeypatch.setattr(follower, "LONG_LOG_BYTES", 1000)
    before = {path: path.stat().st_mtime_ns for path in run.root.rglob("*")}
    seen: list[RunSnapshot] = []
    following = RunFollower(run, seen.append)
    following.start()
    _until(lambda: load_digest(run.events, METRICS) is not None)
    following.stop()
    assert {path: path.stat().st_mtime_ns for path in run.root.rglob("*")} == before
    assert {path.name for path in cache.rglob("*") if path.is_file()} == {
        "head.json",
        "journal.jsonl",
        "steps.npy",
        *(f"{name}{end}.npy" for name in METRICS for end in ("", ".blocks")),
    }


def test_where_nothing_can_be_kept_a_run_is_shown_all_the_same(run, monkeypatch, cache):
    cache.write_text("a file, where a folder is wanted")
    monkeypatch.setattr(follower, "LONG_LOG_BYTES", 1000)
    seen: list[RunSnapshot] = []
    following = RunFollower(run, seen.append)
    following.start()
    _until(lambda: any(snapshot.step == 949 for snapshot in seen))
    following.stop()
