"""`cascade-tui doctor [CONFIG]`: what is wrong with this machine, each thing with its fix."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import add_config_options, config_path, existing_config, overrides
from cascade_tui.streams import wrapped

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from cascade_tui.doctor.findings import Finding

_INDENT = 9


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what is wrong with this machine, with fixes",
        description="Check Python, packages, driver, GPUs, disks, limits, locale and terminal; "
        "with a config also whether it could run here. Nothing heavy is imported, nothing is "
        "fetched. Exit codes: 0 a run could start, 2 an error would stop it.",
    )
    parser.add_argument("config", nargs="?", metavar="CONFIG", help="a config, JSON or TOML")
    add_config_options(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print every finding; returns 0 without errors, else 2."""
    given, changes = config_path(args.config, args), overrides(args)
    path = None if given is None else existing_config(given)
    findings = []
    for finding in _diagnose(path, changes):
        findings.append(finding)
        if not args.json:
            print(_as_text(finding), flush=True)
    has_errors = any(finding.level == "error" for finding in findings)
    if args.json:
        listed = [asdict(finding) for finding in findings]
        print(json.dumps({"ok": not has_errors, "findings": listed}, indent=2))
    else:
        print(_verdict(findings))
    return exit_codes.USAGE if has_errors else exit_codes.OK


def _diagnose(path: Path | None, changes: list[str]) -> Iterator[Finding]:
    from cascade_tui.doctor.findings import error, ok, warning
    from cascade_tui.doctor.gpus import ask_driver, check_gpus
    from cascade_tui.doctor.machine import check_machine
    from cascade_tui.doctor.software import check_software, torch_cuda
    from engine.config.loading import load_project

    driver = ask_driver()
    if driver.has_hung:  # nothing else may ask it: it would wait for ever
        yield from check_gpus(driver, torch_cuda())
        return
    yield from check_software()
    yield from check_gpus(driver, torch_cuda())
    project = None if path is None else load_project(path, changes)
    config = None if project is None else project.config
    yield from check_machine(Path(config.output_dir).expanduser() if config else Path.cwd())
    if project is None:
        return
    for problem in project.problems:
        if problem.severity == "hint":
            continue
        make = error if problem.severity == "error" else warning
        message = f"{problem.key}: {problem.message}" if problem.key else problem.message
        yield make("config", message, problem.fix)
    if project.is_valid:
        yield ok("config", f"{project.path} could run here; its weights are all there")


def _as_text(finding: Finding) -> str:
    line = wrapped(f"{finding.level:<8} {finding.check}: {finding.message}", _INDENT)
    fix = wrapped(f"{'':<{_INDENT}}fix: {finding.fix}", _INDENT + len("fix: "))
    return f"{line}\n{fix}" if finding.fix else line


def _verdict(findings: list[Finding]) -> str:
    parts = []
    for level in ("error", "warning"):
        count = sum(finding.level == level for finding in findings)
        if count:
            parts.append(f"{count} {level}{'s' if count > 1 else ''}")
    return ", ".join(parts) or "nothing is wrong"
