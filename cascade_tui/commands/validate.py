"""`cascade-tui validate FILE…`: every problem of a config at once, before anything is paid for."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui.arguments import UsageError, add_config_options, overrides
from cascade_tui.exit_codes import OK, USAGE
from cascade_tui.streams import wrapped

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.config.environment import Environment
    from engine.config.forecast import Forecast
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
    forecasts = [_forecast(project, environment) for project in projects]
    is_valid = all(project.is_valid for project in projects)
    if args.json:
        told = [_as_dict(*pair) for pair in zip(projects, forecasts, strict=True)]
        content = {"valid": is_valid, "files": told}
        print(json.dumps(content, ensure_ascii=False, indent=2))
    else:
        for project, forecast in zip(projects, forecasts, strict=True):
            print(_as_text(project, forecast))
        if len(projects) > 1:
            num_ready = sum(project.is_valid for project in projects)
            print(f"{num_ready} of {len(projects)} configs are ready to launch")
    return OK if is_valid else USAGE


def _forecast(project: Project, environment: Environment) -> Forecast | None:
    """What a run of a config will take; None if the file cannot be read."""
    from cascade_tui.forecasting import forecast_run

    if project.config is None:
        return None
    return forecast_run(project.config, project.backends, environment)


def verdict(problems: tuple[Problem, ...]) -> str:
    """`2 errors, 1 warning`, or `no problems`."""
    counts = [
        (sum(problem.severity == severity for problem in problems), severity)
        for severity in ("error", "warning", "hint")
    ]
    named = [f"{count} {severity}{'s' if count > 1 else ''}" for count, severity in counts if count]
    return ", ".join(named) or "no problems"


def _as_text(project: Project, forecast: Forecast | None) -> str:
    from cascade_tui.forecasting import long_lines

    lines = []
    for problem in project.problems:
        key = f"{problem.key}: " if problem.key else ""
        where = f"  ({problem.where})" if problem.where else ""
        glyph = _GLYPHS[problem.severity]
        lines.append(wrapped(f"{glyph} {problem.severity}: {key}{problem.message}{where}", 4))
        if problem.fix:
            lines.append(wrapped(f"    fix: {problem.fix}", 9))
        lines += [wrapped(f"      {line}", 8) for line in problem.details]
    told = long_lines(forecast) if forecast else []
    lines += [wrapped(f"{name}: {words}", 4) for name, words in told]
    ready = "ready to launch" if project.is_valid else "not ready"
    lines.append(f"{project.path}: {verdict(project.problems)}; {ready}")
    return "\n".join(lines)


def _as_dict(project: Project, forecast: Forecast | None) -> dict[str, Any]:
    return {
        "path": str(project.path),
        "valid": project.is_valid,
        "problems": [_problem_as_dict(problem) for problem in project.problems],
        "forecast": forecast and asdict(forecast) | {"train_seconds": forecast.train_seconds},
    }


def _problem_as_dict(problem: Problem) -> dict[str, Any]:
    from engine.config.documents import plain

    edit = problem.edit
    return {
        "severity": problem.severity,
        "key": problem.key,
        "message": problem.message,
        "fix": problem.fix,
        "details": list(problem.details),
        "where": problem.where,
        "edit": edit
        and {"key": edit.key, "value": plain(edit.value)}
        | ({"renames": edit.renames} if edit.renames else {}),
    }
