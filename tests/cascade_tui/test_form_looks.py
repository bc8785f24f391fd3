"""How the screens around a config look: every size, state and brightness, beside stored pictures.

After an intended change: pytest --snapshot-update, and look.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until, write
from form_project import CONFIG, WRONG, write_project
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Static

from cascade_tui.app import CascadeApp
from cascade_tui.screens.datasets import DatasetsScreen
from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.themes import THEMES
from tests.cascade_tui.run_fixture import write_run

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x50": (200, 50)}
NO_BACKEND = CONFIG[: CONFIG.index("[[data_backend]]")] + CONFIG[CONFIG.index("[validation") :]
CONFIGS = {"empty": NO_BACKEND, "valid": CONFIG, "wrong": WRONG}

pytestmark = [
    pytest.mark.parametrize("size", SIZES.values(), ids=SIZES),
    pytest.mark.parametrize("theme", ["dark", "light"]),
]
Compare = Callable[..., bool]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roomy_disk: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "hf")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("kind", ["empty", "running", "failed"])
def test_runs(snap_compare: Compare, kind, size, theme) -> None:
    if kind != "empty":
        write_run(Path("out/before"), "finished")
        write_run(Path("out/shiba-lora"), kind)
    Path("out").mkdir(exist_ok=True)

    async def look(pilot: Pilot[int]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: screen._reports is not None)
        await pilot.pause()

    app = CascadeApp(runs_root=Path("out"), theme=theme)
    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("kind", CONFIGS)
def test_configure(snap_compare: Compare, kind, size, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        pilot.app.theme = THEMES[theme]
        await checked_form(pilot)
        await go_to(pilot, "mixed_precision")

    app = open_app(write_project(Path(), CONFIGS[kind]))
    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("kind", CONFIGS)
def test_datasets(snap_compare: Compare, kind, size, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        pilot.app.theme = THEMES[theme]
        await checked_form(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(pilot.app.screen, DatasetsScreen))
        told = pilot.app.screen.query_one("#problems", Static)
        if kind == "wrong":
            await until(pilot, lambda: "✖ resolution" in str(told.render()))
        if kind == "valid":
            await pilot.press("b")
            told = pilot.app.screen.query_one("#buckets", Static)
            await until(pilot, lambda: "to train on" in str(told.render()))
        await pilot.pause()

    wrong = CONFIG.replace('"1024x1024"', '"wide"').replace("default = true\n", "")
    app = open_app(write_project(Path(), wrong if kind == "wrong" else CONFIGS[kind]))
    for place, shape in enumerate([(1200, 800), (1024, 1024), (640, 640), (900, 1200)]):
        Image.new("RGB", shape).save(f"photographs/{place}.png")
    assert snap_compare(app, terminal_size=size, run_before=look)


@pytest.mark.parametrize("typed", ["", "photographs", "nowhere"], ids=["found", "valid", "wrong"])
def test_guide(snap_compare: Compare, typed, size, theme) -> None:
    write_project(Path())

    async def look(pilot: Pilot[int]) -> None:
        pilot.app.theme = THEMES[theme]
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
        await write(pilot, typed)
        counted = pilot.app.screen.query_one("#counted", Static)
        wanted = {"": "1 picture", "photographs": "1 picture", "nowhere": "✖"}[typed]
        await until(pilot, lambda: wanted in str(counted.render()))
        await pilot.pause()

    assert snap_compare(open_app(None), terminal_size=size, run_before=look)
