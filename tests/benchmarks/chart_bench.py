"""Time what following and drawing a long run costs.

    python tests/benchmarks/chart_bench.py --steps 1000000

Prints, for a log of N steps: the time to the first curve (from samples), to the whole curve, the
memory then held; and for a chart of the given size: the time of the first and of each later draw,
and how many cells a new step sends.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from textual.app import App, ComposeResult
from textual.geometry import Region

sys.path.insert(0, str(Path(__file__).parents[2]))

from cascade_tui.follow.follower import preview_of
from cascade_tui.follow.metrics import MetricStore, Series
from cascade_tui.follow.reader import RunReader
from cascade_tui.widgets.line_chart import LineChart
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_start, emit_step

_NUM_DRAWS = 50


class ChartApp(App[None]):
    """One chart."""

    def compose(self) -> ComposeResult:
        """Fills the screen."""
        yield LineChart("loss", is_ascii=False, smoothing=0.8)


def write_log(run: RunDirectory, num_steps: int) -> int:
    """Write a log of steps whose loss falls; returns its size in bytes."""
    with EventWriter(run.events) as writer:
        emit_start(writer, num_steps)
        emit_step(writer, 1, 0.5)
    line = run.events.read_bytes().splitlines(keepends=True)[-1]
    before, after = line.split(b'"step": 1, "loss": 0.5,')
    with run.events.open("ab") as file:
        for step in range(2, num_steps + 1):
            loss = 0.1 + 0.3 / (1 + 9 * step / num_steps) + 0.01 * (step * 7919 % 13 - 6)
            file.write(b'%s"step": %d, "loss": %.17g,%s' % (before, step, loss, after))
    return run.events.stat().st_size


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that an action takes."""
    start = time.perf_counter()
    action()
    return 1e3 * (time.perf_counter() - start)


def read_all(reader: RunReader) -> None:
    """Read until nothing is left."""
    while reader.poll() or reader.has_more:
        pass


async def draw(series: Series, size: tuple[int, int]) -> None:
    """Draw a series, then again with each of some new steps."""
    app = ChartApp()
    async with app.run_test(size=size) as pilot:
        chart = app.query_one(LineChart)
        first = timed(lambda: chart.show(series))
        await pilot.pause()
        sent: list[Region] = []
        chart.refresh = lambda *regions, **_: sent.extend(regions)  # type: ignore[method-assign]
        last = series.last_step
        times = []
        for step in range(last + 1, last + 1 + _NUM_DRAWS):
            series.append(step, series.last)
            times.append(timed(lambda: chart.show(series)))
    cells = sum(region.area for region in sent) / _NUM_DRAWS
    later = statistics.median(times)
    print(f"draw at {size[0]} x {size[1]}: first {first:.1f} ms, then {later:.1f} ms")
    print(f"a new step sends {cells:.1f} of {size[0] * size[1]} cells")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, nargs=2, default=(140, 20), metavar=("W", "H"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = RunDirectory(Path(folder))
        size = write_log(run, options.steps)
        print(f"{options.steps} steps, {size / 1e6:.0f} MB of events")
        print(f"first curve, from samples: {timed(lambda: preview_of(run)):.0f} ms")
        reader = RunReader(run)
        print(f"whole curve: {timed(lambda: read_all(reader)):.0f} ms")
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"memory of this process: {memory:.0f} MB")
    store = MetricStore(("loss",))
    values = 0.2 + 0.02 * np.random.default_rng(0).normal(size=(1, options.steps))
    store.extend(np.arange(1, options.steps + 1), values)
    asyncio.run(draw(store.series("loss"), tuple(options.size)))


if __name__ == "__main__":
    main()
