"""A real run for any test: a supervisor and a stand-in trainer, gone when the test is."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.run.events import EventReader
from engine.run.ladder import Grace
from engine.run.launch import launch
from engine.run.paths import RunDirectory
from engine.run.processes import descendants, is_same_process, send_signal
from engine.run.status import RunState, derive_state, read_status, supervisor_pid

# pytest-xdist runs one process a core: more threads each would only stand in each other's way.
# Programs under test inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"

# A shell's background job ignores SIGINT, nohup SIGHUP, and children inherit that: the programs
# under test are to be interrupted whatever started pytest.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

STAND_IN = Path(__file__).parent / "engine" / "run" / "stand_in.py"


@pytest.fixture(autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what the app remembers of a person, nor the locale, is that of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    monkeypatch.setenv("CASCADE_TUI_ASCII", "0")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.mktemp("config")))


@pytest.fixture
def roomy_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 2 TB, half of it free, whatever there is."""
    usage = shutil.disk_usage("/")._replace(total=2 * 10**12, free=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)


class RealRun:
    """One run directory with a stand-in trainer."""

    def __init__(self, root: Path) -> None:
        self.directory = RunDirectory(root)
        self.supervisor = 0

    def command(self, *options: str) -> list[str]:
        return [sys.executable, str(STAND_IN), str(self.directory.root), *options]

    def launch(self, *options: str, grace: Grace | None = None) -> int:
        self.supervisor = launch(self.directory, command=self.command(*options), grace=grace)
        return self.supervisor

    def state(self) -> RunState:
        return derive_state(self.directory)

    def events(self, kind: str | None = None) -> list[dict[str, object]]:
        reader = EventReader(self.directory.events)
        return [event for event in reader.poll(10) if kind in (None, event["kind"])]

    def wait(self, condition: Callable[[RunState], object]) -> RunState:
        """Poll until the condition holds; pytest's own timeout ends what never comes."""
        while not condition(state := self.state()):
            time.sleep(0.01)
        return state

    def wait_running(self) -> RunState:
        return self.wait(lambda state: state.name == "running" and state.step >= 1)

    def wait_over(self) -> RunState:
        return self.wait(lambda state: not state.is_alive and not state.supervised)

    def kill_all(self) -> None:
        status = read_status(self.directory)
        roots = [supervisor_pid(self.directory)]
        if status is not None and is_same_process(status.pid, status.start_time):
            roots.append(status.pid)
        for root in filter(None, roots):
            for pid in (root, *descendants(root)):
                send_signal(pid, signal.SIGKILL)


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    real = RealRun(tmp_path / "run")
    yield real
    real.kill_all()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process waits for another at the end."""
    demo = Path(__file__).parent / "test_demo_end_to_end.py"
    items.sort(key=lambda item: (item.path != demo, item.get_closest_marker("slow") is None))
