"""docs/cli.md says what the commands do: exit codes as in each --help, JSON fields as printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cascade_tui.cli import COMMANDS, main, main_parser
from cascade_tui.exit_codes import SUMMARY
from engine.config.environment import Environment
from engine.config.frozen import freeze
from engine.config.live import LiveChange, write_changes
from engine.config.loading import load_project
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import write_run

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
TYPES = {str: "string", bool: "boolean", int: "integer", float: "number", list: "list"}


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    found = [re.split(r"\s*(?<!\\)\|\s*", line)[1:-1] for line in lines]
    return [cells for cells in found if not cells[0].startswith("---") and cells[0] != "field"]


def documented(command: str) -> dict[str, set[str]]:
    """The page's field table of a command: path and types."""
    section = re.search(rf"^### `{command} --json`\n(.*?)(?=^#|\Z)", PAGE, re.M | re.S)
    assert section, f"the page has no fields of {command}"
    return {cells[0].strip("`"): set(cells[1].split(", ")) for cells in rows(section[1])}


def walk(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every field with the type of its value, as the page writes them."""
    if isinstance(value, dict):
        if path:
            yield path, "object"
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        yield path, "list"
        for inner in value:
            yield from walk(inner, f"{path}[]")
    else:
        yield path, "null" if value is None else TYPES[type(value)]


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """A folder with a run that was changed while it ran, a new run, and configs good and bad."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    (tmp_path / "good.toml").write_text(
        'output_dir = "run"\n[validation_prompts]\nfog = "a valley"\n'
        '[[data_backend]]\nid = "mine"\ninstance_data_dir = "photographs"\n'
    )
    (tmp_path / "bad.toml").write_text(
        'learning_rat = 1\nmixed_precision = "bf16"\nlora_rank = 0\n'
    )
    run = write_run(tmp_path / "run", "failed")
    project = load_project(
        tmp_path / "good.toml", environment=Environment((), frozenset()), check=False
    )
    freeze(project, run.root)
    write_changes(run, LiveChange({"checkpoint_step_interval": 250}))
    manifest = run.checkpoint_dir(500) / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    new = RunDirectory(write_run(tmp_path / "new", "empty").root)
    new.events.touch()
    return tmp_path


ASKED = {
    "status": [["."]],
    "validate": [["good.toml", "bad.toml"]],
    "diff": [["run"], ["good.toml", "run"], ["run", "bad.toml"]],
    "models": [[]],
    "doctor": [[]],
    "locate": [["run"]],
    "keys": [[]],
}
"""Command lines that together print every field."""


@pytest.mark.parametrize("command", ASKED)
def test_the_page_has_the_fields_of_the_json_and_their_types(command, places, capsys):
    printed: dict[str, set[str]] = {}
    for arguments in ASKED[command]:
        main([command, *arguments, "--json"])
        output = capsys.readouterr().out
        objects = output.splitlines() if command == "status" else [output]
        for text in filter(None, objects):
            for path, kind in walk(json.loads(text)):
                printed.setdefault(path, set()).add(kind)
    fields = documented(command)
    for path, kinds in list(printed.items()):
        if "any" in fields.get(re.sub(r"\[\]$", "", path), set()):  # what is in it is an option's
            printed[path] = kinds & {"null"}
    told = {path for path in printed if not is_within_any(path, fields)}
    containers = {path for path in told if path not in fields and printed[path] == {"object"}}
    assert told - containers == set(fields)
    for path in told - containers:
        assert printed[path] <= fields[path] | ({"integer"} if "number" in fields[path] else set())


def is_within_any(path: str, fields: dict[str, set[str]]) -> bool:
    """Whether it is part of the value of an option, which may be anything."""
    names = [name for name, kinds in fields.items() if "any" in kinds]
    return any(path.startswith((f"{name}[", f"{name}.")) for name in names)


def helps() -> dict[str, str]:
    """What each command's --help prints, on one line."""
    import argparse
    import importlib

    found: dict[str, argparse.ArgumentParser] = {}
    for module in {module for module, _ in COMMANDS.values()}:
        subparsers = argparse.ArgumentParser().add_subparsers()
        importlib.import_module(f"cascade_tui.commands.{module}").add_parser(subparsers)
        found |= subparsers.choices
    return {name: " ".join(parser.format_help().split()) for name, parser in found.items()}


def test_every_command_with_json_is_on_the_page():
    assert {name for name, text in helps().items() if "--json" in text} == set(ASKED)


def test_every_command_is_on_the_page_with_the_exit_codes_of_its_help():
    of_command: dict[str, str] = {}
    for names, _, codes in (cells for cells in rows(PAGE) if len(cells) == 3):
        if re.search(r"(^|, |;.* )(0|the run's)", codes):
            of_command |= dict.fromkeys(re.findall(r"`([^`]+)`", names), codes)
    assert set(of_command) == {"--no-ui CONFIG", *COMMANDS}
    for name, text in helps().items():
        told = text.partition("Exit codes: ")[2]
        assert told, f"{name} --help does not tell its exit codes"
        sentence = re.split(r"(?<!\d)\.(?: |$)", told)[0]
        codes = set(re.findall(r"(?:^|[ (])(\d+)(?= )", sentence))
        assert codes <= set(re.findall(r"\d+", of_command[name])), name
        page = set(re.findall(r"\d+", of_command[name]))
        assert page == codes, name


def test_the_meanings_of_exit_codes_are_the_same_in_the_help_and_on_the_page():
    numbers = {cells[0] for cells in rows(PAGE) if re.fullmatch(r"[\d, ]+", cells[0])}
    assert numbers == set(re.findall(r"^  (\d[\d, ]*?) {2,}", SUMMARY, re.M))
    assert SUMMARY in main_parser().format_help()
