"""The app with runs: opening another one ends what followed the first."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from form_pilot import open_app, until
from form_project import write_project
from run_fixture import write_run

from cascade_tui.screens.configure import ConfigureScreen
from engine.run.paths import RunDirectory


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _followers() -> int:
    return sum(thread.name == "follower" for thread in threading.enumerate())


async def test_opening_another_run_from_the_form_ends_the_thread_of_the_first(tmp_path: Path):
    before = _followers()
    for name in ("first", "second"):
        write_run(tmp_path / name, "finished")
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        pilot.app.open_run(RunDirectory(tmp_path / "first"))
        await until(pilot, lambda: _followers() == before + 1)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfigureScreen))
        pilot.app.open_run(RunDirectory(tmp_path / "second"))
        await until(pilot, lambda: pilot.app.screen is pilot.app.monitor)
        await until(pilot, lambda: pilot.app.monitor.snapshot is not None)
        await until(pilot, lambda: _followers() == before + 1)
