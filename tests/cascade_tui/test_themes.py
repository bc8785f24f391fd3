"""Themes and read only: chosen, remembered, refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import ENVIRONMENT, write_project
from textual.widgets import Static

from cascade_tui import cli
from cascade_tui.app import CascadeApp
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.themes import THEMES, theme_file
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def test_a_theme_chosen_by_its_key_is_there_again_at_the_next_start():
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await pilot.press("T")
        assert pilot.app.theme == THEMES["light"]
        await pilot.press("T")
        await pilot.pause()
    assert theme_file().read_text() == "high-contrast\n"
    assert CascadeApp().theme == "high-contrast"
    assert CascadeApp(theme="colour-blind").theme == "colour-blind"


def test_the_command_line_offers_the_themes_that_there_are():
    assert tuple(THEMES) == cli._THEMES


async def test_read_only_saves_no_config_and_commands_no_run():
    path = write_project(Path())
    run = write_run(Path("run"), "running")
    before = path.read_bytes()
    app = CascadeApp(path, environment=ENVIRONMENT, is_readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        assert "read only" in str(form.query_one("#title", Static).content)
        form.draft.set("learning_rate", 3e-5)
        await pilot.press("w", "L")
        assert not form.save()
        app.open_run(RunDirectory(run.root))
        await until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        await pilot.press("c", "p", "S")
        await pilot.pause()
        assert isinstance(app.screen, MonitorScreen)
        assert sum("would change" in notice.message for notice in app._notifications) >= 5
    assert path.read_bytes() == before
    assert not run.control.exists()
