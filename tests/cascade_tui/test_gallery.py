"""The Gallery: prompts down, steps across."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from form_pilot import until
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.picture import PictureScreen
from cascade_tui.widgets.thumbnails import Thumbnails
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
        copied = Path("shiba-lora/validation/step-000000400/landscape-42.png").absolute()
        assert app.clipboard == str(copied)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PictureScreen))
        assert "landscape · step 400" in str(app.screen.query_one("#caption").render())


async def test_o_opens_the_picture_on_the_desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "xdg-open").write_text('#!/bin/sh\nprintf %s "$1" > "$0.told"\n')
    (programs / "xdg-open").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("WSL_DISTRO_NAME", raising=False)
    told = programs / "xdg-open.told"

    async def opened(pilot: Pilot[int]) -> str:
        told.unlink(missing_ok=True)
        await pilot.press("o")
        await until(pilot, lambda: told.is_file() and told.read_text() != "")
        return told.read_text()

    async with _app().run_test(size=(80, 24)) as pilot:
        await _opened(pilot)
        assert (await opened(pilot)).endswith("validation/step-000000500/portrait-42.png")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
        await pilot.press("down")
        assert (await opened(pilot)).endswith("validation/step-000000500/landscape-42.png")


async def test_o_without_a_desktop_says_how_to_get_at_the_picture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"):
        monkeypatch.delenv(name, raising=False)
    app = _app()
    async with app.run_test(size=(80, 24)) as pilot:
        await _opened(pilot)
        await pilot.press("o")
        await until(pilot, lambda: bool(app._notifications))
        [told] = [notification.message for notification in app._notifications]
        assert told == "there is no desktop here to open it on; y copies its path"


async def test_the_monitor_tells_why_a_picture_is_not_shown_within_its_width():
    run = write_run(Path("shiba-lora"), "running")
    (run.validation_dir(500) / "portrait-42.png").unlink()
    app = CascadeApp(run_directory=run.root)
    async with app.run_test(size=(48, 40)) as pilot:

        def rows() -> list[str]:
            return [
                row.text[:20]
                for part in app.screen.query(Thumbnails)
                for row in map(part.render_line, range(part.size.height))
            ]

        await until(pilot, lambda: any("gone" in row for row in rows()))
        told = " ".join(" ".join(rows()).split())
        assert "the file is" in told  # and "gone" in the row below


async def test_without_pictures_it_says_when_they_come():
    async with _app("empty").run_test(size=(80, 24)) as pilot:
        assert "the first come with the first validation" in (await _opened(pilot)).plain
