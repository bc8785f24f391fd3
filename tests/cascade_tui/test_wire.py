"""What the app sends over SSH is counted and told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cascade_tui.wire import WireMeter, is_over_ssh
from engine.run.events import EventWriter
from engine.run.status import Status, write_status
from tests.cascade_tui.run_fixture import emit_step, write_run
from tests.pty_terminal import Terminal

APP = [sys.executable, "-m", "cascade_tui"]


def test_the_rate_is_that_of_the_last_ten_seconds():
    now = 0.0
    meter = WireMeter(lambda: now)
    meter.add(500)
    assert meter.bytes_per_second == 500
    now = 5.0
    meter.add(4500)
    assert meter.bytes_per_second == 1000
    now = 12.0
    assert meter.bytes_per_second == 450
    now = 30.0
    assert meter.bytes_per_second == 0


def test_a_terminal_is_far_when_sshd_says_so():
    assert is_over_ssh({"SSH_TTY": "/dev/pts/1"})
    assert not is_over_ssh({"SSH_AUTH_SOCK": "/run/agent", "SSH_TTY": ""})


@pytest.mark.parametrize("is_far", [True, False])
def test_the_monitor_tells_over_ssh_what_it_sends_and_nowhere_else(is_far, tmp_path: Path):
    run = write_run(tmp_path / "run", "running")
    far = {"SSH_TTY": "/dev/pts/9" if is_far else None, "SSH_CONNECTION": None, "SSH_CLIENT": None}
    with Terminal([*APP, str(run.root)], (120, 36), far) as terminal:
        terminal.shows(r"(?s)step 500.*Quit")
        with EventWriter(run.events) as events:
            emit_step(events, 501, 0.2)
        write_status(run, Status.of_process("running", step=501, phase="training"))
        terminal.shows(r"step 501")
        first = terminal.screen.lines[0]
        assert first.endswith(" kB/s") is is_far
        terminal.press("q")
        assert terminal.wait_end() == 0
