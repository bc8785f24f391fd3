"""`cascade-tui export RUN`: a checkpoint in the formats that other tools load."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cascade_tui.arguments import UsageError, existing_run
from cascade_tui.tools import check_step, run_tool

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.run.paths import RunDirectory


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

    parser.add_argument(
        "--push",
        action="store_true",
        help="put them on the hub too, with a model card; a repository that is not there yet is "
        "created, private unless the run's hub_private is false",
    )
    parser.add_argument(
        "--hub-model-id", metavar="NAME", help="where --push goes (default: the run's hub_model_id)"
    )


def run(args: argparse.Namespace) -> int:
    """Export; returns 0, or 2 with the reason on stderr."""
    run = existing_run(args.run)
    if args.push:
        _check_push(run, args.hub_model_id)
    elif args.hub_model_id:
        raise UsageError("--hub-model-id says where --push goes: add --push")
    check_step(run, args.step)
    request = {
        "run": str(run.root),
        "step": args.step,
        "no_ema": args.no_ema,
        "target": args.to,
        "formats": args.formats,
        "push": args.push,
        "hub_model_id": args.hub_model_id,
    }
    return run_tool("export", request)


def _check_push(run: RunDirectory, name: str | None) -> None:
    """Before torch is loaded: there is a name, it can be one, and there is a token."""
    from engine.config.frozen import FrozenConfigError, load_frozen
    from engine.config.hub import has_token, is_offline, name_fault

    try:
        name = name or load_frozen(run.root).config.hub_model_id
    except FrozenConfigError as failure:
        raise UsageError(str(failure)) from failure
    if not name:
        raise UsageError("the run has no hub_model_id: say --hub-model-id OWNER/NAME")
    if fault := name_fault(name):
        raise UsageError(f"{name} is no name of a repository: it {fault}")
    if is_offline():
        raise UsageError("HF_HUB_OFFLINE forbids --push: unset it")
    if not has_token():
        raise UsageError("there is no token to push with: `hf auth login`, or set HF_TOKEN")
