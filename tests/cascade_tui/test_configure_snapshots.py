"""What the form looks like; after an intended change: pytest --snapshot-update, and look."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import WRONG, write_project
from textual.pilot import Pilot

from cascade_tui.screens.welcome import WelcomeScreen

SIZES = [(80, 24), (120, 36)]
pytestmark = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x36"])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roomy_disk: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "hf")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_welcome(snap_compare, size: tuple[int, int]):
    async def begin(pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
        await pilot.pause()

    assert snap_compare(open_app(None), terminal_size=size, run_before=begin)


def test_a_valid_config(snap_compare, size: tuple[int, int]):
    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await go_to(pilot, "learning_rate")

    assert snap_compare(open_app(write_project(Path())), terminal_size=size, run_before=look)


def test_a_config_with_errors(snap_compare, size: tuple[int, int]):
    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await go_to(pilot, "mixed_precision")

    app = open_app(write_project(Path(), WRONG))
    assert snap_compare(app, terminal_size=size, run_before=look)


def test_a_field_being_edited_wrongly(snap_compare, size: tuple[int, int]):
    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await go_to(pilot, "learning_rate")
        await pilot.press("enter", "x")

    assert snap_compare(open_app(write_project(Path())), terminal_size=size, run_before=look)


def test_a_malformed_file(snap_compare, size: tuple[int, int]):
    Path("config.json").write_text('{\n  "seed": 1,\n  "lora_rank" 16\n}\n')
    assert snap_compare(open_app(Path("config.json")), terminal_size=size)
