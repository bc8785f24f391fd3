"""`cascade-tui convert SOURCE TARGET`: a prior or an adapter in another format."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cascade_tui.tools import existing, run_tool

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "convert",
        help="write a prior or an adapter in another format",
        description="Write a whole prior as the hub's folder or as the original's single file, or "
        "an adapter (a PEFT folder, or a file of ComfyUI, kohya, OneTrainer or LyCORIS) in another "
        "naming. Tensors keep their bits. Exit codes: 0 written, 2 it cannot be.",
    )
    parser.add_argument("source", metavar="PATH", help="a folder or a .safetensors file")
    parser.add_argument("target", metavar="PATH", help="what to write; must not exist yet")
    parser.add_argument(
        "--to",
        dest="format",
        choices=("hub", "single-file", "peft", "comfyui", "kohya"),
        help="the format (default for a whole prior: the other one)",
    )
    parser.add_argument(
        "--prior", metavar="PATH", help="the prior's config.json, if it is no published shape"
    )
    parser.add_argument(
        "--base", metavar="PATH", help="the prior's weights: only for a DoRA to or from comfyui"
    )


def run(args: argparse.Namespace) -> int:
    """Convert; returns 0, or 2 with the reason on stderr."""
    request = {
        "source": existing(args.source),
        "target": args.target,
        "format": args.format,
        "prior": existing(args.prior),
        "base": existing(args.base),
    }
    return run_tool("convert", request)
