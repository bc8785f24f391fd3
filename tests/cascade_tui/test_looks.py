"""How the screens of a run look: every size, state and brightness, compared with stored pictures.

After an intended change: pytest --snapshot-update, and look.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from form_pilot import until
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.screens.chart import ChartScreen
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.log import LogScreen
from cascade_tui.themes import THEMES as ALL
from cascade_tui.widgets.log_view import LogView
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import Kind, write_run
from tests.cascade_tui.test_monitor import GPU, NO_GPU, MonitorApp, settle

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x50": (200, 50)}
THEMES = {name: ALL[name] for name in ("dark", "light")}

pytestmark = [
    pytest.mark.parametrize("size", SIZES.values(), ids=SIZES),
    pytest.mark.parametrize("kind", ["empty", "running", "failed"]),
    pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES),
]
Compare = Callable[..., bool]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> RunDirectory:
    write_run(tmp_path / "shiba-lora", kind)
    monkeypatch.chdir(tmp_path)  # paths are shown
    monkeypatch.delenv("NO_COLOR", raising=False)
    return RunDirectory(Path("shiba-lora"))


def test_monitor(snap_compare: Compare, run: RunDirectory, kind, size, theme) -> None:
    async def look(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await settle(pilot)

    app = MonitorApp(run, NO_GPU if kind == "empty" else GPU)
    assert snap_compare(app, terminal_size=size, run_before=look)


def test_chart(snap_compare: Compare, run: RunDirectory, size, theme) -> None:
    async def look(pilot: Pilot[None]) -> None:
        pilot.app.theme = theme
        await settle(pilot)
        await pilot.press("f", "left", "plus")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChartScreen))

    assert snap_compare(MonitorApp(run), terminal_size=size, run_before=look)


def test_gallery(snap_compare: Compare, run: RunDirectory, size, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        pilot.app.theme = theme
        await pilot.press("4")
        await until(pilot, lambda: isinstance(pilot.app.screen, GalleryScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: screen.query(PictureGrid) and screen._snapshot is not None)
        await until(pilot, lambda: "reading…" not in screen.query_one(PictureGrid).plain)
        await pilot.pause()

    app = CascadeApp(run_directory=run.root)
    assert snap_compare(app, terminal_size=size, run_before=look)


def test_log(snap_compare: Compare, run: RunDirectory, kind, size, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        pilot.app.theme = theme
        await pilot.press("5")
        await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
        await until(pilot, lambda: bool(pilot.app.screen.query(LogView)))
        view = pilot.app.screen.query_one(LogView)
        wanted = {"empty": "is empty", "running": "step 500", "failed": "OutOfMemoryError"}[kind]
        await until(pilot, lambda: wanted in view.plain)
        await pilot.pause()

    app = CascadeApp(run_directory=run.root)
    assert snap_compare(app, terminal_size=size, run_before=look)
