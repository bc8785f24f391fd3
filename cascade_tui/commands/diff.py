"""`cascade-tui diff A [B]`: what differs between two configs or runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError, existing_config, existing_run

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.config.comparison import Difference
    from engine.config.loading import Project

_WIDEST_COLUMN = 40


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "diff",
        help="say what differs between two configs or runs",
        description="Say which values differ between two configs or runs, defaults spelt out and "
        "data backends and prompts included; without B, between A and the defaults. "
        "Exit codes: 0 the same, 1 different, 2 trouble.",
    )
    parser.add_argument("a", metavar="CONFIG|RUN", help="a config, or a run directory")
    parser.add_argument(
        "b", nargs="?", metavar="CONFIG|RUN", help="another (default: the defaults)"
    )
    parser.add_argument("--preset", metavar="NAME", help="compare with the defaults of a preset")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the differences; returns 0 for none, else 1."""
    from engine.config.comparison import default_values, differences, values_of_project
    from engine.config.presets import PRESETS

    if args.b is not None and args.preset is not None:
        raise UsageError(f"compare with {args.b} or with --preset {args.preset}, not with both")
    if args.preset is not None and args.preset not in PRESETS:
        raise UsageError(f"there is no preset {args.preset} (there: {', '.join(PRESETS)})")
    project = _load(args.a)
    if args.b is not None:
        name, other = args.b, values_of_project(_load(args.b))
    else:
        name = f"preset {args.preset}" if args.preset else "defaults"
        other = default_values(project, PRESETS[args.preset].values if args.preset else {})
    found = differences(values_of_project(project), other)
    if args.json:
        content = {"a": args.a, "b": name, "differences": [_as_dict(item) for item in found]}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    elif found:
        print(_as_table(args.a, name, found))
    else:
        print(f"{args.a} and {name} have the same values", file=sys.stderr)
    return exit_codes.DIFFERENT if found else exit_codes.OK


def _load(name: str) -> Project:
    """Read a config or a run's frozen one; raises UsageError with what keeps it from being read."""
    from engine.config.loading import load_project

    path = Path(name)
    path = existing_run(path).config if path.is_dir() else existing_config(path)
    if not path.is_file():
        raise UsageError(f"{name} has no frozen config: it was not launched")
    project = load_project(path, check=False)
    if project.errors:
        told = [f"{p.key or p.where}: {p.message}" for p in project.errors]
        raise UsageError(f"{path} cannot be read whole: {'; '.join(told)}")
    return project


def _as_dict(difference: Difference) -> dict[str, Any]:
    """A side that has no such backend or prompt has no key here; null is an empty option."""
    from engine.config.comparison import ABSENT

    sides = {"a": difference.a, "b": difference.b}
    present = {side: value for side, value in sides.items() if value is not ABSENT}
    return {"key": difference.key, **present}


def _as_table(a: str, b: str, found: tuple[Difference, ...]) -> str:
    rows = [("", a, b), *((item.key, _shown(item.a), _shown(item.b)) for item in found)]
    widths = [min(_WIDEST_COLUMN, max(len(row[column]) for row in rows)) for column in (0, 1)]
    return "\n".join(
        f"{key:<{widths[0]}}  {left:<{widths[1]}}  {right}".rstrip() for key, left, right in rows
    )


def _shown(value: Any) -> str:
    from engine.config.comparison import ABSENT
    from engine.config.reading import shown

    if value is ABSENT:
        return "(absent)"
    return "(empty)" if value is None else shown(value)
