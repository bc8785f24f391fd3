"""`cascade-tui completions SHELL`: a script by which a shell completes our command line."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from cascade_tui import exit_codes

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers

_HOW = """\
bash:  eval "$(cascade-tui completions bash)"                                in ~/.bashrc
zsh:   cascade-tui completions zsh > ~/.zfunc/_cascade-tui                   a folder of $fpath
fish:  cascade-tui completions fish > ~/.config/fish/completions/cascade-tui.fish
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "completions",
        help="print what lets a shell complete our commands",
        description="Print a script by which the shell completes commands, options, configs, run "
        "directories and the keys of --set. Exit codes: 0 printed, 2 there is no such shell.",
        epilog=_HOW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    from cascade_tui.cli import COMMANDS, main_parser
    from cascade_tui.completion_scripts import script
    from cascade_tui.completions import config_keys, nodes

    sys.stdout.write(script(args.shell, nodes(main_parser(), COMMANDS), config_keys()))
    return exit_codes.OK
