"""Keys that arrive in one go do what they do one by one: over a slow link they come in bunches."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import write_project
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input

from cascade_tui.app import CascadeApp
from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.welcome import WelcomeScreen
from tests.pty_terminal import Terminal


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _at_once(app: CascadeApp, keys: Iterable[str]) -> None:
    for key in keys:
        name = key if len(key) > 1 else _character_to_key(key)
        app.post_message(events.Key(name, key if len(key) == 1 else None))


async def test_a_field_is_searched_for_edited_and_left_with_all_its_keys_at_once():
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        _at_once(pilot.app, ["/", *"lora_rank", "enter", "enter", "ctrl+u", *"64", "enter", "D"])
        await until(pilot, lambda: form.draft.document.get("lora_rank") is None)
        assert pilot.app.screen is form
        assert form.query_one("#search", Input).value == "lora_rank"
        await pilot.press("u")
        assert form.draft.document.get("lora_rank") == 64


async def test_what_is_typed_for_a_screen_that_is_opened_gets_there():
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: getattr(pilot.app.screen, "_is_empty", False))
        _at_once(pilot.app, ["n", *"~/photo"])
        await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
        folder = pilot.app.screen.query_one("#folder", Input)
        await until(pilot, lambda: folder.value == "~/photo")
        _at_once(pilot.app, ["escape", "o", "escape", "o", "o", *"config"])
        await until(pilot, lambda: _path_typed(pilot.app) == "config")


def _path_typed(app: CascadeApp) -> str:
    """What stands in the line of the Welcome screen; nothing where there is none."""
    paths = app.screen.query(Input) if isinstance(app.screen, WelcomeScreen) else ()
    return "".join(path.value for path in paths)


async def test_keys_go_on_after_one_whose_field_went_away():
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        _at_once(pilot.app, ["p", "escape", "d", "escape", "enter", "ctrl+u", *"8", "enter"])
        await until(pilot, lambda: form.draft.document.get("lora_rank") == 8)


def test_in_a_terminal_one_write_of_many_keys_edits_the_field(tmp_path):
    command = [sys.executable, "-m", "cascade_tui", str(write_project(tmp_path))]
    variables = {"PYTHONPATH": str(Path(__file__).parents[2])}
    with Terminal(command, (80, 24), variables, tmp_path) as terminal:
        terminal.shows("ready to launch")
        terminal.press("/lora_rank\r\r\x1564\rw")
        terminal.shows("saved config.toml")
        assert "lora_rank = 64" in (tmp_path / "config.toml").read_text()
