"""A terminal that is not read for a while, as when the link hangs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.run.events import EventReader, EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status
from tests.cascade_tui.run_fixture import emit_step, write_run
from tests.pty_terminal import Terminal

APP = [sys.executable, "-m", "cascade_tui"]
STALL_SECONDS = float(os.environ.get("CASCADE_TUI_STALL_SECONDS", "0"))
"""How long the stall lasts at least, once the app can write no more."""
_MANY_KEYS = 150
_SIZE = (200, 50)  # large: it takes fewer keys to fill what the terminal holds


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_run(tmp_path / "run", "running")


@pytest.fixture
def terminal(run: RunDirectory) -> Iterator[Terminal]:
    """The app on a run that goes on, in a terminal which is then read no more."""
    with Terminal([*APP, str(run.root)], _SIZE) as terminal:
        terminal.shows(r"(?s)step 500.*Quit")
        terminal.quiet(0.3)
        terminal.stall()
        yield terminal


def block(terminal: Terminal, run: RunDirectory) -> int:
    """Train on, with keys that redraw all, until nothing moves in the app; the last step."""
    step, began = 500, time.monotonic()
    with EventWriter(run.events) as events:
        while time.monotonic() - began < STALL_SECONDS or not terminal.is_stuck():
            step += 1
            emit_step(events, step, 0.1)
            write_status(run, Status.of_process("running", step=step, phase="training"))
            if step - 500 < _MANY_KEYS:
                terminal.press("y")
            time.sleep(0.05)
    return step


def test_after_a_stall_the_app_shows_the_newest_step_and_the_run_has_all(run, terminal):
    last = block(terminal, run)
    terminal.go_on()
    terminal.press("3")
    terminal.shows(rf"step {last:_}".replace("_", "."))
    steps = [event["step"] for event in EventReader(run.events).poll(10) if event["kind"] == "step"]
    assert steps == list(range(1, last + 1))
    terminal.press("q")
    assert terminal.wait_end() == 0
    assert terminal.screen.modes == {"7", "25"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=str)
def test_a_signal_during_a_stall_ends_the_app(number, run, terminal):
    block(terminal, run)
    terminal.signal(number)
    assert terminal.wait_end(10) == 128 + number
    assert terminal.termios() == terminal.termios_before
