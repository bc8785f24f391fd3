"""The Gallery: prompts down, steps across."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import until
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.picture import PictureScreen
from tests.cascade_tui.run_fixture import Kind, write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _app(kind: Kind = "finished") -> CascadeApp:
    return CascadeApp(run_directory=write_run(Path("shiba-lora"), kind).root)


async def _opened(pilot: Pilot[int]) -> PictureGrid:
    await pilot.press("4")
    await until(pilot, lambda: isinstance(pilot.app.screen, GalleryScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.query(PictureGrid) and screen._snapshot is not None)
    grid = screen.query_one(PictureGrid)
    await until(pilot, lambda: "reading…" not in grid.plain)
    await pilot.pause()
    return grid


async def test_the_grid_scrubs_compares_and_copies_the_path():
    app = _app()
    async with app.run_test(size=(80, 24)) as pilot:
        grid = await _opened(pilot)
        assert "› portrait 500" in grid.plain
        await pilot.press("left", "down")
        assert "› landscape 400" in grid.plain
        await pilot.press("b")
        assert "landscape 100" in grid.plain
        assert "› landscape 400" in grid.plain
        await pilot.press("escape", "y")
        assert app.clipboard.endswith("validation/step-000000400/landscape-42.png")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PictureScreen))
        assert "landscape · step 400" in str(app.screen.query_one("#caption").render())


async def test_without_pictures_it_says_when_they_come():
    async with _app("empty").run_test(size=(80, 24)) as pilot:
        assert "the first come with the first validation" in (await _opened(pilot)).plain
