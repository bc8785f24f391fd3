"""`cascade-tui merge BASE ADAPTER…`: adapters folded into the prior that they adapt."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui.arguments import UsageError
from cascade_tui.tools import existing, run_tool

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "merge",
        help="fold adapters into the prior that they adapt",
        description="Write a prior with one or more adapters folded in, each with a weight of its "
        "own: PATH:0.7 is seven tenths of it. Exit codes: 0 written, 2 it cannot be.",
    )
    parser.add_argument("base", metavar="PATH", help="the prior: a hub folder or a single file")
    parser.add_argument(
        "adapters", nargs="+", metavar="PATH[:WEIGHT]", help="adapters of any format we read"
    )
    parser.add_argument("--to", dest="target", required=True, metavar="PATH", help="what to write")
    parser.add_argument(
        "--format", choices=("hub", "single-file"), help="its format (default: that of the base)"
    )
    parser.add_argument(
        "--prior", metavar="PATH", help="the prior's config.json, if it is no published shape"
    )


def run(args: argparse.Namespace) -> int:
    """Merge; returns 0, or 2 with the reason on stderr."""
    request = {
        "base": existing(args.base),
        "adapters": [_with_weight(text) for text in args.adapters],
        "target": args.target,
        "format": args.format,
        "prior": existing(args.prior),
    }
    return run_tool("merge", request)


def _with_weight(text: str) -> tuple[str, float]:
    """Split PATH:WEIGHT; a path that lies here as it stands has weight 1."""
    path, colon, weight = text.rpartition(":")
    if Path(text).exists() or not colon:
        return str(existing(text)), 1.0
    try:
        amount = float(weight)
    except ValueError:
        raise UsageError(f"there is no file or folder {text}, nor is {weight} a weight") from None
    return str(existing(path)), amount
