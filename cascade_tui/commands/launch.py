"""`cascade-tui launch CONFIG`: start a run that outlives this terminal."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import add_config_options, config_path, existing_config, overrides

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "launch",
        help="start a run in the background",
        description="Check a config, start its run in the background, and print the run "
        "directory on stdout. Exit codes: 0 started, 2 the config has errors, 3 could not launch.",
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a config, JSON or TOML")
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    """Launch and return; the trainer is on its own from here."""
    path = existing_config(config_path(args.config, args))
    from cascade_tui.launching import load_checked, prepare_and_launch
    from engine.run.launch import LaunchError

    project = load_checked(path, overrides(args))
    if project is None:
        return exit_codes.USAGE
    try:
        directory = prepare_and_launch(project, note=lambda line: print(line, file=sys.stderr))
    except LaunchError as error:
        print(f"cannot launch: {error}", file=sys.stderr)
        return exit_codes.COULD_NOT_LAUNCH
    print(directory.root)
    return exit_codes.OK
