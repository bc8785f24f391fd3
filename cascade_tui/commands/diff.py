"""`cascade-tui diff A [B]`: what differs between two configs or runs."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError, existing_config, existing_run

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.config.comparison import Difference
    from engine.config.live import ChangedValue
    from engine.config.loading import Project

_WIDEST_COLUMN = 40
_CHANGED = "(changed while running)"


@dataclass(frozen=True, slots=True)
class _Side:
    """One side: what was read, its values as they are now, and what a run changed of them."""

    project: Project
    values: dict[str, Any]
    changed: Mapping[str, ChangedValue]


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "diff",
        help="say what differs between two configs or runs",
        description="Say which values differ between two configs or runs, defaults spelt out and "
        "data backends and prompts included; without B, between A and the defaults. A run has the "
        "values that it goes on with: what `change` made of them is marked. "
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
    from engine.config.comparison import default_values, differences
    from engine.config.presets import PRESETS

    if args.b is not None and args.preset is not None:
        raise UsageError(f"compare with {args.b} or with --preset {args.preset}, not with both")
    if args.preset is not None and args.preset not in PRESETS:
        raise UsageError(f"there is no preset {args.preset} (there: {', '.join(PRESETS)})")
    left = _load(args.a)
    changed = {"a": left.changed}
    if args.b is not None:
        right = _load(args.b)
        name, other, changed["b"] = args.b, right.values, right.changed
    else:
        name = f"preset {args.preset}" if args.preset else "defaults"
        other = default_values(left.project, PRESETS[args.preset].values if args.preset else {})
    found = differences(left.values, other)
    if args.json:
        told = [_as_dict(item, changed) for item in found]
        content = {"a": args.a, "b": name, "differences": told}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    elif found:
        print(_as_table(args.a, name, found, changed))
    else:
        print(f"{args.a} and {name} have the same values", file=sys.stderr)
    return exit_codes.DIFFERENT if found else exit_codes.OK


def _load(name: str) -> _Side:
    """Read a config or a run; raises UsageError with what keeps it from being read."""
    from engine.config.comparison import values_of_project
    from engine.config.frozen import FrozenConfigError
    from engine.config.live import changed_since_launch, with_changes
    from engine.config.loading import load_project

    given = Path(name)
    path = existing_run(given).config if given.is_dir() else existing_config(given)
    if not path.is_file():
        raise UsageError(f"{name} has no frozen config: it was not launched")
    project = load_project(path, check=False)
    if project.errors:
        told = [f"{p.key or p.where}: {p.message}" for p in project.errors]
        raise UsageError(f"{path} cannot be read whole: {'; '.join(told)}")
    try:
        changed = changed_since_launch(given) if given.is_dir() else {}
    except FrozenConfigError as failure:
        raise UsageError(str(failure)) from failure
    return _Side(project, with_changes(values_of_project(project), changed), changed)


def _as_dict(
    difference: Difference, changed: Mapping[str, Mapping[str, ChangedValue]]
) -> dict[str, Any]:
    """A side that has no such backend or prompt has no key here; null is an empty option.

    ``changed_while_running`` has, for a side that was, the value it was ``launched`` with.
    """
    from engine.config.comparison import ABSENT

    sides = {"a": difference.a, "b": difference.b}
    present = {side: value for side, value in sides.items() if value is not ABSENT}
    told: dict[str, Any] = {"key": difference.key, **present}
    launched = {
        side: {"launched": values[difference.key].old}
        for side, values in changed.items()
        if difference.key in values
    }
    return told | ({"changed_while_running": launched} if launched else {})


def _as_table(
    a: str,
    b: str,
    found: tuple[Difference, ...],
    changed: Mapping[str, Mapping[str, ChangedValue]],
) -> str:
    rows = [("", a, b)]
    for item in found:
        cells = [_shown(item.a), _shown(item.b)]
        for place, values in enumerate(changed.values()):
            if item.key in values:
                cells[place] += f" {_CHANGED}"
        rows.append((item.key, cells[0], cells[1]))
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
