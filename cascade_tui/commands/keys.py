"""`cascade-tui keys`: every action of the app, its key, and how to give it another."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from cascade_tui.key_table import Action
    from cascade_tui.keymap import Keymap

_HEAD = """\
# Keys of cascade-tui. Take the # away in front of a line, and write another key or several:
#   "monitor.checkpoint" = ["C", "f5"]
# "" leaves an action without a key; the palette (ctrl+p) does it still. `cascade-tui keys` tells
# what holds, and what is wrong.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "keys",
        help="show every key of the app, and how to change it",
        description="Show every action of the app with its id and its keys. Other keys are chosen "
        "in $XDG_CONFIG_HOME/cascade-tui/keys.toml (default: ~/.config/cascade-tui/keys.toml), "
        'with lines like "monitor.checkpoint" = "C". '
        "Exit codes: 0 shown, 2 something is wrong in that file.",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument(
        "--example", action="store_true", help="print a keys.toml with every action, commented out"
    )


def run(args: argparse.Namespace) -> int:
    """Print the keys that hold."""
    from cascade_tui.key_table import actions
    from cascade_tui.keymap import chosen_by_id, keys_file

    if args.example:
        sys.stdout.write(_example(actions()))
        return exit_codes.OK
    path = keys_file()
    chosen, warnings = chosen_by_id(path)
    for warning in warnings:
        print(warning, file=sys.stderr)
    if args.json:
        print(json.dumps(_as_dict(actions(), chosen, path), indent=2))
    else:
        sys.stdout.write(_as_text(actions(), chosen, path))
    return exit_codes.OK


def _example(actions: tuple[Action, ...]) -> str:
    from cascade_tui.keymap import in_file

    lines, part = [_HEAD], ""
    for action in actions:
        if action.part != part:
            part = action.part
            lines.append(f"\n# {part}\n")
        keys = [in_file(key) for key in action.keys]
        value = json.dumps(keys[0] if len(keys) == 1 else keys, ensure_ascii=False)
        lines.append(f'# "{action.id}" = {value}  # {action.description}\n')
    return "".join(lines)


def _as_dict(actions: tuple[Action, ...], chosen: Keymap, path: Path) -> dict[str, object]:
    from cascade_tui.keymap import in_file

    return {
        "file": str(path),
        "file_exists": path.exists(),
        "actions": [
            {
                "id": action.id,
                "part": action.part,
                "description": action.description,
                "keys": [in_file(key) for key in chosen.get(action.id, action.keys)],
                "own_keys": [in_file(key) for key in action.keys],
                "is_remapped": action.id in chosen,
            }
            for action in actions
        ],
    }


def _as_text(actions: tuple[Action, ...], chosen: Keymap, path: Path) -> str:
    from cascade_tui.keymap import in_file

    def shown(keys: tuple[str, ...]) -> str:
        return ", ".join(map(in_file, keys)) or "(none)"

    rows = [(shown(chosen.get(a.id, a.keys)), a) for a in actions]
    width = max(len(keys) for keys, _ in rows)
    id_width = max(len(action.id) for action in actions)
    lines: list[str] = []
    part = ""
    for keys, action in rows:
        if action.part != part:
            part = action.part
            lines.append(f"{chr(10) if lines else ''}{part}")
        mark, was = ("*", f"  (was {shown(action.keys)})") if action.id in chosen else (" ", "")
        lines.append(f"{mark} {keys:<{width}}  {action.id:<{id_width}}  {action.description}{was}")
    there = "" if path.exists() else " (not there)"
    lines.append(f"\n{len(chosen)} remapped (*) by {path}{there}")
    return "\n".join(lines) + "\n"
