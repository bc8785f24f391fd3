"""The panels of the Monitor: GPUs, caches, header, pictures as half blocks."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from PIL import Image
from textual.app import App, ComposeResult
from textual.widget import Widget

from cascade_tui.follow.snapshot import CacheState, RunSnapshot
from cascade_tui.gpu import GpuReport, GpuSample, GpuWatch
from cascade_tui.widgets.bars import bar
from cascade_tui.widgets.cache_panel import CachePanel
from cascade_tui.widgets.gpu_panel import GpuPanel
from cascade_tui.widgets.run_header import header_text
from cascade_tui.widgets.tiles import Drawing, TileCache
from engine.run.status import RunState

GIB = 1 << 30


class PanelApp(App[None]):
    """One panel."""

    CSS = "CachePanel { height: 1fr; }"

    def __init__(self, panel: Widget) -> None:
        super().__init__()
        self.panel = panel

    def compose(self) -> ComposeResult:
        yield self.panel


def gpu(index: int, used_gib: float) -> GpuSample:
    used = int(used_gib * GIB)
    return GpuSample(index, "NVIDIA L4", used, 24 * GIB, used, 50, 70.0, 72.0, 60)


async def test_memory_above_the_mark_carries_a_sign_not_colour_alone() -> None:
    panel = GpuPanel()
    async with PanelApp(panel).run_test(size=(60, 10)) as pilot:
        panel.show(GpuReport((gpu(0, 12),)))
        await pilot.pause()
        assert "12.0/24 GiB" in panel.plain
        assert "▲" not in panel.plain
        panel.show(GpuReport((gpu(0, 23.5),)))
        await pilot.pause()
        assert "23.5/24 GiB ▲" in panel.plain


async def test_several_gpus_have_two_lines_each() -> None:
    panel = GpuPanel()
    async with PanelApp(panel).run_test(size=(60, 20)) as pilot:
        panel.show(GpuReport((gpu(0, 12), gpu(1, 13))))
        await pilot.pause()
        lines = panel.plain.splitlines()
        assert [line[0] for line in lines[::2]] == ["0", "1"]
        assert len(lines) == 4


async def test_without_a_gpu_the_reason_is_named() -> None:
    panel = GpuPanel()
    async with PanelApp(panel).run_test() as pilot:
        panel.show(GpuReport(reason="the NVIDIA driver is not installed"))
        await pilot.pause()
        assert "the NVIDIA driver is not installed" in panel.plain


def test_a_driver_that_hangs_is_reported_and_so_is_its_recovery() -> None:
    may_answer, seen = threading.Event(), []
    answered, reported = GpuReport((gpu(0, 1),)), threading.Condition()

    def read() -> GpuReport:
        assert may_answer.wait(timeout=30)
        return answered

    def on_report(report: GpuReport) -> None:
        with reported:
            seen.append(report)
            reported.notify_all()

    watch = GpuWatch(on_report, read, period_seconds=0.001, patience_seconds=0.001)
    watch.start()
    with reported:
        assert reported.wait_for(lambda: seen, timeout=30)
        assert seen[0].reason == "NVML does not answer"
        may_answer.set()
        assert reported.wait_for(lambda: seen[-1] == answered, timeout=30)
    watch.stop()


def test_the_watch_hands_over_a_report_only_when_it_differs() -> None:
    reports = iter([GpuReport((gpu(0, 1),)), GpuReport((gpu(0, 1),)), GpuReport(reason="gone")])
    seen: list[GpuReport] = []
    is_over = threading.Event()

    def on_report(report: GpuReport) -> None:
        seen.append(report)
        if report.reason:
            is_over.set()

    watch = GpuWatch(on_report, lambda: next(reports), period_seconds=0.001)
    watch.start()
    assert is_over.wait(timeout=30)
    watch.stop()
    assert [bool(report.gpus) for report in seen] == [True, False]


@pytest.mark.parametrize("width", [34, 60, 120])
async def test_cache_lines_fit_their_panel(width: int) -> None:
    panel = CachePanel()
    async with PanelApp(panel).run_test(size=(width, 10)) as pilot:
        latent = CacheState("latent", 1200, 4000, 310.0, 300_000_000, 9.0, 17)
        panel.show({"text": CacheState("text", 5, 5, 0.0, 10, None, 0), "latent": latent})
        await pilot.pause()
        lines = panel.plain.splitlines()
        assert all(len(line) <= panel.size.width for line in lines)
        assert "1 200/4 000" in panel.plain
        assert "310/s" in panel.plain


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999, 1.0, 1.7])
@pytest.mark.parametrize("mark", [None, 0.95])
def test_a_bar_is_as_wide_as_asked(share: float, mark: float | None) -> None:
    for width in range(1, 40):
        assert bar(share, width, mark=mark).cell_len == width


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_the_header_never_outgrows_its_line_and_keeps_the_state(width: int) -> None:
    snapshot = RunSnapshot(
        1,
        RunState("running"),
        "a-run-with-a-name-that-somebody-thought-about-for-a-long-time",
        phase="training",
        step=12_480,
        max_steps=30_000,
        images_per_second=3.1,
    )
    text = header_text(snapshot, "1 h 34 min left", width)
    assert text.cell_len <= width
    assert "● training" in text.plain


def test_pictures_keep_their_shape_within_the_room(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (200, 100), "red").save(path)
    tile = TileCache().load(str(path), Drawing(40, 40))
    assert (tile.columns, len(tile.rows)) == (40, 10)
    assert "".join(segment.text for segment in tile.rows[0]) == "▀" * 40


def test_a_picture_that_changed_is_read_again(tmp_path: Path) -> None:
    path, cache = tmp_path / "a.png", TileCache()
    Image.new("RGB", (8, 8), "red").save(path)
    first = cache.load(str(path), Drawing(4, 4))
    assert cache.load(str(path), Drawing(4, 4)) is first
    Image.new("RGB", (16, 8), "blue").save(path)
    assert cache.load(str(path), Drawing(4, 4)) != first


def test_a_missing_or_damaged_picture_says_so(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    cache = TileCache()
    assert cache.load(str(tmp_path / "bad.png"), Drawing(4, 4)).problem == "cannot be read"
    assert cache.load(str(tmp_path / "none.png"), Drawing(4, 4)).problem == "the file is gone"


def test_a_run_that_hangs_says_so_in_the_header() -> None:
    snapshot = RunSnapshot(1, RunState("running"), "run", phase="training", quiet_minutes=7)
    assert "▲ no step for 7 min" in header_text(snapshot, "", 80).plain
