"""`cascade-tui change RUN KEY=VALUE…`: change what may be changed while a run goes on."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import existing_run
from cascade_tui.commands.control import add_run_arguments, leave_command

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "change",
        help="change intervals and prompts of a run while it goes on",
        description="Change checkpoint_step_interval, validation_step_interval, validation_prompt "
        "or validation_prompts.NAME (no text takes that prompt away) at the next step boundary. "
        "The run goes on with it after a `resume`, too; its frozen config.toml stays as it was. "
        "Exit codes: 0 asked for (with --wait: made), 1 refused by the trainer, 2 not possible, "
        "3 it cannot be asked for.",
    )
    add_run_arguments(parser)
    parser.add_argument(
        "assignments",
        metavar="KEY=VALUE",
        nargs="+",
        help="as in checkpoint_step_interval=250 or validation_prompts.cat='a cat on a wall'",
    )


def run(args: argparse.Namespace) -> int:
    """Check the change as the trainer will, then send it."""
    from cascade_tui.launching import format_problem
    from engine.config.frozen import FrozenConfigError
    from engine.config.live import apply_change, load_current, parse_change

    directory = existing_run(args.run_directory)
    change, problems = parse_change(args.assignments)
    try:
        problems += apply_change(load_current(directory.root)[0], change)[1]
    except FrozenConfigError as error:
        print(f"cascade-tui: {error}", file=sys.stderr)
        return exit_codes.USAGE
    for problem in problems:
        print(format_problem(problem), file=sys.stderr)
    if problems:
        return exit_codes.USAGE
    return leave_command(directory, "change", wait=args.wait, **change.arguments())
