"""`cascade-tui logs RUN`: what the trainer wrote to its stdout and stderr."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from cascade_tui import exit_codes
from cascade_tui.arguments import existing_run, whole_number

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers

_BLOCK_BYTES = 1 << 16
_POLL_SECONDS = 0.25


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "logs",
        help="print the trainer's console output",
        description="Print console.log of a run. With -f, go on until the run is over. "
        "Exit codes: 0 printed, 2 there is no such run.",
    )
    parser.add_argument("run_directory", metavar="RUN", help="a run directory")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    parser.add_argument(
        "-n",
        "--lines",
        type=whole_number(0),
        metavar="N",
        help="begin N lines before the end",
    )


def run(args: argparse.Namespace) -> int:
    """Copy the log to stdout, byte for byte."""
    from engine.run.launch import is_alive

    directory = existing_run(args.run_directory)
    if not directory.console_log.exists():
        print(f"cascade-tui: {directory.root} has no console.log yet", file=sys.stderr)
    output = sys.stdout.buffer
    offset = 0 if args.lines is None else _offset_of_last_lines(directory.console_log, args.lines)
    while True:
        is_over = not args.follow or not is_alive(directory)  # looked at before the last copy
        offset = _copy(directory.console_log, offset, output)
        if is_over:
            return exit_codes.OK
        time.sleep(_POLL_SECONDS)


def _copy(path: Path, offset: int, output: BinaryIO) -> int:
    """Write the file's bytes from `offset` on; returns where it ends now.

    A file that has become shorter was emptied or replaced: it is written from its beginning.
    """
    try:
        with path.open("rb") as file:
            if file.seek(0, 2) < offset:
                print(f"cascade-tui: {path} begins anew", file=sys.stderr)
                offset = 0
            file.seek(offset)
            while block := file.read(_BLOCK_BYTES):
                output.write(block)
            output.flush()
            return file.tell()
    except FileNotFoundError:
        return offset  # not launched yet


def _offset_of_last_lines(path: Path, num_lines: int) -> int:
    """The byte where the last `num_lines` lines begin, reading backwards from the end."""
    try:
        with path.open("rb") as file:
            position = file.seek(0, 2)
            num_left = num_lines + 1  # the newline before the first of them
            is_end = True
            while position > 0:
                size = min(_BLOCK_BYTES, position)
                position -= size
                file.seek(position)
                block = file.read(size)
                end = len(block)
                if is_end:
                    num_left -= not block.endswith(b"\n")
                    is_end = False
                while (end := block.rfind(b"\n", 0, end)) >= 0:
                    num_left -= 1
                    if num_left == 0:
                        return position + end + 1
    except FileNotFoundError:
        pass
    return 0
