"""What tests of the run directory share; `real_run` is in tests/conftest.py."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.run.ladder import Grace
from engine.run.paths import RunDirectory
from engine.run.processes import process_start_time

SHORT = Grace(command_seconds=0.3, interrupt_seconds=0.3, terminate_seconds=0.3, orphan_seconds=0.3)


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


@pytest.fixture
def short_grace() -> Grace:
    return SHORT


@pytest.fixture
def kill() -> Callable[[int], None]:
    """kill -9, and wait until the process is gone."""

    def kill_and_wait(pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        while process_start_time(pid) is not None:
            time.sleep(0.01)

    return kill_and_wait
