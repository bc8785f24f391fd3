"""Runs: every run below a folder, in a line each."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import until
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from cascade_tui.app import CascadeApp
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.welcome import WelcomeScreen
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


async def _lines(pilot: Pilot[int]) -> list[str]:
    await pilot.press("1")
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen._reports is not None)
    await pilot.pause()
    return [str(option.prompt) for option in screen.query_one(OptionList).options]


async def test_each_run_is_a_line_with_its_state_and_enter_opens_it():
    write_run(Path("out/first"), "failed")
    write_run(Path("out/second"), "running")
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        running, failed = await _lines(pilot)
        assert running.startswith("out/second")
        assert "● running" in running
        assert "500/1000" in running
        assert "✖ failed (1)" in failed
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MonitorScreen))
        assert pilot.app.run_directory.root == Path("out/second")


async def test_a_finished_run_is_not_resumed_and_the_path_is_copied():
    write_run(Path("done"), "finished")
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("r", "y")
        assert pilot.app.clipboard == str(Path("done").absolute())
        await until(
            pilot,
            lambda: any("nothing to resume" in n.message for n in pilot.app._notifications),
        )


async def test_without_runs_it_leads_to_the_examples():
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        assert await _lines(pilot) == []
        assert "o opens" in str(pilot.app.screen.query_one("#news", Static).render())
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
