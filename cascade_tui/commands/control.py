"""`checkpoint`, `validate-now`, `pause`, `resume`, `stop`, `abort`: steer a run from any shell."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import existing_run

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.run.control import CommandName
    from engine.run.events import Event, EventReader
    from engine.run.paths import RunDirectory

_POLL_SECONDS = 0.1
_OVER_AFTER = ("stop", "abort")
_COMMANDS: dict[str, tuple[CommandName, str]] = {
    "checkpoint": ("checkpoint", "Save a checkpoint at the next step boundary."),
    "validate-now": ("validate", "Make the validation pictures at the next step boundary."),
    "pause": ("pause", "Hold the run after the current step; `resume` lets it go on."),
    "resume": (
        "resume",
        "Let a paused run go on. A run that is not alive is launched again from its frozen config "
        "and goes on from its latest checkpoint.",
    ),
    "stop": (
        "stop",
        "Finish the step, save a checkpoint, and end the run. A trainer that does not obey is "
        "sent SIGINT, then SIGTERM, then SIGKILL.",
    ),
    "abort": ("abort", "End the run: it has 15 s to save and end (SIGTERM), then it is killed."),
}

_EXIT_CODES = (
    "Exit codes: 0 asked for (with --wait: done), 1 it failed (--wait), 2 nothing runs there, "
    "3 it cannot be asked for or launched."
)


def add_parser(subparsers: Subparsers) -> None:
    """Add the parsers of all these commands."""
    for name, (_, description) in _COMMANDS.items():
        parser = subparsers.add_parser(
            name, help=description, description=f"{description} {_EXIT_CODES}"
        )
        add_run_arguments(parser)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """What every command to a run accepts: which one, and whether to wait for its answer."""
    parser.add_argument("run_directory", metavar="RUN", help="a run directory")
    parser.add_argument(
        "--wait",
        action="store_true",
        help="return when it is done, not when it is asked for; 1 if it failed",
    )


def run(args: argparse.Namespace) -> int:
    """Send the command; 2 if nothing runs there to obey it."""
    from engine.run.status import derive_state

    directory = existing_run(args.run_directory)
    name = _COMMANDS[args.command][0]
    if name == "resume" and not derive_state(directory).is_alive:
        return _continue(directory)
    return leave_command(directory, name, wait=args.wait)


def leave_command(
    directory: RunDirectory, name: CommandName, *, wait: bool, **arguments: object
) -> int:
    """Leave a command and print its id, or wait for its answer; returns the exit code."""
    from cascade_tui.steering import NothingRunsError, steer
    from engine.run.events import EventReader

    size = directory.events.stat().st_size if directory.events.is_file() else 0
    try:
        identity = steer(directory, name, **arguments)
    except NothingRunsError as error:
        print(f"cascade-tui: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except OSError as error:
        print(
            f"cascade-tui: cannot leave the command: {error.filename}: {error.strerror}",
            file=sys.stderr,
        )
        return exit_codes.COULD_NOT_LAUNCH
    if wait:
        return _wait(directory, name, identity, EventReader(directory.events, offset=size))
    print(identity)
    return exit_codes.OK


def _continue(directory: RunDirectory) -> int:
    """Launch the run again from what is frozen in its directory."""
    from cascade_tui.launching import continue_run
    from engine.run.launch import LaunchError
    from engine.run.status import derive_state

    state = derive_state(directory)
    if state.name == "finished":
        print(
            f"cascade-tui: {directory.root} is finished at step {state.step}: there is nothing to "
            "resume (to train on, launch its config with a higher max_train_steps)",
            file=sys.stderr,
        )
        return exit_codes.USAGE
    try:
        continue_run(directory)
    except LaunchError as error:
        print(f"cannot launch: {error}", file=sys.stderr)
        return exit_codes.COULD_NOT_LAUNCH
    print(directory.root)
    return exit_codes.OK


def _wait(directory: RunDirectory, name: CommandName, identity: str, reader: EventReader) -> int:
    """Wait for the command's acknowledgement, or for the end of a run that is to end."""
    from engine.run.status import derive_state

    while True:
        state = derive_state(directory)
        for event in reader.poll():
            if name not in _OVER_AFTER and event.get("id") == identity:
                outcome = _outcome(event)
                if outcome is not None:
                    return outcome
        if not state.is_alive and not state.supervised:
            if name in _OVER_AFTER:
                return exit_codes.OK
            print(f"cascade-tui: the run ended first: {state.name}", file=sys.stderr)
            return exit_codes.TRAINER_FAILED
        time.sleep(_POLL_SECONDS)


def _outcome(event: Event) -> int | None:
    if event.get("state") == "done":
        return exit_codes.OK
    if event.get("state") in ("failed", "ignored", "refused"):
        print(f"cascade-tui: {event.get('state')}: {event.get('message')}", file=sys.stderr)
        return exit_codes.TRAINER_FAILED
    return None
