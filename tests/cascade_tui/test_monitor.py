"""The Monitor: its keys, and how it looks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.screen import Screen

from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.notifying import NotifyBy
from cascade_tui.screens.confirm import Confirm
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.screens.picture import PictureScreen
from cascade_tui.themes import ThemedApp
from cascade_tui.widgets.console_tail import ConsoleView
from cascade_tui.widgets.gpu_panel import GpuPanel
from cascade_tui.widgets.line_chart import LineChart
from cascade_tui.widgets.thumbnails import Thumbnails
from engine.run.control import pending
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import Kind, write_run

_GIB = 1 << 30
GPU = GpuReport(
    (GpuSample(0, "NVIDIA H100", 57 * _GIB, 80 * _GIB, 61 * _GIB, 98, 612.0, 700.0, 64),)
)
NO_GPU = GpuReport(reason="the NVIDIA driver is not installed")


class MonitorApp(ThemedApp):
    """Nothing but the Monitor."""

    def __init__(
        self, run: RunDirectory, report: GpuReport = GPU, notify_by: NotifyBy = "off"
    ) -> None:
        super().__init__()
        self.use_theme("dark")
        self.monitor = MonitorScreen(
            run, read_gpus=lambda: report, clock=lambda: 0.0, notify_by=notify_by
        )

    def get_default_screen(self) -> Screen[None]:
        return self.monitor

    @property
    def is_settled(self) -> bool:
        """Whether everything that was written is shown."""
        snapshot = self.monitor.snapshot
        if snapshot is None or not self.monitor.query("Footer"):
            return False
        thumbnails = self.monitor.query_one(Thumbnails)
        is_drawn = thumbnails._drawn is not None and thumbnails._drawn[0] == thumbnails._view
        return self.monitor.query_one(GpuPanel)._report is not None and (
            is_drawn or not snapshot.pictures or not thumbnails.display
        )


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(30):
        while not condition():
            await pilot.pause(0.02)


async def settle(pilot: Pilot[None]) -> None:
    """Wait until the Monitor shows what was written."""
    app = pilot.app
    assert isinstance(app, MonitorApp)
    await until(pilot, lambda: app.is_settled)
    await pilot.pause()  # classes set by the snapshot may change the layout, hence the pictures
    await until(pilot, lambda: app.is_settled)
    await pilot.pause()


def commands(run: RunDirectory) -> list[str]:
    return [command.command for command in pending(run)]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return write_run(tmp_path / "shiba", "running")


@pytest.mark.parametrize(
    ("key", "command"), [("c", "checkpoint"), ("v", "validate"), ("p", "pause")]
)
async def test_a_key_leaves_its_command_which_shows_as_pending(
    run: RunDirectory, key: str, command: str
) -> None:
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press(key)
        await until(pilot, lambda: commands(run) == [command])
        text = app.monitor.query_one("#command")
        await until(pilot, lambda: str(text.content) == f"› {command}: waiting for the run")
        waiting = pending(run)[0]
        with EventWriter(run.events) as writer:
            writer.emit("command", id=waiting.id, command=command, state="done", step=500)
        waiting.path.unlink()
        await until(pilot, lambda: str(text.content) == f"› {command}: done")


async def test_p_resumes_a_paused_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "paused")
    async with MonitorApp(run).run_test() as pilot:
        await settle(pilot)
        await pilot.press("p")
        await until(pilot, lambda: commands(run) == ["resume"])


@pytest.mark.parametrize("key", ["S", "A"])
async def test_stopping_asks_first_and_no_is_the_default(run: RunDirectory, key: str) -> None:
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        for answer in ("enter", "n", "escape"):
            await pilot.press(key)
            assert isinstance(app.screen, Confirm)
            await pilot.press(answer)
            await pilot.pause()
            assert app.screen is app.monitor
            assert commands(run) == []


async def test_a_confirmed_stop_is_left_for_the_run(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cascade_tui.steering.adopt", lambda _: None)  # no process to adopt here
    async with MonitorApp(run).run_test() as pilot:
        await settle(pilot)
        await pilot.press("S", "y")
        await until(pilot, lambda: commands(run) == ["stop"])


@pytest.mark.parametrize("key", ["c", "p", "S", "A"])
async def test_a_run_that_is_over_says_why_it_takes_no_command(tmp_path: Path, key: str) -> None:
    run = write_run(tmp_path / "shiba", "failed")
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press(key)
        await until(pilot, lambda: bool(app._notifications))
        assert "failed at step 500" in next(iter(app._notifications)).message
        assert commands(run) == []


async def test_scrubbing_goes_through_the_steps_and_comes_back_to_the_newest(
    run: RunDirectory,
) -> None:
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        thumbnails = app.monitor.query_one(Thumbnails)
        seen = [thumbnails.step]
        for key in ("left", "left", "right", "right", "right"):
            await pilot.press(key)
            seen.append(thumbnails.step)
        assert seen == [500, 400, 300, 400, 500, 500]


async def test_enter_shows_a_picture_in_full_size_and_escape_comes_back(run: RunDirectory) -> None:
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press("enter")
        assert isinstance(app.screen, PictureScreen)
        await pilot.press("down", "left")
        caption = str(app.screen.query_one("#caption").content)
        assert caption.startswith("landscape · step 400")
        await pilot.press("escape")
        assert app.screen is app.monitor


async def test_a_damaged_picture_says_so(run: RunDirectory) -> None:
    (run.validation_dir(500) / "portrait-42.png").write_bytes(b"\x89PNG damaged")
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        assert "cannot be read" in app.monitor.query_one(Thumbnails).render_line(1).text


async def test_y_and_plus_change_the_loss_chart(run: RunDirectory) -> None:
    app = MonitorApp(run)
    async with app.run_test() as pilot:
        await settle(pilot)
        chart = app.monitor.query_one("#loss", LineChart)
        before = chart.smoothing
        await pilot.press("y", "plus")
        assert chart.is_log
        assert chart.smoothing > before
        await pilot.press("minus", "y")
        assert (chart.is_log, chart.smoothing) == (False, before)


async def test_z_makes_the_console_large_and_escape_small_again(run: RunDirectory) -> None:
    app = MonitorApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        console = app.monitor.query_one(ConsoleView)
        assert not console.display
        await pilot.press("z")
        await pilot.pause()
        assert console.display
        assert console.size.height > 15
        await pilot.press("escape")
        await pilot.pause()
        assert not console.display


@pytest.mark.parametrize("size", [(40, 12), (46, 30), (80, 24), (120, 36), (200, 50)])
@pytest.mark.parametrize("kind", ["empty", "caching", "running", "failed", "finished"])
async def test_no_part_overlaps_another_or_leaves_the_screen(
    tmp_path: Path, kind: Kind, size: tuple[int, int]
) -> None:
    app = MonitorApp(write_run(tmp_path / "shiba", kind))
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        parts = (
            "RunHeader, LineChart, GpuPanel, CachePanel, Thumbnails, ConsoleView, #outcome, Footer"
        )
        regions = [w.region for w in app.monitor.query(parts) if w.region.area]
        assert all(app.monitor.region.contains_region(region) for region in regions)
        for position, region in enumerate(regions):
            assert not any(region.overlaps(other) for other in regions[position + 1 :])
        assert app.monitor.query_one("#loss").size.height >= 4


@pytest.mark.parametrize("size", [(46, 30), (80, 24), (120, 36)])
async def test_a_failure_begins_with_why_and_what_to_do(
    size: tuple[int, int], tmp_path: Path
) -> None:
    run = write_run(tmp_path / "shiba", "failed")
    app = MonitorApp(run)
    async with app.run_test(size=size) as pilot:
        await settle(pilot)
        outcome = app.monitor.query_one("#outcome")
        assert outcome.region.bottom <= app.monitor.query_one("#loss").region.y
        text = str(outcome.content)
        assert "exit code 1: CUDA out of memory: tried to allocate 2.0 GiB" in text
        assert "fix: halve train_batch_size and double gradient_accumulation_steps" in text
        assert "r resumes from the checkpoint of step 500 · l shows the log" in text
        console = app.monitor.query_one(ConsoleView)
        rows = [console.render_line(y).text for y in range(console.size.height)]
        assert "OutOfMemoryError" in " ".join(rows)


async def test_a_finished_run_names_its_exported_files(tmp_path: Path) -> None:
    app = MonitorApp(write_run(tmp_path / "shiba", "finished"))
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        text = str(app.monitor.query_one("#outcome").content)
        assert "export/peft.safetensors" in text
        assert "export/comfyui.safetensors" in text
