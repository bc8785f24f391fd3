"""`cascade-tui sample RUN --prompt …`: pictures of any prompt, outside training."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cascade_tui.arguments import UsageError, existing_run, number, whole_number
from cascade_tui.tools import check_step, run_tool

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers

_OPTIONS = {
    "steps": "stable_cascade_validation_prior_num_inference_steps",
    "guidance": "stable_cascade_validation_prior_guidance_scale",
    "resolution": "validation_resolution",
}
"""Arguments that stand for an option of the config."""


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "sample",
        help="draw pictures of any prompt with a run's checkpoint",
        description="Draw pictures with a checkpoint of a run as its validation does, and print "
        "their paths. Settings are those of the run's validation unless given. "
        "Exit codes: 0 drawn, 2 it cannot be.",
    )
    parser.add_argument("run", metavar="RUN", help="a run directory")
    parser.add_argument("--prompt", action="append", dest="prompts", required=True, metavar="TEXT")
    parser.add_argument("--negative", metavar="TEXT", help="what guidance steers away from")
    parser.add_argument("--step", metavar="N", help="the checkpoint (default: the newest)")
    parser.add_argument("--base", action="store_true", help="the base, as before training")
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32 - 1), default=0, metavar="N", help="default: 0"
    )
    parser.add_argument(
        "--num-seeds", type=whole_number(1, 10_000), default=1, metavar="N", help="default: 1"
    )
    parser.add_argument(
        "--steps", type=whole_number(), metavar="N", help="steps of the prior's sampler"
    )
    parser.add_argument("--guidance", type=number(), metavar="S", help="the prior's guidance scale")
    parser.add_argument("--resolution", metavar="WxH", help="such as 1024x1024")
    parser.add_argument(
        "--decoder",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="full-size pictures through Stage B, or only the previewer's",
    )
    parser.add_argument("--to", metavar="DIR", help="where to (default: RUN/samples/step-…)")


def run(args: argparse.Namespace) -> int:
    """Draw; returns 0, or 2 with the reason on stderr."""
    _check_settings(args)
    keys = (
        "prompts", "negative", "step", "base", "seed", "num_seeds", "steps", "guidance",
        "resolution", "decoder",
    )  # fmt: skip
    request = {key: getattr(args, key) for key in keys}
    run = existing_run(args.run)
    if not args.base:
        check_step(run, args.step)
    return run_tool("sample", request | {"run": str(run.root), "target": args.to})


def _check_settings(args: argparse.Namespace) -> None:
    """The settings that a config has too, held to the config's limits."""
    from engine.config.context import Context
    from engine.config.environment import Environment
    from engine.config.fields import TrainingConfig
    from engine.config.reading import read_model
    from engine.config.rules import validation_resolution

    flags = {option: name for name, option in _OPTIONS.items()}
    given = {option: getattr(args, name) for option, name in flags.items()}
    values = {option: value for option, value in given.items() if value is not None}
    config, problems = read_model(TrainingConfig, values)
    context = Context(config, (), {}, Environment((), frozenset()))
    problems += [p for p in validation_resolution(context) if p.severity == "error"]
    if problems:
        told = (f"--{flags[p.key]} {values[p.key]}: {p.message}" for p in problems)
        raise UsageError("; ".join(told))
