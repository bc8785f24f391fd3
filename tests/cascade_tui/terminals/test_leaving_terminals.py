"""Leaving gives the terminal back as it was, whatever ends the app; waiting costs nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cascade_tui.run_fixture import write_run
from tests.pty_terminal import Terminal

APP = [sys.executable, "-m", "cascade_tui"]
_IDLE_TICKS = 20
_LEAVING = ("1049l", "1000l", "1003l", "1006l", "1004l", "2004l", "25h")


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """The app on the Monitor of a finished run, on which nothing moves any more."""
    run = write_run(tmp_path / "run", "finished")
    with Terminal([*APP, str(run.root)], (80, 24)) as terminal:
        terminal.shows(r"(?s)finished.*Quit")
        terminal.quiet(0.5)
        yield terminal


@pytest.mark.parametrize(
    ("number", "code"), [(None, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=str
)
def test_the_terminal_is_as_it_was_after(number, code, terminal):
    assert terminal.termios() != terminal.termios_before
    assert {"1049", "1000", "2004"} <= terminal.screen.modes
    if number is None:
        terminal.press("q")
    else:
        terminal.signal(number)
    assert terminal.wait_end() == code
    assert terminal.termios() == terminal.termios_before
    assert terminal.screen.modes == {"7", "25"}
    output = b"".join(chunk for _, chunk in terminal.chunks).decode()
    for leave in _LEAVING:
        assert f"\x1b[?{leave}" in output


def test_an_idle_app_writes_nothing_and_its_threads_sleep(terminal):
    used = terminal.cpu_seconds()
    written = len(terminal.chunks)
    waits = terminal.wait_switches(_IDLE_TICKS)
    assert waits >= _IDLE_TICKS, "it looked for news that often, and"
    assert terminal.chunks[written:] == []
    assert terminal.cpu_seconds() - used < 1.0


def test_a_run_outlives_the_killed_app_that_launched_it_and_the_closed_terminal(real_run):
    root = str(real_run.directory.root)
    launching = (
        "import os, sys; from pathlib import Path; from engine.run.launch import launch; "
        "from engine.run.paths import RunDirectory; "
        f"launch(RunDirectory(Path({root!r})), command={real_run.command('--steps', '100000')!r}); "
        f"os.execv(sys.executable, {[*APP, root]!r})"
    )
    with Terminal([sys.executable, "-c", launching], (80, 24)) as terminal:
        terminal.shows(r"(?s)training.*Quit")
        terminal.signal(signal.SIGKILL)
        assert terminal.wait_end() == -signal.SIGKILL
        terminal.close()
    step = real_run.state().step
    real_run.wait(lambda state: state.step > step)
    assert real_run.state().supervised
