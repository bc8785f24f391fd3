"""Waiting for the form: on conditions, never on the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from form_project import ENVIRONMENT
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.widgets.field_list import FieldList

KEYS = {"-": "minus", ".": "full_stop", " ": "space", "_": "underscore", "/": "slash"}


def open_app(config: Path | None, overrides: tuple[str, ...] = ()) -> CascadeApp:
    """The app on a config, on a machine that is always the same."""
    return CascadeApp(config, overrides=overrides, environment=ENVIRONMENT)


async def until(pilot: Pilot[int], condition: Callable[[], object]) -> None:
    """Let the app work until the condition holds (pytest's timeout ends a wait in vain)."""
    while not condition():
        await pilot.pause()
        await asyncio.sleep(0)


async def checked_form(pilot: Pilot[int]) -> ConfigureScreen:
    """The form, once its problems are those of the present text."""
    await until(pilot, lambda: isinstance(pilot.app.screen, ConfigureScreen))
    form = pilot.app.screen
    assert isinstance(form, ConfigureScreen)
    await until(pilot, lambda: form.is_checked)
    await pilot.pause()
    return form


async def go_to(pilot: Pilot[int], key: str) -> None:
    """Put the cursor on a field."""
    assert pilot.app.screen.query_one(FieldList).go_to(key)
    await pilot.pause()


async def write(pilot: Pilot[int], text: str) -> None:
    """Press one key per character."""
    await pilot.press(*(KEYS.get(character, character) for character in text))


def problem_keys(form: ConfigureScreen) -> set[str]:
    """The keys that have problems now."""
    return {problem.key for problem in form.problems}
