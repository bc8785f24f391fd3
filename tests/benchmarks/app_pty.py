"""Measure the app in a real terminal: paint, keys, bytes, CPU, memory, long runs, long logs, ends.

    python tests/benchmarks/app_pty.py WORK_FOLDER
    python tests/benchmarks/app_pty.py WORK_FOLDER --only attach --steps 10000 --leet

Each line of the output is one figure. ``--leet`` runs wandb's terminal monitor (package wandb) on
as many steps in the same terminal; the steps are written through wandb's own offline client.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from engine.run.events import EventWriter  # noqa: E402
from engine.run.paths import RunDirectory  # noqa: E402
from engine.run.status import Status, write_status  # noqa: E402
from tests.cascade_tui.run_fixture import emit_start, emit_step  # noqa: E402
from tests.pty_terminal import Terminal  # noqa: E402

APP = [sys.executable, "-m", "cascade_tui"]
SIZES = {"80x24": (80, 24), "200x50": (200, 50)}
_LIVE_SECONDS = 20.0
_NUM_KEYS = 40


def write_run(folder: Path, num_steps: int) -> RunDirectory:
    """A run of ``num_steps`` steps that this process seems to train."""
    run = RunDirectory(folder)
    if not run.events.exists():
        folder.mkdir(parents=True)
        run.control.mkdir()
        with EventWriter(run.events) as events:
            emit_start(events, num_steps * 2)
            emit_step(events, 1, 0.5)
        line = run.events.read_bytes().splitlines(keepends=True)[-1]
        before, after = line.split(b'"step": 1, "loss": 0.5,')
        with run.events.open("ab", 1 << 20) as file:
            for step in range(2, num_steps + 1):
                loss = 0.1 + 0.3 / (1 + 9 * step / num_steps) + 0.01 * (step * 7919 % 13 - 6)
                file.write(b'%s"step": %d, "loss": %.6g,%s' % (before, step, loss, after))
        run.console_log.write_text("begun\n")
    return run


def seem_alive(run: RunDirectory, num_steps: int) -> None:
    """As if this process were the run's trainer."""
    status = Status.of_process("running", phase="training", step=num_steps)
    write_status(run, status)


def tell(name: str, size: str, **figures: object) -> None:
    """Print one line of figures."""
    told = "  ".join(
        f"{key} {value:.3g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in figures.items()
    )
    print(f"{name:<28} {size:>7}  {told}", flush=True)


def measure_attach(work: Path, num_steps: int, size: str) -> None:
    """To first words, the Monitor's first frame, the newest step in it, the whole curve; twice."""
    run = write_run(work / f"run-{num_steps}", num_steps)
    seem_alive(run, num_steps)
    for visit in ("first visit", "second visit"):
        with Terminal([*APP, str(run.root)], SIZES[size]) as terminal:
            words = terminal.until(run.root.name, 30)
            first = terminal.until("loss ─", 30)
            newest = terminal.until(f"step {num_steps:_}".replace("_", "."), 300, since=first or 0)
            whole = _settled(terminal)
            tell(
                f"attach {num_steps} steps, {visit}",
                size,
                words_s=words,
                first_paint_s=first,
                newest_step_s=newest,
                whole_curve_s=whole,
                memory_mb=terminal.memory_mb(),
                cpu_s=terminal.cpu_seconds(),
            )


def _settled(terminal: Terminal) -> float:
    """When the last paint was before two quiet seconds in which no CPU was used."""
    used = terminal.cpu_seconds()
    while True:
        time.sleep(1.0)
        more = terminal.cpu_seconds()
        if more - used < 0.1:
            return max(at for at, chunk in terminal.chunks if len(chunk) > 200)
        used = more


def measure_live(work: Path, size: str) -> None:
    """Bytes and CPU while two steps a second come, then while nothing comes."""
    run = write_run(work / "run-live", 2000)
    seem_alive(run, 2000)
    with Terminal([*APP, str(run.root)], SIZES[size]) as terminal:
        terminal.until(run.root.name, 30)
        time.sleep(4)
        delays, began, used = [], terminal.now, terminal.cpu_seconds()
        step = int(json.loads(run.events.read_text().splitlines()[-1])["step"])
        with EventWriter(run.events) as events:
            while terminal.now - began < _LIVE_SECONDS:
                step += 1
                wrote = terminal.now
                emit_step(events, step, 0.15 + random.random() * 0.05)
                seem_alive(run, step)
                shown = terminal.until(r"\d", 2.0, since=wrote)
                if shown is not None:
                    delays.append(shown - wrote)
                time.sleep(max(0.0, wrote + 0.5 - terminal.now))
        seconds = terminal.now - began
        tell(
            "live, 2 steps a second",
            size,
            bytes_per_s=terminal.num_bytes(began) / seconds,
            cpu_percent=100 * (terminal.cpu_seconds() - used) / seconds,
            shown_after_s=statistics.median(delays),
            memory_mb=terminal.memory_mb(),
        )
        time.sleep(3)
        began, used = terminal.now, terminal.cpu_seconds()
        time.sleep(_LIVE_SECONDS)
        tell(
            "idle",
            size,
            bytes_per_s=terminal.num_bytes(began) / _LIVE_SECONDS,
            cpu_percent=100 * (terminal.cpu_seconds() - used) / _LIVE_SECONDS,
        )


def measure_keys(work: Path, size: str) -> None:
    """Key to paint: in the Monitor (log axis, smoothing) and in the form (to the next field)."""
    run = write_run(work / "run-live", 2000)
    _keys("keys in the Monitor", [*APP, str(run.root)], size, run.root.name, "y+y-")
    config = work / "form.toml"
    shutil.copy(ROOT / "config" / "examples" / "lora-24gb.toml", config)
    _keys("keys in Configure", [*APP, str(config)], size, "Configure", "jjjk")


def _keys(name: str, command: list[str], size: str, ready: str, keys: str) -> None:
    with Terminal(command, SIZES[size]) as terminal:
        terminal.until(ready, 30)
        time.sleep(3)
        found = [terminal.after_key(keys[n % len(keys)]) for n in range(_NUM_KEYS)]
        times = sorted(1e3 * seconds for seconds in found if seconds is not None)
        tell(
            name,
            size,
            p50_ms=times[len(times) // 2],
            p99_ms=times[-1],
            answered=f"{len(times)}/{_NUM_KEYS}",
        )


def measure_log(work: Path, num_bytes: int, size: str) -> None:
    """Open the Log of a run with a huge console.log: to its last line, and memory."""
    run = write_run(work / "run-log", 2000)
    block = b"".join(b"20:15:%02d I step %d loss 0.1\n" % (n % 60, n) for n in range(100_000))
    with run.console_log.open("wb") as file:
        while file.tell() < num_bytes:
            file.write(block)
        file.write(b"the very last line\n")
    with Terminal([*APP, str(run.root)], SIZES[size]) as terminal:
        terminal.until(run.root.name, 30)
        terminal.quiet(0.5)
        pressed = terminal.now
        terminal.press("5")
        shown = terminal.until("the very last line", 60, since=pressed)
        tell(
            f"log of {num_bytes / 1e9:.1f} GB",
            size,
            last_line_s=None if shown is None else shown - pressed,
            memory_mb=terminal.memory_mb(),
        )
    run.console_log.write_text("begun\n")


def measure_ends(work: Path, size: str) -> None:
    """How it ends by q, SIGTERM, SIGHUP, and after its output was not read for a while."""
    run = write_run(work / "run-live", 2000)
    for name, number in (("q", None), ("SIGTERM", signal.SIGTERM), ("SIGHUP", signal.SIGHUP)):
        with Terminal([*APP, str(run.root)], SIZES[size]) as terminal:
            terminal.until(run.root.name, 30)
            time.sleep(2)
            seconds, left_on = terminal.end(number)
            tell(f"end by {name}", size, seconds=seconds, left_on=left_on or "nothing")
    with Terminal([*APP, str(run.root)], SIZES[size]) as terminal:
        terminal.until(run.root.name, 30)
        time.sleep(2)
        terminal.stall()
        for _ in range(100):
            terminal.press("y")
            time.sleep(0.1)
        terminal.go_on()
        again = terminal.now
        terminal.quiet(0.5)
        answered = terminal.after_key("y")
        tell(
            "stalled for 10 s",
            size,
            caught_up_s=terminal.now - again,
            answers_key_ms=None if answered is None else answered * 1e3,
        )


def measure_start(work: Path) -> None:
    """Commands that a script or a person waits for."""
    run = write_run(work / "run-live", 2000)
    config = ROOT / "config" / "demo" / "demo.toml"
    for words in (["--help"], ["status", str(run.root)], ["validate", str(config)]):
        times = []
        for _ in range(5):
            began = time.monotonic()
            subprocess.run([*APP, *words], capture_output=True, check=False)
            times.append(1e3 * (time.monotonic() - began))
        tell(f"cascade-tui {words[0]}", "", median_ms=statistics.median(times))


_WANDB = """
import sys, wandb
run = wandb.init(mode="offline", dir=sys.argv[1], settings=wandb.Settings(silent=True))
for step in range(int(sys.argv[2])):
    run.log({"loss": 0.1 + 0.3 / (1 + 9e-4 * step), "lr": 1e-4, "grad_norm": 1.0, "speed": 3.0})
run.finish()
"""


def measure_leet(work: Path, num_steps: int, size: str) -> None:
    """wandb's monitor on as many steps: first paint, until it is quiet, memory, CPU."""
    folder = work / f"leet-{num_steps}"
    if not folder.exists():
        folder.mkdir(parents=True)
        command = [sys.executable, "-c", _WANDB, str(folder), str(num_steps)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    runs = [*folder.glob("wandb/offline-run-*/*.wandb")]
    command = [str(Path(sys.executable).parent / "wandb"), "leet", "run", str(runs[0].parent)]
    variables = {"WANDB_ERROR_REPORTING": "false", "HOME": str(folder)}
    with Terminal(command, SIZES[size], variables) as terminal:
        first = terminal.until("loss", 60)
        whole = _settled(terminal)
        tell(
            f"LEET, {num_steps} steps",
            size,
            first_paint_s=first,
            whole_curve_s=whole,
            memory_mb=terminal.memory_mb(),
            cpu_s=terminal.cpu_seconds(),
        )


def main() -> None:
    """Run the measurements asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--only", nargs="*", help="start live keys log ends attach (default: all)")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES))
    parser.add_argument("--steps", nargs="*", type=int, default=[10_000, 1_000_000, 10_000_000])
    parser.add_argument("--log-bytes", type=float, default=2e9)
    parser.add_argument("--leet", action="store_true", help="wandb's monitor beside ours")
    options = parser.parse_args()
    work = options.work.absolute()
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(ROOT)
    of_size: dict[str, Callable[[str], None]] = {
        "live": lambda size: measure_live(work, size),
        "keys": lambda size: measure_keys(work, size),
        "log": lambda size: measure_log(work, int(options.log_bytes), size),
        "ends": lambda size: measure_ends(work, size),
    }
    wanted = options.only or ["start", *of_size, "attach"]
    if "start" in wanted:
        measure_start(work)
    for size in options.sizes:
        for name, measure in of_size.items():
            if name in wanted:
                measure(size)
        for num_steps in options.steps if "attach" in wanted else ():
            measure_attach(work, num_steps, size)
            if options.leet:
                measure_leet(work, num_steps, size)


if __name__ == "__main__":
    main()
