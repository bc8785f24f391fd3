"""`cascade-tui status [RUN|ROOT]`: how runs do, in a line each or as JSON."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.run.paths import RunDirectory

_WATCH_SECONDS = 5.0


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "status",
        help="say how runs do",
        description="Say how one run does, or every run below a folder (three levels deep). "
        "With --watch, a line whenever something changed, until nothing runs any more: also "
        "the way to follow a run with a screen reader.",
    )
    parser.add_argument("path", nargs="?", default=".", metavar="RUN|ROOT", help="default: here")
    parser.add_argument("--json", action="store_true", help="one JSON object a run and line")
    parser.add_argument("--watch", action="store_true", help="go on until nothing runs any more")
    parser.add_argument(
        "--interval", type=float, default=_WATCH_SECONDS, metavar="S", help="seconds between looks"
    )


def run(args: argparse.Namespace) -> int:
    """Print and return 0; 2 if there is no run at the path or below it."""
    from engine.run.paths import RunDirectory, find_runs

    root = Path(args.path)
    if not root.exists():
        raise UsageError(f"there is no folder {root}")
    runs = [RunDirectory(root)] if RunDirectory(root).exists() else list(find_runs(root))
    if not runs:
        raise UsageError(f"there is no run directory at or below {root}")
    shown: dict[Path, str] = {}
    while True:
        reports = [(directory, report(directory)) for directory in runs]
        for directory, facts in reports:
            line = json.dumps(facts, allow_nan=False) if args.json else describe_report(facts)
            if shown.get(directory.root) != line:
                print(line, flush=True)
            shown[directory.root] = line
        if not args.watch or not any(facts["alive"] for _, facts in reports):
            return exit_codes.OK
        time.sleep(args.interval)


def report(run: RunDirectory) -> dict[str, Any]:
    """What is known of a run: its state, and the last training step's numbers.

    Times are in seconds; `loss` is null when not finite or not known.
    """
    from engine.run.events import as_float, tail_events
    from engine.run.status import derive_state

    state = derive_state(run)
    events = tail_events(run.events)
    steps = [event for event in events if event.get("kind") == "step"]
    last = steps[-1] if steps else {}
    loss = as_float(last.get("loss"))
    age = state.heartbeat_age_seconds
    return {
        "run": str(run.root),
        "state": state.name,
        "alive": state.is_alive,
        "supervised": state.supervised,
        "exit_code": state.exit_code,
        "step": state.step,
        "max_train_steps": state.max_train_steps,
        "phase": state.phase,
        "pid": state.pid,
        "loss": loss if loss is not None and math.isfinite(loss) else None,
        "images_per_second": last.get("images_per_second"),
        "seconds_left": _seconds_left(steps, state.max_train_steps),
        "heartbeat_age_seconds": None if age is None else round(age, 1),
        "checkpoints": list(run.checkpoint_steps()),
        "message": state.message,
    }


def describe_report(facts: dict[str, Any]) -> str:
    """One line for people: `output/shiba: training at step 120 of 500, loss 0.0312, ...`."""
    from cascade_tui.headless_view import format_duration

    is_working = facts["state"] == "running" and facts["phase"]
    words = [str(facts["phase"]).replace("_", " ") if is_working else facts["state"]]
    if facts["step"] or facts["max_train_steps"]:
        total = f" of {facts['max_train_steps']}" if facts["max_train_steps"] else ""
        words[0] += f" at step {facts['step']}{total}"
    if facts["loss"] is not None:
        words.append(f"loss {facts['loss']:.4g}")
    if facts["alive"] and facts["images_per_second"]:
        words.append(f"{facts['images_per_second']:.3g} images/s")
    if facts["alive"] and facts["seconds_left"] is not None:
        words.append(f"{format_duration(facts['seconds_left'])} left")
    if facts["exit_code"]:
        words.append(f"exit code {facts['exit_code']}")
    if facts["message"]:
        words.append(facts["message"])
    return f"{facts['run']}: {', '.join(words)}"


def _seconds_left(steps: list[dict[str, Any]], max_train_steps: int | None) -> float | None:
    from cascade_tui.headless_view import Pace

    pace = Pace()
    pace.max_train_steps = max_train_steps
    for event in steps:
        pace.note(event)
    left = pace.seconds_left
    return None if left is None else round(left, 1)
