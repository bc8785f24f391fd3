"""How the other views of a run look: every size, state and brightness, beside stored pictures.

After an intended change: pytest --snapshot-update, and look.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from form_pilot import until
from form_project import CONFIG, ENVIRONMENT, write_project
from looks import Looks, shown
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, SelectionList

import cascade_tui.app
from cascade_tui.app import CascadeApp
from cascade_tui.gpu import GpuReport
from cascade_tui.screens.alerts import AlertScreen
from cascade_tui.screens.change import ChangeForm
from cascade_tui.screens.chart import ChartScreen
from cascade_tui.screens.compare_runs import CompareRunsScreen
from cascade_tui.screens.confirm import Confirm
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.gpus import GpuScreen
from cascade_tui.screens.help import HelpScreen
from cascade_tui.screens.other_runs import OtherRuns
from cascade_tui.screens.picture import PictureScreen, PictureView
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.widgets.alert_strip import AlertStrip
from engine.config.frozen import freeze
from engine.config.loading import load_project
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import Kind, write_run
from tests.cascade_tui.test_alerts import COOL, FULL
from tests.cascade_tui.test_gpu_panel import SICK, many
from tests.cascade_tui.test_monitor import GPU, NO_GPU, MonitorApp, settle

RUN = Path("shiba-lora")

pytestmark = pytest.mark.parametrize("theme", ["dark", "light"])


class StyledMonitor(MonitorApp):
    """The Monitor as the app styles it, which also counts for what opens above it."""

    CSS_PATH = Path(cascade_tui.app.__file__).with_name(str(CascadeApp.CSS_PATH))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # paths are shown from there
    monkeypatch.setenv("HF_HOME", "hf")
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.delenv("NO_COLOR", raising=False)


def _frozen_run(kind: Kind, config: str = CONFIG, name: Path = RUN) -> RunDirectory:
    """A run with a frozen config."""
    run = write_run(name, kind)
    path = write_project(Path(), config)
    freeze(load_project(path, environment=ENVIRONMENT, check=False), run.root)
    return run


async def _monitor(pilot: Pilot[None], *keys: str) -> None:
    await settle(pilot)
    await pilot.press(*keys)


@pytest.mark.parametrize(
    "report", [NO_GPU, GpuReport((SICK, *GPU.gpus)), many(8)], ids=["none", "two", "eight"]
)
async def test_gpus(looks: Looks, report: GpuReport, theme) -> None:
    run = write_run(RUN, "running")
    numbered = tuple(replace(gpu, index=number) for number, gpu in enumerate(report.gpus))

    async def look(pilot: Pilot[None]) -> None:
        await _monitor(pilot, "u")
        await shown(pilot, GpuScreen)

    app = StyledMonitor(run, replace(report, gpus=numbered))
    await looks.compare(app, theme, look, settle)


@pytest.mark.parametrize("kind", ["empty", "running"])
async def test_alerts(looks: Looks, kind: Kind, theme) -> None:
    run = write_run(RUN, kind)
    gpus = (COOL, FULL) if kind == "running" else (COOL,)

    async def look(pilot: Pilot[None]) -> None:
        await _monitor(pilot)
        strip = pilot.app.screen.query_one(AlertStrip)
        wanted = {"empty": "", "running": "3 alerts"}[kind]
        await until(pilot, lambda: wanted in str(strip.content))
        await pilot.press("exclamation_mark")
        await shown(pilot, AlertScreen)

    app = StyledMonitor(run, GpuReport(gpus))
    await looks.compare(app, theme, look, settle)


@pytest.mark.parametrize("typed", ["25", "0"], ids=["valid", "wrong"])
async def test_change(looks: Looks, typed: str, theme) -> None:
    run = _frozen_run("running")

    async def look(pilot: Pilot[None]) -> None:
        await _monitor(pilot, "i")
        await shown(pilot, ChangeForm)
        await pilot.press(*["backspace"] * 3, *typed)

    await looks.compare(StyledMonitor(run), theme, look, settle)


async def test_stop(looks: Looks, theme) -> None:
    run = write_run(RUN, "running")

    async def look(pilot: Pilot[None]) -> None:
        await _monitor(pilot, "S")
        await shown(pilot, Confirm)

    await looks.compare(StyledMonitor(run), theme, look, settle)


async def test_help(looks: Looks, theme) -> None:
    run = write_run(RUN, "running")

    async def look(pilot: Pilot[int]) -> None:
        await _monitor(pilot)
        pilot.app.push_screen(HelpScreen(pilot.app.screen))
        await shown(pilot, HelpScreen)

    await looks.compare(StyledMonitor(run), theme, look, settle)


@pytest.mark.parametrize("kind", ["valid", "damaged"])
async def test_picture(looks: Looks, kind: str, theme) -> None:
    run = write_run(RUN, "running")
    if kind == "damaged":
        (run.validation_dir(500) / "portrait-42.png").write_bytes(b"\x89PNG damaged")

    async def look(pilot: Pilot[int]) -> None:
        await pilot.press("4")
        screen = await shown(pilot, GalleryScreen)
        await until(pilot, lambda: screen.query(PictureGrid) and screen._snapshot is not None)
        await pilot.press("enter")
        await shown(pilot, PictureScreen)

    async def decoded(pilot: Pilot[int]) -> None:
        view = pilot.app.screen.query_one(PictureView)
        await until(pilot, lambda: all(w.is_finished for w in pilot.app.workers if w.node is view))
        await until(pilot, lambda: view._tile.rows or view._tile.problem)

    app = CascadeApp(run_directory=run.root)
    await looks.compare(app, theme, look, decoded)


@pytest.mark.parametrize("kind", ["caching", "failed"])
async def test_compare_runs(looks: Looks, kind: Kind, theme) -> None:
    _frozen_run("finished", name=Path("runs/before"))
    changed = CONFIG.replace("lora_rank = 16", "lora_rank = 32").replace("1e-4", "2e-4")
    _frozen_run(kind, changed, Path("runs/shiba-lora"))

    async def look(pilot: Pilot[int]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: screen._reports is not None)
        await pilot.pause()
        await pilot.press("space", "space", "c")
        beside = await shown(pilot, CompareRunsScreen)
        assert isinstance(beside, CompareRunsScreen)
        await until(pilot, lambda: beside.compared)
        await pilot.pause()

    app = CascadeApp(runs_root=Path("runs"))
    await looks.compare(app, theme, look)


@pytest.mark.parametrize("kind", ["choosing", "over"])
async def test_runs_over_the_chart(looks: Looks, kind: str, theme) -> None:
    run = write_run(RUN, "running")
    write_run(Path("before"), "finished")
    write_run(Path("rank-8"), "failed")

    async def look(pilot: Pilot[None]) -> None:
        await _monitor(pilot, "f")
        chart = await shown(pilot, ChartScreen)
        assert isinstance(chart, ChartScreen)
        await pilot.press("o")
        choices = (await shown(pilot, OtherRuns)).query_one(SelectionList)
        await until(pilot, lambda: choices.option_count)
        if kind == "over":
            await pilot.press("space", "enter")
            await until(pilot, lambda: pilot.app.screen is chart and chart._others)
        await pilot.pause()

    await looks.compare(StyledMonitor(run), theme, look, settle)


async def test_palette(looks: Looks, theme) -> None:
    write_run(Path("runs/shiba-lora"), "running")

    async def look(pilot: Pilot[int]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, RunsScreen)
        await until(pilot, lambda: screen._reports is not None)
        await pilot.press("ctrl+p")
        palette = await shown(pilot, CommandPalette)
        palette.query_one(Input).cursor_blink = False
        listed = palette.query_one(CommandList)
        await until(pilot, lambda: listed.option_count and not palette._show_busy)
        workers = pilot.app.workers
        await until(pilot, lambda: all(w.is_finished for w in workers if w.node is palette))
        await pilot.pause()

    await looks.compare(CascadeApp(runs_root=Path("runs")), theme, look)
