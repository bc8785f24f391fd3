"""Reading a run directory as it grows."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import pytest

from cascade_tui.follow.console import ConsoleTail
from cascade_tui.follow.follower import RunFollower, RunReader
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


def test_the_console_tail_of_a_large_log_is_whole_lines_of_its_end(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes((b"y" * 999 + b"\n") * 10_000 + b"last\n")
    tail = ConsoleTail(log)
    tail.poll()
    assert tail.lines[-1] == "last"
    assert {len(line) for line in tail.lines[:-1]} == {999}
