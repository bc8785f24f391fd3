"""The GPUs in the Monitor and on their own page, from reports as NVML gives them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from rich.text import Text

from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.gpu_processes import GpuProcess, look_up, short_name
from cascade_tui.screens.gpus import GpuBlocks, GpuScreen
from cascade_tui.widgets.gpu_lines import GpuLines
from cascade_tui.widgets.gpu_panel import GpuPanel
from tests.cascade_tui.run_fixture import write_run
from tests.cascade_tui.test_monitor import GPU, NO_GPU, MonitorApp, settle, until

_GIB = 1 << 30
TRAINER = GpuProcess(4000, 54 * _GIB, "python -m engine.train", "ada", 3999)
SECOND_RANK = replace(TRAINER, pid=4001)
FOREIGN = GpuProcess(77, 2 * _GIB, "Xorg", "root", 1)
HIDDEN = GpuProcess(99999, None)
SICK = replace(
    GPU.gpus[0],
    used_bytes=77 * _GIB,
    throttles=("power cap", "too hot"),
    processes=(TRAINER, FOREIGN, HIDDEN),
)


def many(count: int) -> GpuReport:
    return GpuReport(tuple(replace(GPU.gpus[0], index=index) for index in range(count)))


def lines_of(*gpus: GpuSample, pid: int | None = 4000) -> GpuLines:
    return GpuLines(GpuReport(gpus), trainer_pid=pid, trainer_peak_bytes=50 * _GIB)


def plain(lines: list[Text]) -> list[str]:
    return [line.plain.rstrip() for line in lines]


def test_one_gpu_tells_memory_peaks_load_throttling_and_processes() -> None:
    memory, *rest = plain(lines_of(SICK).small(60, 20))
    assert memory.startswith("VRAM █")
    assert memory.endswith(" 77.0/80 GiB ▲")
    assert rest == [
        "peak 61.0 GiB (76 %), tensors 50.0",
        "util 98 %  612/700 W  64 °C  ▲ throttled: power cap, too hot",
        "●    4000  54.0 GiB  ada  python -m engine.train",
        "       77   2.0 GiB  root  Xorg",
        "    99999     ? GiB  not visible from here",
    ]


def test_processes_that_do_not_fit_are_counted() -> None:
    assert plain(lines_of(SICK).small(60, 4))[-1] == "3 processes: u shows all"
    assert plain(lines_of(SICK).small(60, 5))[-2:] == [
        "●    4000  54.0 GiB  ada  python -m engine.train",
        "2 more processes: u shows all",
    ]
    assert plain(lines_of(SICK).small(30, 4))[-1] == "▲ throttled: power cap, too h…"


def test_every_rank_of_the_run_is_ours_and_nobody_else() -> None:
    other = replace(SICK, index=1, processes=(SECOND_RANK, replace(FOREIGN, parent=1)))
    lines = lines_of(SICK, other)
    assert [lines.is_ours(p) for p in (TRAINER, SECOND_RANK, FOREIGN, HIDDEN)] == [
        True,
        True,
        False,
        False,
    ]
    orphan = replace(TRAINER, parent=1)  # its launcher died: a common parent says nothing
    lines = lines_of(replace(SICK, processes=(orphan, FOREIGN)))
    assert (lines.is_ours(orphan), lines.is_ours(FOREIGN)) == (True, False)
    assert not lines_of(SICK, pid=None).is_ours(TRAINER)


@pytest.mark.parametrize("width", [30, 42, 56])
@pytest.mark.parametrize("count", range(1, 9))
def test_up_to_eight_gpus_are_all_there_and_fit(count: int, width: int) -> None:
    lines = GpuLines(many(count), trainer_pid=None, trainer_peak_bytes=0).small(width, 4)
    assert len(lines) <= 4
    assert all(line.cell_len <= width for line in lines)
    text = " ".join(plain(lines))
    assert all(f"{index} █" in text for index in range(count)) or count == 1


def test_a_process_is_called_as_its_owner_would_call_it() -> None:
    assert short_name(["/usr/bin/python3.12", "-u", "-m", "engine.train", "run"]) == (
        "python3.12 -m engine.train"
    )
    assert short_name(["python", "/home/ada/train.py", "--fast"]) == "python train.py"
    assert short_name(["/usr/lib/xorg/Xorg", ":0"]) == "Xorg"
    mine = look_up(os.getpid(), 5)
    assert (mine.parent, mine.memory_bytes) == (os.getppid(), 5)
    assert mine.name
    assert look_up(2**22 + 1, 5) == GpuProcess(2**22 + 1, 5)


async def test_u_shows_every_gpu_in_full_and_follows_the_reports(tmp_path: Path) -> None:
    reports = [GpuReport((SICK, replace(GPU.gpus[0], index=1)))]
    app = MonitorApp(write_run(tmp_path / "shiba", "running"), reports[0])
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("u")
        page = app.screen
        assert isinstance(page, GpuScreen)
        blocks = page.query_one(GpuBlocks)
        await until(pilot, lambda: "GPU 1  NVIDIA H100" in blocks.plain)
        assert "77   2.0 GiB  root  Xorg" in blocks.plain
        cooler = replace(SICK, throttles=(), temperature_celsius=41)
        app.monitor.post_message(app.monitor.GpusChanged(GpuReport((cooler,))))
        await until(pilot, lambda: "41 °C" in blocks.plain and "GPU 1" not in blocks.plain)
        await pilot.press("escape")
        assert app.screen is app.monitor


@pytest.mark.parametrize("report", [NO_GPU, many(8)], ids=["none", "eight"])
async def test_no_gpu_says_why_and_eight_leave_room_for_the_caches(
    tmp_path: Path, report: GpuReport
) -> None:
    app = MonitorApp(write_run(tmp_path / "shiba", "caching"), report)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        panel = app.monitor.query_one(GpuPanel)
        if not report.gpus:
            assert "NVIDIA driver is not installed" in panel.plain
        else:
            assert all(f"{index} █" in panel.plain for index in range(8))
        assert app.monitor.query_one("CachePanel").size.height >= 2
