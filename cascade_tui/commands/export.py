"""`cascade-tui export RUN`: a checkpoint in the formats that other tools load."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cascade_tui.arguments import UsageError, existing_run
from cascade_tui.tools import run_tool

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "export",
        help="write a run's checkpoint in the formats that other tools load",
        description="Write a checkpoint of a run as files that other tools load, and print their "
        "paths. The averaged weights are taken where the run keeps them. "
        "Exit codes: 0 written, 2 it cannot be.",
    )
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument("--step", metavar="N", help="the checkpoint (default: the newest)")
    parser.add_argument("--no-ema", action="store_true", help="the trained weights, not averaged")
    parser.add_argument("--to", metavar="DIR", help="where to (default: RUN/export)")
    parser.add_argument(
        "--format",
        action="append",
        dest="formats",
        choices=("peft", "comfyui", "kohya", "hub", "single-file"),
        help="repeatable (default: the run's export_formats; hub of a full fine-tune)",
    )


def run(args: argparse.Namespace) -> int:
    """Export; returns 0, or 2 with the reason on stderr."""
    if args.step is not None and not args.step.isdecimal():
        raise UsageError(f"--step {args.step}: expected a step's number")
    request = {
        "run": str(existing_run(args.run).root),
        "step": args.step,
        "no_ema": args.no_ema,
        "target": args.to,
        "formats": args.formats,
    }
    return run_tool("export", request)
