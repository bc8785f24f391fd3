"""A run without the app: lines, exit codes and signals of a real process."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("headless_stand_in.py")


class Viewer:
    """One headless viewer without a terminal."""

    def __init__(self, real_run, *options: str) -> None:
        self.real_run = real_run
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(real_run.directory.root), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_line(self, words: str) -> str:
        """Read stdout up to the first line that has `words`."""
        for line in self.process.stdout:
            if words in line:
                return line
        raise AssertionError(f"ended without: {words}")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        stdout, stderr = self.process.communicate()
        return self.process.returncode, stdout, stderr


@pytest.fixture
def start(real_run) -> Iterator[object]:
    viewers = []

    def start_viewer(*options: str) -> Viewer:
        viewers.append(Viewer(real_run, *options))
        return viewers[-1]

    yield start_viewer
    for viewer in viewers:
        viewer.process.kill()
        viewer.process.communicate()


def test_a_run_is_told_in_plain_lines_without_control_characters(start, real_run):
    code, stdout, stderr = start("--steps", "50").end()
    assert code == 0
    lines = stdout.splitlines()
    assert lines[0] == f"run directory: {real_run.directory.root}"
    assert "starts: 8 images, 50 steps, on cpu" in lines[1]
    assert lines[2].endswith(" training")
    assert " step 1/50 loss 1 lr 1.0e-04 3 images/s" in stdout
    assert "step 50/50 loss 0.02" in lines[-2]
    assert "finished at step 50, exit code 0" in lines[-1]
    assert "\x1b" not in stdout + stderr
    assert "\r" not in stdout
    assert stderr == "finished at step 50 of 50\n"


def test_step_lines_are_limited_in_rate(start):
    _, stdout, _ = start("--steps", "200").end()
    assert stdout.count(" step ") < 10


def test_the_trainers_own_exit_code_is_the_viewers(start):
    code, _, stderr = start("--steps", "2", "--exit-code", "42").end()
    assert code == 42
    assert "failed at step 2 of 2 (exit code 42)" in stderr


def test_a_failure_shows_the_last_lines_of_the_console(start):
    code, _, stderr = start("--steps", "2", "--crash").end()
    assert code == 1
    assert "RuntimeError: the stand-in crashed" in stderr
    assert "console.log" in stderr


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_has_the_run_save_and_stop(start, real_run, number, code):
    viewer = start()
    viewer.wait_for_line("step 1 ")
    viewer.signal(number)
    assert "saving" in viewer.wait_for_line("stopping")
    assert viewer.end()[0] == code
    state = real_run.state()
    assert (state.name, state.exit_code) == ("stopped", 0)
    assert [event["command"] for event in real_run.events("command")] == ["stop"]


def test_a_second_signal_aborts(start, real_run):
    viewer = start("--ignore", "stop")
    viewer.wait_for_line("step 1 ")
    viewer.signal(signal.SIGINT)
    viewer.wait_for_line("stopping")
    viewer.signal(signal.SIGINT)
    viewer.wait_for_line("aborting")
    assert viewer.end()[0] == 143
    assert [event["name"] for event in real_run.events("signal")] == ["SIGTERM"]


def test_sighup_ends_the_viewer_and_the_run_goes_on(start, real_run):
    viewer = start()
    viewer.wait_for_line("step 1 ")
    viewer.signal(signal.SIGHUP)
    assert viewer.end()[0] == -signal.SIGHUP
    step = real_run.state().step
    assert real_run.wait(lambda state: state.step > step + 5).supervised


def test_kill_9_of_the_viewer_leaves_the_run_alone(start, real_run):
    viewer = start()
    viewer.wait_for_line("step 1 ")
    viewer.signal(signal.SIGKILL)
    viewer.end()
    step = real_run.state().step
    assert real_run.wait(lambda state: state.step > step + 5).supervised


def test_a_reader_that_leaves_does_not_end_the_run(start, real_run):
    viewer = start()
    viewer.wait_for_line("step 1 ")
    viewer.process.stdout.close()
    step = real_run.state().step
    assert real_run.wait(lambda state: state.step > step + 5).name == "running"


def test_a_run_that_is_alive_is_not_started_again_but_how_to_attach_is_told(start, real_run):
    real_run.launch()
    code, stdout, stderr = start().end()
    assert (code, stdout) == (3, "")
    assert f"already running (process {real_run.supervisor})" in stderr
    assert f"cascade-tui attach {real_run.directory.root}" in stderr


def test_the_viewer_tells_when_the_supervisor_was_killed_and_follows_to_the_end(start, real_run):
    viewer = start("--steps", "300")
    viewer.wait_for_line("step 1/")
    os.kill(int(real_run.directory.lock.read_text()), signal.SIGKILL)
    viewer.wait_for_line("its supervisor is gone; the trainer goes on")
    code, stdout, _ = viewer.end()
    assert code == 0
    assert "finished at step 300" in stdout


def test_attaching_follows_from_now_on_and_leaving_leaves_the_run_alone(real_run):
    real_run.launch()
    real_run.wait_running()
    argv = [sys.executable, "-m", "cascade_tui", "attach", "--no-ui", str(real_run.directory.root)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(" step " in line and "loss" in line for line in iter(process.stdout.readline, ""))
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert "left; the run goes on" in stderr
    step = real_run.state().step
    assert real_run.wait(lambda state: state.step > step + 5).name == "running"
    assert real_run.events("command") == []


def test_attaching_to_a_run_that_is_over_returns_its_exit_code(real_run):
    real_run.launch("--steps", "1", "--exit-code", "9")
    real_run.wait_over()
    argv = [sys.executable, "-m", "cascade_tui", "attach", "--no-ui", str(real_run.directory.root)]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 9
    assert "failed at step 1 of 1 (exit code 9)" in result.stdout


def test_on_a_terminal_it_draws_bars_and_leaves_the_terminal_as_it_was(real_run):
    leader, follower = pty.openpty()
    argv = [sys.executable, str(PROGRAM), str(real_run.directory.root), "--steps", "40"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
    process = subprocess.Popen(
        argv, stdin=follower, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    output = b""
    while True:
        try:
            block = os.read(leader, 65536)
        except OSError:  # EIO: the last one on the other side has closed it
            break
        if not block:
            break
        output += block
    os.close(leader)
    assert process.wait() == 0
    text = output.decode()
    assert "100 %" in text
    assert "step 40/40" in text
    assert "━" in text
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")  # the cursor is shown again
