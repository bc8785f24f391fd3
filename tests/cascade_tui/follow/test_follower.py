"""Reading a run directory as it grows."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest

from cascade_tui.follow.console import ConsoleTail, clean
from cascade_tui.follow.follower import RunFollower, preview_of
from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from engine.run.control import pending, send
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_start, emit_step, write_run


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def read_all(reader: RunReader) -> RunSnapshot:
    while reader.poll() or reader.has_more:
        pass
    return reader.snapshot


def test_a_whole_run_is_read(tmp_path: Path) -> None:
    snapshot = read_all(RunReader(write_run(tmp_path / "shiba", "running")))
    assert (snapshot.name, snapshot.state.name, snapshot.step) == ("shiba", "running", 500)
    assert snapshot.max_steps == 1000
    assert snapshot.eta_seconds == pytest.approx(500 * 1.28)
    assert len(snapshot.series["loss"]) == 500
    assert snapshot.prompts == ("portrait", "landscape", "product")
    assert snapshot.picture_steps == (100, 200, 300, 400, 500)
    assert snapshot.caches["text"].done == 4812
    assert snapshot.last_checkpoint == 500


def test_nothing_new_leaves_the_version(tmp_path: Path) -> None:
    reader = RunReader(write_run(tmp_path / "run", "finished"))
    version = read_all(reader).version
    assert not reader.poll()
    assert reader.snapshot.version == version


def test_non_finite_losses_become_gaps(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_step(writer, 1, math.nan)
        emit_step(writer, 2, math.inf)
        emit_step(writer, 3, 0.5)
    columns = read_all(RunReader(run)).series["loss"].columns(1, 3, 3)
    assert columns.gap.tolist() == [True, True, False]


def test_a_rewind_forgets_what_came_after(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        for step in range(1, 11):
            emit_step(writer, step, 1.0)
        writer.emit("rewind", step=4)
        emit_step(writer, 5, 2.0)
    series = read_all(RunReader(run)).series["loss"]
    assert (len(series), series.last_step, series.last) == (5, 5, 2.0)


def test_a_torn_last_line_waits_for_its_end(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_step(writer, 1, 1.0)
        emit_step(writer, 2, 1.0)
    content = run.events.read_bytes()
    run.events.write_bytes(content[:-10])
    reader = RunReader(run)
    assert read_all(reader).step == 1
    with run.events.open("ab") as file:
        file.write(content[-10:])
    assert read_all(reader).step == 2


def test_a_replaced_event_log_starts_a_new_snapshot_with_a_new_version(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_start(writer)
        emit_step(writer, 1, 1.0)
        emit_step(writer, 2, 1.0)
    reader = RunReader(run)
    before = read_all(reader)
    run.events.write_bytes(b"")
    assert reader.poll()
    assert reader.snapshot.version > before.version
    assert len(reader.snapshot.series["loss"]) == 0


def test_an_event_of_another_version_is_passed_over(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        writer.emit("step", loss="many")
        writer.emit("of the future", step=1)
        emit_step(writer, 1, 1.0)
    assert read_all(RunReader(run)).step == 1


def test_a_command_is_pending_until_it_is_acknowledged(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "running")
    reader = RunReader(run)
    identity = send(run, "checkpoint")
    assert [c.state for c in read_all(reader).commands] == ["pending"]
    pending(run)[0].path.unlink()
    with EventWriter(run.events) as writer:
        writer.emit("command", id=identity, command="checkpoint", state="done", step=500)
    assert [c.state for c in read_all(reader).commands] == ["done"]


def test_the_follower_sees_what_is_appended_while_it_runs(run: RunDirectory) -> None:
    arrived = threading.Condition()
    steps = [-1]

    def on_change(snapshot: RunSnapshot) -> None:
        with arrived:
            steps.append(snapshot.step)
            arrived.notify_all()

    follower = RunFollower(run, on_change)
    follower.start()
    with EventWriter(run.events) as writer:
        for step in (1, 2, 3):
            emit_step(writer, step, 1.0)
            with arrived:
                assert arrived.wait_for(lambda: steps[-1] == step, timeout=30)  # noqa: B023
    follower.stop()
    assert steps[1:] == sorted(steps[1:])


def test_the_console_tail_keeps_the_last_lines_as_a_terminal_shows_them(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\n10 %\r20 %\r30 %\n\x1b[31mred\x1b[0m\npart")
    tail = ConsoleTail(log, num_lines=3)
    assert tail.poll()
    assert tail.lines == ("30 %", "red", "part")
    with log.open("ab") as file:
        file.write(b"ial\n")
    assert tail.poll()
    assert tail.lines == ("30 %", "red", "partial")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"\x1b[1;31mred\x1b[0m", "red"),
        (b"\x1b]0;a title\x07text", "text"),
        (b"\x1b]8;;https://a.b\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b(Bplain\x1b[K", "plain"),
        (b"a\tb\x00\xff", "a    b\ufffd"),
        (b"10 %\r20 %\r", "20 %"),
    ],
)
def test_console_lines_lose_what_steers_a_terminal(line: bytes, shown: str) -> None:
    assert clean(line) == shown


def test_the_console_tail_of_a_large_log_is_whole_lines_of_its_end(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes((b"y" * 999 + b"\n") * 10_000 + b"last\n")
    tail = ConsoleTail(log)
    tail.poll()
    assert tail.lines[-1] == "last"
    assert {len(line) for line in tail.lines[:-1]} == {999}


def test_steps_read_together_keep_gaps_text_numbers_and_missing_values(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_step(writer, 1, math.nan, grad_norm=math.inf)
        emit_step(writer, 2, 0.5, lr=None)
        writer.emit("step", step=3, loss=0.25)
        writer.emit("step", step="three", loss=0.25)
        writer.emit("step", step=4, loss={"of": "another version"})
        emit_step(writer, 5, 0.75)
    snapshot = read_all(RunReader(run))
    loss = snapshot.series["loss"].columns(1, 5, 5)
    assert loss.gap.tolist() == [True, False, False, True, False]
    assert loss.mean[[1, 2, 4]].tolist() == [0.5, 0.25, 0.75]
    assert snapshot.series["lr"].columns(1, 5, 5).gap.tolist() == [False, True, True, True, False]
    assert snapshot.step == 5


def test_steps_that_come_again_without_a_rewind_replace_the_old(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        for step in (1, 2, 3, 4, 2, 3):
            emit_step(writer, step, float(step))
    series = read_all(RunReader(run)).series["loss"]
    assert (len(series), series.last_step) == (3, 3)


def test_events_of_another_version_are_passed_over(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_start(writer)
        writer.emit("cache", which="text")
        writer.emit("image", step="x")
        writer.emit("checkpoint", step=None)
        writer.emit("a kind to come", step=7)
        emit_step(writer, 1, 1.0)
    snapshot = read_all(RunReader(run))
    assert (snapshot.step, snapshot.caches, snapshot.pictures) == (1, {}, ())


def test_validation_losses_and_photographs_set_aside_are_kept(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        for name in ("a", "b"):
            writer.emit("quarantine", path=f"{name}.png", reason="truncated")
        writer.emit("validation", step=10, loss=0.5)
        writer.emit("validation", step=20, loss=0.25)
        writer.emit("rewind", step=10)
    snapshot = read_all(RunReader(run))
    assert [notice.message for notice in snapshot.notices] == [
        "set aside 2 of the photographs, the last b.png: truncated"
    ]
    assert snapshot.series["validation_loss"].last == 0.5


def test_training_without_a_step_for_long_is_said_in_minutes(tmp_path: Path) -> None:
    now = [0.0]
    run = write_run(tmp_path / "run", "running")
    reader = RunReader(run, clock=lambda: now[0])
    assert read_all(reader).quiet_minutes == 0
    now[0] = 100.0
    assert read_all(reader).quiet_minutes == 0
    now[0] = 200.0
    assert read_all(reader).quiet_minutes == 3
    with EventWriter(run.events) as writer:
        emit_step(writer, 501, 1.0)
    assert read_all(reader).quiet_minutes == 0


def test_a_run_directory_that_cannot_be_read_is_a_state_not_a_crash(run: RunDirectory) -> None:
    run.events.mkdir()
    reader = RunReader(run)
    assert reader.poll()
    assert str(run.root) in reader.snapshot.trouble
    assert not reader.poll()
    run.events.rmdir()
    with EventWriter(run.events) as writer:
        emit_step(writer, 1, 1.0)
    assert (read_all(reader).trouble, reader.snapshot.step) == ("", 1)


def test_a_long_log_is_shown_from_samples_before_it_is_read(run: RunDirectory) -> None:
    assert preview_of(run) is None
    with EventWriter(run.events) as writer:
        emit_start(writer, 40_000)
        emit_step(writer, 1, 1.0)
    line = run.events.read_bytes().splitlines(keepends=True)[1]
    with run.events.open("ab") as file:
        for step in range(2, 40_001):
            file.write(line.replace(b'"step": 1,', b'"step": %d,' % step))
    preview = preview_of(run)
    assert preview is not None
    assert preview.is_partial
    assert (preview.step, preview.max_steps) == (40_000, 40_000)
    assert np.isfinite(preview.series["loss"].columns(0, 40_000, 200).mean).all()
    whole = read_all(RunReader(run))
    assert len(whole.series["loss"]) == 40_000
    assert whole.version > preview.version


def test_the_follower_hands_out_the_samples_and_then_the_whole(run: RunDirectory) -> None:
    with EventWriter(run.events) as writer:
        emit_step(writer, 1, 1.0)
    line = run.events.read_bytes()
    with run.events.open("ab") as file:
        for step in range(2, 40_001):
            file.write(line.replace(b'"step": 1,', b'"step": %d,' % step))
    seen: list[tuple[bool, int]] = []
    is_whole = threading.Event()

    def on_change(snapshot: RunSnapshot) -> None:
        seen.append((snapshot.is_partial, len(snapshot.series["loss"])))
        if not snapshot.is_partial:
            is_whole.set()

    follower = RunFollower(run, on_change)
    follower.start()
    assert is_whole.wait(timeout=60)
    follower.stop()
    assert seen[0][0]
    assert 1000 < seen[0][1] < 40_000
    assert seen[1] == (False, 40_000)
