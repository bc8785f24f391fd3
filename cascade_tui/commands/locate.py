"""`cascade-tui locate [CONFIG]`: where everything lies, and how large it is."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui import exit_codes
from cascade_tui.arguments import existing_config, existing_run

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from cascade_tui.places import Place
    from engine.config.loading import Project


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "locate",
        help="say where things lie: caches, weights, runs, the program",
        description="Say where the program, the hub cache and the runs below this folder lie; "
        "with a config (or a run) also its data, its caches, its weights and its log. "
        "Exit codes: 0 told, 2 there is no such config or run.",
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG|RUN", help="a config or a run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what is where."""
    from cascade_tui.places import places_of_machine, places_of_project
    from engine import __version__
    from engine.run.paths import find_runs
    from engine.run.status import derive_state

    project = None if args.config is None else _load(Path(args.config))
    places = list(places_of_machine())
    if project is not None:
        places += places_of_project(project)
    runs = {str(found.root): derive_state(found).name for found in find_runs(Path.cwd())}
    content: dict[str, Any] = {
        "version": __version__,
        "python": {"version": platform.python_version(), "path": sys.executable},
        "working_directory": os.getcwd(),
        "config_search": _search(project),
        "places": [_as_dict(place) for place in places],
        "runs": [{"path": path, "state": state} for path, state in runs.items()],
    }
    if args.json:
        print(json.dumps(content, indent=2))
    else:
        print(_as_text(content, places))
    return exit_codes.OK


def _load(path: Path) -> Project:
    from engine.config.loading import load_project

    path = existing_run(path).config if path.is_dir() else existing_config(path)
    project = load_project(path, check=False)
    for problem in project.errors:
        print(f"{problem.key or problem.where}: {problem.message}", file=sys.stderr)
    return project


def _search(project: Project | None) -> list[str]:
    """The folders in which a file that a config names is looked for, in this order."""
    folders = [Path.cwd()]
    if project is not None:
        folders.append(project.path.expanduser().absolute().parent)
    return list(dict.fromkeys(map(str, folders)))


def _as_dict(place: Place) -> dict[str, Any]:
    return {
        "what": place.what,
        "path": str(place.path),
        "exists": place.exists,
        "bytes": place.num_bytes,
        "is_whole": place.is_whole,
        "problem": place.problem,
    }


def _as_text(content: dict[str, Any], places: list[Place]) -> str:
    from cascade_tui.widgets.glyphs import printable

    python = content["python"]
    rows = [
        ("cascade-tui", content["version"], ""),
        ("python", python["path"], python["version"]),
        *(("searched for files", folder, "") for folder in content["config_search"]),
        *((place.what, str(place.path), _size(place)) for place in places),
        *(("run", found["path"], found["state"]) for found in content["runs"]),
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(
        printable(f"{what:<{width}}  {where}{f'  ({note})' if note else ''}")
        for what, where, note in rows
    )


def _size(place: Place) -> str:
    from cascade_tui.headless_view import format_bytes

    if place.num_bytes is None:
        return place.problem or "not there"
    return f"{'' if place.is_whole else 'more than '}{format_bytes(place.num_bytes)}"
