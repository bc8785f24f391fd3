"""The guide on the screen: from the welcome to a config that is open in the form."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until, write
from form_project import ENVIRONMENT, write_project
from textual.pilot import Pilot
from textual.widgets import Input, Static

from cascade_tui.app import CascadeApp
from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.help import HelpScreen, describe_keys
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.widgets.choice import Choice
from engine.config.environment import likely_folder


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


async def test_the_only_folder_of_pictures_is_offered_and_two_keys_lead_to_a_config():
    write_project(Path())
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: getattr(pilot.app.screen, "_is_empty", False))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: "1 picture, 0 with a .txt" in _words(screen, "counted"))
        assert screen.query_one("#folder", Input).value == "photographs/"
        await write(pilot, "pho")  # what is typed takes the place of what was offered
        assert screen.query_one("#folder", Input).value == "pho"
        await until(pilot, lambda: "tab completes it to photographs/" in _words(screen, "counted"))
        await pilot.press("tab")
        assert screen.query_one("#folder", Input).value == "photographs/"
        assert screen.focused is screen.query_one("#folder", Input)
        await until(pilot, lambda: "1 picture" in _words(screen, "counted"))
        await pilot.press("ctrl+o")
        form = await checked_form(pilot)
        key = "data_backend[photographs].instance_data_dir"
        assert form.draft.document.get(key) == str(Path("photographs").absolute())


def test_a_folder_is_offered_only_where_there_is_no_doubt():
    assert likely_folder(Path("nowhere")) == likely_folder(Path()) == ""
    for name in ("a.JPG", "b.png"):
        Path(name[0]).mkdir()
        Path(name[0], name).touch()
        Path(f".hidden-{name[0]}").mkdir()
        Path(f".hidden-{name[0]}", name).touch()
        assert likely_folder(Path()) == ("a/" if name == "a.JPG" else "")
    Path("b", "b.png").unlink()
    Path("b", "text.txt").touch()
    assert likely_folder(Path()) == "a/"
    Path("here.webp").touch()
    assert likely_folder(Path()) == ""
    assert likely_folder(Path("a")) == "."


_FOLDERS = {
    "nowhere": "there is no such folder",
    "config.toml": "this is a file: give the folder",
    "empty": "there are no pictures below this folder (bmp, jpeg, jpg",
    "circle": "this folder cannot be read: Too many levels",
    "x" * 5000: "this folder cannot be read: File name too long",
    "nul\0": "this folder cannot be read: embedded null",
    "~nobody/图片 ☃": "there is no such folder",
    "": "give the folder of your pictures",
}
_LENGTHS = {
    "soon": "give a number of steps, minutes or hours",
    "-2 h": "give a number of steps, minutes or hours",
    "": "give a number of steps, minutes or hours",
    "9" * 400: "give a whole number of steps from 1 to 1,000,000",
    "9" * 400 + " h": "give a time from 1 minute to a year",
    "2.5 steps": "give a whole number of steps",
}
_PATHS = {
    "config.toml": "a file of that name is there already",
    "my run": "give a path that ends in .toml",
    "": "give a path that ends in .toml",
    "config.toml/x.toml": "the folder of that path is a file",
    "x" * 5000 + ".toml": "it cannot be written there: File name too long",
}


async def test_nonsense_is_said_beside_its_field_nothing_is_lost_or_overwritten():
    write_project(Path())
    Path("empty").mkdir()
    Path("circle").symlink_to("circle")
    before = Path("config.toml").read_text()
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)

        async def refused(name: str, place: str, text: str, why: str) -> None:
            screen.query_one(f"#{name}", Input).value = text
            if name != "path":
                await until(pilot, lambda: why in _words(screen, place))
            await pilot.press("ctrl+o")
            await until(pilot, lambda: why in _words(screen, place))
            assert pilot.app.screen is screen
            assert screen.focused is screen.query_one(f"#{name}", Input)
            assert screen.query_one(f"#{name}", Input).value == text

        for text, why in _FOLDERS.items():
            await refused("folder", "counted", text, why)
        screen.query_one("#folder", Input).value = "photographs"
        await until(pilot, lambda: "1 picture" in _words(screen, "counted"))
        for text, why in _LENGTHS.items():
            await refused("length", "chosen", text, why)
        screen.query_one("#length", Input).value = "2 h"
        await until(pilot, lambda: "steps of" in _words(screen, "chosen"))
        for text, why in _PATHS.items():
            await refused("path", "unwritten", text, why)
        assert _words(screen, "counted").startswith("✔ 1 picture")
        screen.query_one("#path", Input).value = "ü ☃/图.toml"
        await until(pilot, lambda: not _words(screen, "unwritten"))
        await pilot.press("ctrl+o")
        form = await checked_form(pilot)
        assert form.draft.document.path == Path("ü ☃/图.toml")
        assert Path("config.toml").read_text() == before


async def test_f1_and_the_question_mark_tell_the_keys_and_escape_goes_back():
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        for keys in (["f1"], ["tab", "question_mark"]):  # in a field, ? is written
            await pilot.press(*keys)
            await until(pilot, lambda: isinstance(pilot.app.screen, HelpScreen))
            told = describe_keys(screen).plain
            assert "Write and open" in told
            assert "Next choice" in told
            await pilot.press("escape")
            assert pilot.app.screen is screen
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))


async def test_a_readonly_app_writes_no_config():
    write_project(Path())
    app = CascadeApp(None, environment=ENVIRONMENT, is_readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        screen.query_one("#folder", Input).value = "photographs"
        await until(pilot, lambda: "1 picture" in _words(screen, "counted"))
        await pilot.press("ctrl+o")
        assert pilot.app.screen is screen
        assert not Path("my-run.toml").exists()
