"""One chart on the whole screen, and what it does to those of the Monitor."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.widgets import SelectionList

from cascade_tui.screens.chart import CHARTS, ChartScreen
from cascade_tui.widgets.line_chart import LineChart
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_step, write_run
from tests.cascade_tui.test_monitor import MonitorApp, settle, until


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = write_run(tmp_path / "runs" / "shiba", "running")
    with EventWriter(run.events) as events:
        bands = [0.4, 0.3, 0.2, 0.1]
        events.emit("validation", step=500, loss=0.25, bands=bands, num_images=2)
    other = write_run(tmp_path / "runs" / "corgi", "finished")
    with EventWriter(other.events) as events:
        emit_step(events, 2000, 0.123)
    return run


async def opened(pilot: Pilot, *keys: str) -> LineChart:
    await settle(pilot)
    await pilot.press("f", *keys)
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, ChartScreen)
    return screen.chart


def bottom(chart: LineChart) -> str:
    return chart.plain.splitlines()[-1]


async def test_every_chart_of_a_run_is_shown_in_turn(run):
    app = MonitorApp(run)
    async with app.run_test(size=(100, 30)) as pilot:
        chart = await opened(pilot)
        titles = []
        for _ in CHARTS:
            titles.append(chart.plain.splitlines()[0])
            await pilot.press("right_square_bracket")
            await pilot.pause()
        for kind, title in zip(CHARTS.values(), titles, strict=True):
            assert kind.title in title
        assert "4 noisy" in titles[1]
        assert "loss" in chart.plain.splitlines()[0]
        await pilot.press("left_square_bracket")
        await pilot.pause()
        assert "loader wait" in chart.plain.splitlines()[0]


async def test_the_crosshair_reads_the_curves_and_is_seen_in_the_monitor_too(run):
    app = MonitorApp(run)
    async with app.run_test(size=(120, 40)) as pilot:
        chart = await opened(pilot, "left")
        assert "step 500" in bottom(chart)
        assert "V 0.25" in bottom(chart)
        assert "┊" in chart.plain
        await pilot.press("left", "left")
        await pilot.pause()
        assert "step 500" not in bottom(chart)
        told = bottom(chart).split(" · ")[0]
        await pilot.press("escape")
        await pilot.pause()
        norm = app.monitor.query_one("#grad_norm", LineChart)
        assert told.split("step")[1] in bottom(norm)
        await pilot.press("0")
        await pilot.pause()
        assert "step" not in bottom(norm)


async def test_zoom_and_pan_are_those_of_all_charts(run):
    app = MonitorApp(run)
    async with app.run_test(size=(120, 40)) as pilot:
        chart = await opened(pilot, "plus", "plus")
        axis = chart.plain.splitlines()[-2]
        assert "375" in axis
        await pilot.press("H")
        await pilot.pause()
        assert "344" in chart.plain.splitlines()[-2]
        await pilot.press("escape")
        await pilot.pause()
        assert "344" in app.monitor.query_one("#lr", LineChart).plain.splitlines()[-2]
        await pilot.press("f", "0")
        await pilot.pause()
        assert app.screen.query_one(LineChart).plain.splitlines()[-2].strip(" │").startswith("0")


async def test_the_wheel_zooms_where_the_mouse_is_and_a_click_points(run):
    app = MonitorApp(run)
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        loss = app.monitor.query_one("#loss", LineChart)
        await pilot.click(loss, offset=(40, 5))
        await pilot.pause()
        assert "step" in bottom(loss)
        before = loss.plain.splitlines()[-2]
        loss.post_message(MouseScrollUp(loss, 40, 5, 0, 0, 0, False, False, False))
        await pilot.pause()
        assert loss.plain.splitlines()[-2] != before


async def test_axis_and_smoothing_change(run):
    app = MonitorApp(run)
    async with app.run_test(size=(100, 30)) as pilot:
        chart = await opened(pilot, "y", "s")
        assert "log" in bottom(chart)
        assert "smoothing 0.8" in bottom(chart)


async def test_other_runs_are_laid_over_by_letter_and_taken_away_again(run):
    app = MonitorApp(run)
    async with app.run_test(size=(100, 30)) as pilot:
        chart = await opened(pilot)
        await pilot.press("o")
        await until(pilot, lambda: any(x.option_count for x in app.screen.query(SelectionList)))
        ticks = app.screen.query_one(SelectionList)
        assert "✔" not in ticks.render_line(0).text
        await pilot.press("space")
        await until(pilot, lambda: "✔" in ticks.render_line(0).text)
        await pilot.press("enter")
        while "a corgi" not in chart.plain.splitlines()[0]:
            await pilot.pause()
        assert "2k" in chart.plain.splitlines()[-2] or "1000" in chart.plain.splitlines()[-2]
        await pilot.press("o")
        await until(pilot, lambda: any(x.option_count for x in app.screen.query(SelectionList)))
        await pilot.press("enter")
        while "corgi" in chart.plain.splitlines()[0]:
            await pilot.pause()


async def test_a_run_without_a_step_has_a_chart_that_says_so(tmp_path):
    app = MonitorApp(write_run(tmp_path / "new", "empty"))
    async with app.run_test(size=(80, 24)) as pilot:
        chart = await opened(pilot, "plus", "H", "left")
        assert "no step yet" in chart.plain


async def test_other_runs_can_be_left_alone_and_the_crosshair_taken_away(run):
    app = MonitorApp(run)
    async with app.run_test(size=(100, 30)) as pilot:
        chart = await opened(pilot)
        await pilot.press("o")
        await until(pilot, lambda: any(x.option_count for x in app.screen.query(SelectionList)))
        await pilot.press("space", "escape")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen))
        assert "corgi" not in chart.plain
        before = chart.plain
        await pilot.press("left")
        await until(pilot, lambda: chart.plain != before)
        await pilot.press("x")
        await until(pilot, lambda: chart.plain == before)
