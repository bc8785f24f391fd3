"""Real runs for tests: a supervisor and a stand-in trainer, gone when the test is."""

from __future__ import annotations

import os
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
from engine.run.processes import descendants, send_signal
from engine.run.status import RunState, derive_state, read_status

STAND_IN = Path(__file__).with_name("stand_in.py")
SHORT = Grace(command_seconds=0.3, interrupt_seconds=0.3, terminate_seconds=0.3, orphan_seconds=0.3)


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
        trainer = status.pid if status is not None and self.state().is_alive else 0
        for root in filter(None, (self.supervisor, trainer)):
            for pid in descendants(root):
                send_signal(pid, signal.SIGKILL)
        if self.state().supervised:
            send_signal(self.supervisor, signal.SIGKILL)
        if self.state().is_alive:
            send_signal(trainer, signal.SIGKILL)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


@pytest.fixture
def real_run(tmp_path: Path) -> Iterator[RealRun]:
    real = RealRun(tmp_path / "run")
    yield real
    real.kill_all()


@pytest.fixture
def short_grace() -> Grace:
    return SHORT


@pytest.fixture
def kill() -> Callable[[int], None]:
    """kill -9, and wait until the process is gone."""
    from engine.run.processes import process_start_time

    def kill_and_wait(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        while process_start_time(pid) is not None:
            time.sleep(0.01)

    return kill_and_wait
