"""Leaving the viewer, by key or because the line drops, does nothing to a run."""

from __future__ import annotations

import os
import pty
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from terminal_reading import read_until

if TYPE_CHECKING:
    from conftest import RealRun


def _open(run: Path) -> tuple[int, int]:
    """The app on a run directory in a terminal of its own: its pid and our end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "cascade_tui", str(run)])
    assert b"training" in read_until(terminal, b"training")
    return pid, terminal


def test_q_leaves_the_run_alone_and_says_how_to_come_back(real_run: RealRun):
    real_run.launch("--steps", "100000")
    real_run.wait_running()
    pid, terminal = _open(real_run.directory.root)
    os.write(terminal, b"q")
    output = read_until(terminal, b"goes on; open it again with:")
    assert b"\x1b[?1049l" in output.partition(b"the run goes on")[0]  # on the normal screen
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert real_run.state().name == "running"


def test_a_dropped_line_ends_the_viewer_with_129_and_leaves_the_run_alone(real_run: RealRun):
    real_run.launch("--steps", "100000")
    real_run.wait_running()
    pid, terminal = _open(real_run.directory.root)
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + 1
    assert real_run.state().name == "running"
