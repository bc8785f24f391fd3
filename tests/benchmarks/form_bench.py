"""What the form costs: CPU time to open it with every option, and for each kind of keystroke.

    python tests/benchmarks/form_bench.py --backends 10 --size 120x36

Times are of the main thread, in a headless app; those of keys are less what a key that does nothing
costs there. Goals: 400 ms to open, 30 ms a keystroke.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cascade_tui"))

from form_pilot import checked_form, go_to, open_app
from form_project import CONFIG, write_project
from textual.pilot import Pilot

from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.widgets.field_list import FieldList

_BACKEND = '[[data_backend]]\nid = "more{}"\ninstance_data_dir = "photographs"\n\n'


async def _cost(pilot: Pilot[int], key: str, times: int = 12) -> float:
    """Milliseconds of CPU for one press, the median of several."""
    spent: list[float] = []
    for _ in range(times):
        await pilot.pause()
        begun = time.thread_time()
        await pilot.press(key)
        await pilot.pause()
        spent.append(1e3 * (time.thread_time() - begun))
    return statistics.median(spent)


async def _measure(config: Path, size: tuple[int, int]) -> None:
    begun, begun_cpu = time.perf_counter(), time.process_time()
    app = open_app(config)
    async with app.run_test(size=size) as pilot:
        while not isinstance(app.screen, ConfigureScreen) or not app.screen.query(FieldList):
            await asyncio.sleep(0)
        form = app.screen
        while form.query_one(FieldList).field is None:
            await asyncio.sleep(0)
        wall, cpu = time.perf_counter() - begun, time.process_time() - begun_cpu
        number = len(form.draft.fields())
        print(f"{'open':24} {1e3 * wall:6.1f} ms, {1e3 * cpu:.1f} ms of CPU, {number} fields")
        await checked_form(pilot)
        nothing = await _cost(pilot, "f12")
        await go_to(pilot, "use_ema")
        print(f"{'next field':24} {await _cost(pilot, 'j') - nothing:6.1f} ms")
        await go_to(pilot, "use_ema")
        print(f"{'toggle':24} {await _cost(pilot, 'space') - nothing:6.1f} ms")
        await checked_form(pilot)
        await go_to(pilot, "max_train_steps")
        await pilot.press("enter")
        print(f"{'key in a field':24} {await _cost(pilot, '1') - nothing:6.1f} ms")
        await pilot.press("escape", "slash")
        print(f"{'key in search':24} {await _cost(pilot, 'e', 3) - nothing:6.1f} ms")


def main() -> None:
    """Write a config with many backends into a folder of its own, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", type=int, default=10, help="data backends beside the two")
    parser.add_argument("--size", default="120x36", help="columns x rows")
    options = parser.parse_args()
    width, height = (int(side) for side in options.size.split("x"))
    more = "".join(_BACKEND.format(number) for number in range(options.backends))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = write_project(
            Path(), CONFIG.replace("[validation_prompts]", f"{more}[validation_prompts]")
        )
        asyncio.run(_measure(config, (width, height)))


if __name__ == "__main__":
    main()
