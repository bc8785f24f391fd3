"""`cascade-tui status [RUN|ROOT]`: how runs do, in a line each or as JSON."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError, can_rewrite, number

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.run.paths import RunDirectory

_PAUSE_SECONDS = {True: 1.0, False: 5.0}
"""Between looks, by whether lines are shown in their place."""


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "status",
        help="say how runs do",
        description="Say how one run does, or every run below a folder (three levels deep). "
        "With --watch it goes on until nothing runs any more: a terminal shows the lines as they "
        "change, in their place; anything else gets a line whenever something changed, also the "
        "way to follow a run with a screen reader (--lines). "
        "Exit codes: 0 told, 2 there is no run; of --watch that of the run (1 if it "
        "is lost), of several the first that is not 0.",
    )
    parser.add_argument("path", nargs="?", default=".", metavar="RUN|ROOT", help="default: here")
    parser.add_argument("--json", action="store_true", help="one JSON object a run and line")
    parser.add_argument("--watch", action="store_true", help="go on until nothing runs any more")
    parser.add_argument(
        "--lines", action="store_true", help="a new line at each change, in a terminal too"
    )
    parser.add_argument(
        "--interval",
        type=number(0.01, 86_400),
        metavar="S",
        help="seconds between looks (default: 1 in a terminal, else 5)",
    )


def run(args: argparse.Namespace) -> int:
    """Print and return 0, watching the run's own code; 2 if there is no run there."""
    from engine.run.paths import RunDirectory, find_runs

    root = Path(args.path)
    if not root.exists():
        raise UsageError(f"there is no folder {root}")
    is_one = RunDirectory(root).exists()
    runs = [RunDirectory(root)] if is_one else _readable(find_runs(root))
    if not runs:
        raise UsageError(_without_runs(root))
    in_place = args.watch and not args.json and not args.lines and can_rewrite()
    show = _InPlace().show if in_place else _Lines(as_json=args.json).show
    pause = args.interval if args.interval is not None else _PAUSE_SECONDS[in_place]
    watched: list[int] = []  # the runs whose end is awaited: those that run, or the one asked for
    while True:
        reports = [report(directory) for directory in runs]
        show(reports)
        running = [number for number, facts in enumerate(reports) if _goes_on(facts)]
        watched = watched or (running if len(runs) > 1 else [0])
        if not args.watch:
            return exit_codes.OK
        for directory in runs:
            if not running and not directory.root.is_dir():
                print(f"cascade-tui: {directory.root} is not there any more", file=sys.stderr)
        if not running:
            return _exit_code([reports[number] for number in watched])
        time.sleep(pause)


def _readable(runs: Iterable[RunDirectory]) -> list[RunDirectory]:
    """Those of several that can be looked at; the others are told once, on stderr."""
    found = []
    for run in runs:
        try:
            report(run)
        except OSError as error:
            print(f"cascade-tui: {error.filename}: {error.strerror}", file=sys.stderr)
        else:
            found.append(run)
    return found


def _without_runs(root: Path) -> str:
    if not root.is_dir():
        return f"{root} is a file: name a run directory, or a folder with some below it"
    return (
        f"there is no run at or below {root}, three levels deep: a run lies in its config's "
        "output_dir"
    )


class _Lines:
    """Prints a run's line when it is another than before."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._shown: dict[str, str] = {}

    def show(self, reports: list[dict[str, Any]]) -> None:
        for facts in reports:
            line = json.dumps(facts, allow_nan=False) if self._as_json else describe_report(facts)
            if self._shown.get(facts["run"]) != line:
                print(line, flush=True)
            self._shown[facts["run"]] = line


class _InPlace:
    """Writes over the lines of last time; each is cut to the terminal's width."""

    def __init__(self) -> None:
        self._num_lines = 0

    def show(self, reports: list[dict[str, Any]]) -> None:
        from cascade_tui.widgets.glyphs import fit

        columns, rows = shutil.get_terminal_size()
        shown = reports[: max(1, rows - 1)]  # what has scrolled away cannot be written over
        up = f"\x1b[{self._num_lines}F" if self._num_lines else ""
        lines = [
            describe_report({**facts, "run": _end_of(facts["run"], columns)}) for facts in shown
        ]
        text = "".join(f"{fit(line, columns - 1).rstrip()}\x1b[K\n" for line in lines)
        sys.stdout.write(up + text)
        sys.stdout.flush()
        self._num_lines = len(lines)


def _end_of(path: str, columns: int) -> str:
    """As much of a path's end as leaves two thirds of the line to what changes."""
    room = max(8, columns // 3)
    return path if len(path) <= room else f"…{path[1 - room :]}"


def _goes_on(facts: dict[str, Any]) -> bool:
    """Whether there is more to come: of a trainer, or of a supervisor that tells how it ended."""
    return bool(facts["alive"] or facts["supervised"])


def _exit_code(reports: list[dict[str, Any]]) -> int:
    """The first code that is not 0; 1 for a run without one (lost, never launched)."""
    codes = (
        exit_codes.TRAINER_FAILED if facts["exit_code"] is None else int(facts["exit_code"])
        for facts in reports
    )
    return next((code for code in codes if code), exit_codes.OK)


def report(run: RunDirectory, *, now: float | None = None) -> dict[str, Any]:
    """What is known of a run: its state, and the last training step's numbers.

    Times are in seconds; `loss` is null when not finite or not known, `seconds_left` when nothing
    runs. Ages count until ``now``, in unix seconds, by default this moment.
    """
    from cascade_tui.follow.numbers import finite
    from engine.run.events import tail_events
    from engine.run.status import derive_state

    state = derive_state(run, now=now)
    events = tail_events(run.events)
    steps = [event for event in events if event.get("kind") == "step"]
    last = steps[-1] if steps else {}
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
        "loss": finite(last.get("loss"), None),
        "images_per_second": finite(last.get("images_per_second"), None),
        "seconds_left": _seconds_left(events, state.max_train_steps) if state.is_alive else None,
        "heartbeat_age_seconds": state.heartbeat_age_seconds,
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


def _seconds_left(events: list[dict[str, Any]], max_train_steps: int | None) -> float | None:
    """At the pace since the last interruption: a pause says nothing of it."""
    from cascade_tui.headless_view import Pace

    pace = Pace(max_train_steps=max_train_steps)
    for event in events:
        pace.note(event)
    left = pace.seconds_left
    return None if left is None else round(left, 1)
