"""The guide on the screen: from the welcome to a config that is open in the form."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until, write
from form_project import write_project
from textual.pilot import Pilot
from textual.widgets import Input, Static

from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.widgets.choice import Choice


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _opened(pilot: Pilot[int]) -> GuideScreen:
    await pilot.press("o")
    await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
    await pilot.press("n")
    await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
    screen = pilot.app.screen
    assert isinstance(screen, GuideScreen)
    return screen


def _words(screen: GuideScreen, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).render())


async def test_four_answers_become_a_config_that_opens_with_no_error_but_missing_weights():
    write_project(Path())
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        await write(pilot, "phot")
        folder = screen.query_one("#folder", Input)
        await until(pilot, lambda: folder._suggestion == "photographs/")
        await pilot.press("right")
        assert folder.value == "photographs/"
        await until(pilot, lambda: "1 picture, 0 with a .txt" in _words(screen, "counted"))
        assert "lora-80gb" in _words(screen, "chosen")  # the machine of these tests has an H100
        await pilot.press("enter", "right")
        assert screen.query_one("#purpose", Choice).chosen == 1
        assert screen.query_one("#length", Input).value == "1500 steps"
        await pilot.press("down", "right", "right", "right")
        await pilot.pause()
        assert "lora-24gb" in _words(screen, "chosen")
        await pilot.press("enter", "enter", "enter")
        form = await checked_form(pilot)
        assert form.draft.document.path == Path("my-run.toml")
        assert form.draft.document.get("max_train_steps") == 1500
        errors = [problem.key for problem in form.problems if problem.severity == "error"]
        assert all("pretrained" in key for key in errors)


async def test_what_is_missing_is_said_nothing_is_overwritten_and_escape_goes_back():
    write_project(Path())
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        screen.query_one("#folder", Input).value = "nowhere"
        await until(pilot, lambda: "No such file" in _words(screen, "counted"))
        await pilot.press("ctrl+o")
        assert "answer the questions first" in _words(screen, "wrong")
        screen.query_one("#folder", Input).value = "photographs"
        await until(pilot, lambda: "1 picture" in _words(screen, "counted"))
        screen.query_one("#path", Input).value = "config.toml"
        before = Path("config.toml").read_text()
        await pilot.press("ctrl+o")
        assert "is there already" in _words(screen, "wrong")
        assert Path("config.toml").read_text() == before
        screen.query_one("#length", Input).value = "soon"
        await until(pilot, lambda: "give a number" in _words(screen, "wrong"))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
