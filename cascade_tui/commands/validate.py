"""`cascade-tui validate FILE…`: every problem of a config at once, before anything is paid for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui.arguments import UsageError, add_config_options, overrides
from cascade_tui.exit_codes import OK, USAGE
from cascade_tui.streams import wrapped

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.config.loading import Project
    from engine.config.problems import Problem

_GLYPHS = {"error": "✖", "warning": "▲", "hint": "·"}


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "validate",
        help="check configs: all problems at once, each with its fix",
        description="Check configs with their data backends, prompts, weights and folders, and "
        "tell every problem at once. Exit codes: 0 no errors, 2 errors.",
    )
    parser.add_argument("files", nargs="*", metavar="CONFIG", help="a config, JSON or TOML")
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check the files; returns 0 without errors, else 2."""
    files = [Path(name) for name in args.files]
    if args.config_file is not None:
        files.append(Path(args.config_file))
    if not files:
        raise UsageError("no config is given: name one, as in `cascade-tui validate config.json`")
    from engine.config.environment import probe_environment
    from engine.config.loading import load_project

    given, environment = overrides(args), probe_environment()
    projects = [load_project(path, given, environment=environment) for path in files]
    is_valid = all(project.is_valid for project in projects)
    if args.json:
        content = {"valid": is_valid, "files": [_as_dict(project) for project in projects]}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        for project in projects:
            print(_as_text(project))
        if len(projects) > 1:
            num_ready = sum(project.is_valid for project in projects)
            print(f"{num_ready} of {len(projects)} configs are ready to launch")
    return OK if is_valid else USAGE


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
        lines.append(wrapped(f"{glyph} {problem.severity}: {key}{problem.message}{where}", 4))
        if problem.fix:
            lines.append(wrapped(f"    fix: {problem.fix}", 9))
    ready = "ready to launch" if project.is_valid else "not ready"
    lines.append(f"{project.path}: {verdict(project.problems)}; {ready}")
    return "\n".join(lines)


def _as_dict(project: Project) -> dict[str, Any]:
    return {
        "path": str(project.path),
        "valid": project.is_valid,
        "problems": [_problem_as_dict(problem) for problem in project.problems],
    }


def _problem_as_dict(problem: Problem) -> dict[str, Any]:
    from engine.config.documents import plain

    edit = problem.edit
    return {
        "severity": problem.severity,
        "key": problem.key,
        "message": problem.message,
        "fix": problem.fix,
        "where": problem.where,
        "edit": edit
        and {"key": edit.key, "value": plain(edit.value)}
        | ({"renames": edit.renames} if edit.renames else {}),
    }
