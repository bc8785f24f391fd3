"""The app in a window of tmux: keys, what is shown, sizes, nobody attached, and the shell after."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status
from tests.cascade_tui.run_fixture import emit_step, write_run
from tests.pty_terminal import Terminal

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
KEYS = (
    ("1", r"1 run, 1 alive"),
    ("/", r"(?m)^ ?/"),
    ("Escape", r"Mark"),
    ("3", r"training +step 500"),
    ("4", r"Earlier"),
    ("5", r"step 500/1000 loss"),
    ("?", r"esc closes"),
    ("Escape", r"(?s)\A(?!.*esc closes).*following"),
    ("2", r"no config is open"),
    ("3", r"training +step 500"),
)


class Tmux:
    """A server of its own with one window of 80x24, in which a shell waits."""

    def __init__(self, folder: Path) -> None:
        self._command = ["tmux", "-S", str(folder / "tmux.socket"), "-f", "/dev/null"]
        self("new-session", "-d", "-x", "80", "-y", "24", "-c", str(folder), "PS1='ready> ' sh")
        self.shows("ready>")

    def __call__(self, *words: str) -> str:
        ended = subprocess.run(
            [*self._command, *words], check=True, stdout=subprocess.PIPE, text=True
        )
        return ended.stdout

    def screen(self) -> str:
        """What is shown."""
        return self("capture-pane", "-p")

    def get(self, name: str) -> str:
        """A fact of the window, such as ``pane_width`` or ``alternate_on``."""
        return self("display-message", "-p", f"#{{{name}}}").strip()

    def wait(self, condition: Callable[[], bool], wanted: str) -> None:
        """Poll until it is so; AssertionError with what is shown if it never is."""
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline, f"not there: {wanted}\n{self.screen()}"
            time.sleep(0.02)

    def shows(self, pattern: str) -> str:
        """Wait until a pattern is shown; the whole screen."""
        self.wait(lambda: re.search(pattern, self.screen()) is not None, pattern)
        return self.screen()

    def kill(self) -> None:
        """End the server and what runs in it."""
        subprocess.run([*self._command, "kill-server"], check=False, capture_output=True)

    @property
    def attach(self) -> list[str]:
        """The command that shows the window to a person."""
        return [*self._command, "attach-session"]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_run(tmp_path / "run", "running")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    tmux = Tmux(tmp_path)
    yield tmux
    tmux.kill()


def test_keys_sizes_and_detaching_work_and_the_shell_is_back_after_q(
    tmux: Tmux, run: RunDirectory
) -> None:
    settings = f"stty -g > {run.root.parent}/"
    tmux("send-keys", f"{settings}before; clear; echo was here", "Enter")
    tmux.shows("(?m)^was here")
    tmux("send-keys", f"{sys.executable} -m cascade_tui run --runs .", "Enter")
    tmux.shows(r"(?s)training +step 500.*Quit")
    assert tmux.get("alternate_on") == "1"
    for key, wanted in KEYS:
        tmux("send-keys", key)
        tmux.shows(wanted)

    tmux("resize-window", "-x", "120", "-y", "36")
    tmux.wait(lambda: _frame_width(tmux) == 120, "a frame as wide as the window")
    assert len(tmux.screen().splitlines()) == 36
    tmux("resize-window", "-x", "80", "-y", "24")
    tmux.wait(lambda: _frame_width(tmux) == 80, "a frame as narrow as the window")
    tmux.shows(r"Quit")

    with Terminal(tmux.attach, (80, 24)) as person:
        person.shows("step 500")
    tmux.wait(lambda: tmux("list-clients") == "", "nobody attached")
    with EventWriter(run.events) as events:
        emit_step(events, 501, 0.2)
    write_status(run, Status.of_process("running", step=501, phase="training"))
    tmux.shows(r"step 501")

    tmux("send-keys", "q")
    shown = tmux.shows(r"ready>\s*\Z")
    assert "was here" in shown
    assert "open it again with: cascade-tui" in shown
    assert tmux.get("alternate_on") == tmux.get("mouse_any_flag") == "0"
    assert tmux.get("cursor_flag") == "1"
    tmux("send-keys", f"{settings}after; echo told", "Enter")
    tmux.shows("(?m)^told")
    folder = run.root.parent
    assert (folder / "after").read_text() == (folder / "before").read_text()


def _frame_width(tmux: Tmux) -> int:
    """How wide the lowest frame of the Monitor is; its corners must be there."""
    found = re.findall(r"╰.*╯", tmux.screen())
    return len(found[-1]) if found else 0
