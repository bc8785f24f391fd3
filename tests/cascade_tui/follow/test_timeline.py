"""Where the time of a run went, over all its launches."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from cascade_tui.follow.reader import RunReader
from cascade_tui.widgets.phase_bar import phase_line
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status

SPENT = {"preparing": 12.0, "caching": 140.0, "training": 5_000.0, "saving": 9.0, "paused": 60.0}


def write(run: RunDirectory, *events: tuple[float, str, str]) -> None:
    """Events as (seconds, kind, phase)."""
    with EventWriter(run.events) as writer:
        for seconds, kind, phase in events:
            fields = {"phase": phase} if kind == "phase" else {"step": 1, "loss": 0.1}
            writer.emit(kind, t=1000.0 + seconds, **fields)


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_phases_add_up_over_launches_and_the_time_between_them_counts_for_nothing(run):
    write(
        run,
        (0, "phase", "preparing"),
        (5, "phase", "caching_text"),
        (7, "phase", "caching_latents"),
        (15, "cache", ""),
        (15, "phase", "preparing"),
        (20, "phase", "training"),
        (50, "step", ""),
        # killed; launched again much later
        (9000, "phase", "preparing"),
        (9004, "phase", "training"),
        (9010, "phase", "saving"),
        (9011, "exit", ""),
        (20_000, "phase", "preparing"),
        (20_001, "phase", "training"),
        (20_011, "step", ""),
    )
    reader = RunReader(run)
    reader.poll()
    assert reader.snapshot.seconds_by_phase == {
        "preparing": 15.0,
        "caching": 10.0,
        "training": 46.0,
        "saving": 1.0,
    }


def test_a_pause_grows_without_events_as_long_as_somebody_waits(run):
    write(run, (0, "phase", "training"), (10, "phase", "paused"))
    write_status(run, Status.of_process("paused", phase="paused"))
    reader = RunReader(run)
    reader.poll()
    assert reader.snapshot.seconds_by_phase["paused"] > 1e6
    write_status(run, Status.of_process("stopped", phase="paused"))
    reader = RunReader(run)
    reader.poll()
    assert reader.snapshot.seconds_by_phase == {"training": 10.0, "paused": 0.0}


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_the_line_has_a_sign_for_each_phase_and_tells_the_longest(width):
    line = phase_line(SPENT, width).plain
    assert cell_len(line) == width
    assert "█ training 1 h 23 min" in line
    if width >= 120:
        assert "░ preparing 12 s  ▒ caching 2 min  █ training" in line


def test_a_phase_of_another_version_is_told_by_its_name():
    assert "▚ polishing 3 s" in phase_line({"polishing": 3.0}, 80).plain
