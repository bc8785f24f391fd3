"""`cascade-tui validate FILE…`: every problem of a config at once, before anything is paid for."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cascade_tui.exit_codes import OK, USAGE
from engine.config.loading import Project, load_project
from engine.config.problems import Problem

_GLYPHS = {"error": "✖", "warning": "▲", "hint": "·"}


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "validate", help="check configs: all problems at once, each with its fix"
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="config (JSON or TOML)")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override an option (repeatable)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check the files; exit code 0 without errors, else 2."""
    projects = [load_project(path, arguments.overrides) for path in arguments.files]
    if arguments.json:
        print(json.dumps(_as_json(projects), ensure_ascii=False, indent=2, default=str))
    else:
        for project in projects:
            print(_as_text(project))
    return OK if all(project.is_valid for project in projects) else USAGE


def verdict(problems: tuple[Problem, ...]) -> str:
    """`2 errors, 1 warning`, or `no problems`."""
    counts = [
        (sum(problem.severity == severity for problem in problems), severity)
        for severity in ("error", "warning", "hint")
    ]
    named = [f"{count} {severity}{'s' if count > 1 else ''}" for count, severity in counts if count]
    return ", ".join(named) or "no problems"


def _as_text(project: Project) -> str:
    lines = []
    for problem in project.problems:
        key = f"{problem.key}: " if problem.key else ""
        where = f"  ({problem.where})" if problem.where else ""
        glyph = _GLYPHS[problem.severity]
        lines.append(f"{glyph} {problem.severity}: {key}{problem.message}{where}")
        if problem.fix:
            lines.append(f"    fix: {problem.fix}")
    ready = "ready to launch" if project.is_valid else "not ready"
    lines.append(f"{project.path}: {verdict(project.problems)}; {ready}")
    return "\n".join(lines)


def _as_json(projects: list[Project]) -> dict[str, Any]:
    return {
        "valid": all(project.is_valid for project in projects),
        "files": [
            {
                "path": str(project.path),
                "valid": project.is_valid,
                "problems": [asdict(problem) for problem in project.problems],
            }
            for project in projects
        ],
    }
