"""`cascade-tui report RUN`: the run as one HTML file to keep, to send, to publish."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError, existing_run, write_output

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "report",
        help="write a run as one self-contained HTML file",
        description="Write what a run did as one HTML file: summary, curves, validation pictures, "
        "config, events and versions. It needs no network and no script. Prints where it is. "
        "It names this machine, its user and its paths. "
        "Exit codes: 0 written, 2 it cannot be.",
    )
    parser.add_argument("run_directory", metavar="RUN", help="a run directory")
    parser.add_argument("--to", metavar="FILE", help="default: report.html in RUN; - is stdout")


def run(args: argparse.Namespace) -> int:
    """Write the page; 2 if the run cannot be read or the file not be written."""
    from cascade_tui.plots.data import UnreadableRunError
    from cascade_tui.plots.report_data import gather
    from cascade_tui.plots.report_page import report_page

    directory = existing_run(args.run_directory)
    try:
        page = report_page(gather(directory))
    except UnreadableRunError as error:
        raise UsageError(str(error)) from error
    content = page.encode(errors="replace")
    if args.to == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return exit_codes.OK
    path = Path(args.to) if args.to else directory.root / "report.html"
    write_output(path, content)
    print(path)
    return exit_codes.OK
