"""`cascade-tui attach RUN`: watch a run from any terminal."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cascade_tui.arguments import (
    add_lines_option,
    add_notify_option,
    add_pictures_option,
    existing_run,
    is_interactive,
    notify_by,
)

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "attach",
        help="watch a run",
        description="Open the monitor on a run, whether it runs or is over. Leaving it leaves the "
        "run alone. With --no-ui, follow its events as text and exit with its exit code. "
        "Exit codes: those of the run (0 finished or stopped, 1 failed or lost), 2 there is no "
        "such run, 130 left by ctrl+c.",
    )
    parser.add_argument("run_directory", metavar="RUN", help="a run directory")
    parser.add_argument("--no-ui", action="store_true", help="follow as text, without the app")
    add_lines_option(parser)
    add_notify_option(parser)
    add_pictures_option(parser)


def run(args: argparse.Namespace) -> int:
    """Watch until the user leaves, or without the app until the run is over."""
    directory = existing_run(args.run_directory)
    if args.no_ui or args.lines or not is_interactive():
        from cascade_tui.headless import attach_headless

        return attach_headless(directory, in_lines=args.lines)
    from cascade_tui.opening import run_app

    return run_app(
        config=None,
        run_directory=directory.root,
        notify_by=notify_by(args),
        pictures=args.pictures,
    )
