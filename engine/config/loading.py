"""A config file with everything it refers to, read and checked as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config.backends import Backend, parse_backends
from engine.config.documents import Document, DocumentError, read_values
from engine.config.environment import Environment, probe_environment
from engine.config.fields import TrainingConfig
from engine.config.machine_rules import check_machine
from engine.config.problems import Problem, error
from engine.config.reading import read_model
from engine.config.rules import Context, check_rules
from engine.config.weight_files import WeightFiles, locate_weights

INLINE_KEYS = ("data_backend", "validation_prompts")
"""Keys of a TOML config that are no options: backends and prompts in the same file."""

_ORDER = {"error": 0, "warning": 1, "hint": 2}


@dataclass(frozen=True, slots=True)
class Project:
    """A checked config. ``config`` is None only when the file itself cannot be read."""

    path: Path
    document: Document | None
    config: TrainingConfig | None
    backends: tuple[Backend, ...]
    prompts: Mapping[str, str]
    weights: WeightFiles | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def is_valid(self) -> bool:
        """Whether a run may start: nothing is wrong that is an error."""
        return not self.errors


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of checking values: fields in error have their defaults in ``config``."""

    config: TrainingConfig
    backends: tuple[Backend, ...]
    prompts: Mapping[str, str]
    weights: WeightFiles | None
    problems: tuple[Problem, ...]


def load_project(
    path: Path, overrides: Sequence[str] = (), *, environment: Environment | None = None
) -> Project:
    """Read a config with its backends and prompts, apply ``key=value`` overrides, check it all."""
    try:
        document = Document.read(path)
    except DocumentError as failure:
        return Project(path, None, None, (), {}, None, (failure.problem,))
    checked = check_document(document, overrides, environment=environment)
    return Project(
        path,
        document,
        checked.config,
        checked.backends,
        checked.prompts,
        checked.weights,
        checked.problems,
    )


def check_document(
    document: Document, overrides: Sequence[str] = (), *, environment: Environment | None = None
) -> Checked:
    """Check a document as it stands, edits included; problems carry their lines."""
    values = document.values
    plain, backend_overrides, problems = parse_overrides(overrides)
    values |= plain
    raw_backends, backend_file, found = _raw_backends(values, document.path)
    problems += found
    for identity, key, value in backend_overrides:
        problems += _override_backend(raw_backends, identity, key, value)
    prompts, found = _prompts(values, document.path)
    problems += found
    options = {key: value for key, value in values.items() if key not in INLINE_KEYS}
    checked = check_values(options, raw_backends, prompts, environment or probe_environment())
    everything = (*problems, *checked.problems)
    located = tuple(_locate(problem, document, plain, backend_file) for problem in everything)
    return replace(
        checked, problems=tuple(sorted(located, key=lambda problem: _ORDER[problem.severity]))
    )


def check_values(
    values: Mapping[str, Any],
    raw_backends: Any,
    prompts: Mapping[str, str],
    environment: Environment,
) -> Checked:
    """Check options, backends and prompts; rules on a field that is in error keep silent."""
    config, problems = read_model(TrainingConfig, values)
    backends, found = parse_backends(raw_backends)
    problems += found
    faulty = {problem.key for problem in problems}
    context = Context(config, backends, prompts, environment)
    weights, missing = locate_weights(config)
    by_rule = (*check_rules(context), *missing, *check_machine(context))
    broken_backends = any(problem.key.startswith("data_backend") for problem in problems)
    problems += [
        problem
        for problem in by_rule
        if problem.key not in faulty
        and not (broken_backends and problem.key == "data_backend_config")
    ]
    return Checked(config, backends, prompts, weights, tuple(problems))


def parse_overrides(
    overrides: Sequence[str],
) -> tuple[dict[str, Any], list[tuple[str, str, Any]], list[Problem]]:
    """Split ``key=value`` and ``data_backend.<id>.<key>=value``; values are JSON, else text."""
    plain: dict[str, Any] = {}
    of_backends: list[tuple[str, str, Any]] = []
    problems: list[Problem] = []
    for override in overrides:
        key, equals, text = override.removeprefix("--").partition("=")
        if not equals or not key:
            message = f"--set {override}: not of the form key=value"
            problems.append(error("", message, "write --set learning_rate=1e-4"))
            continue
        value = _value(text)
        if key.startswith("data_backend."):
            identity, _, name = key.removeprefix("data_backend.").rpartition(".")
            of_backends.append((identity, name, value))
        else:
            plain[key.strip()] = value
    return plain, of_backends, problems


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _override_backend(raw: list[Any], identity: str, key: str, value: Any) -> list[Problem]:
    known = [entry for entry in raw if isinstance(entry, dict)]
    for entry in known:
        if entry.get("id") == identity:
            entry[key] = value
            return []
    ids = ", ".join(str(entry.get("id")) for entry in known) or "none"
    return [
        error(f"data_backend[{identity}].{key}", f"no backend has the id {identity} (there: {ids})")
    ]


def _raw_backends(
    values: Mapping[str, Any], config_path: Path
) -> tuple[list[Any], Path | None, list[Problem]]:
    """The backends from the config itself, or from the file it names."""
    inline, named = values.get("data_backend"), values.get("data_backend_config")
    key = "data_backend_config"
    if inline is not None:
        if named:
            message = "the config holds [[data_backend]] itself, so this file would be ignored"
            return [], None, [error(key, message, "remove one of the two")]
        return [dict(e) if isinstance(e, dict) else e for e in inline], None, []
    if not isinstance(named, str):
        return [], None, []
    raw, path, problems = _read_beside(named, config_path, key)
    if problems:
        return [], path, problems
    if not isinstance(raw, list):
        return [], path, [error(key, f"{path} must hold a list of backends: [ {{ … }} ]")]
    return raw, path, []


def _prompts(values: Mapping[str, Any], config_path: Path) -> tuple[dict[str, str], list[Problem]]:
    """The prompt library: [validation_prompts] of the config, or the file it names."""
    key = "validation_prompt_library"
    raw, named = values.get("validation_prompts"), values.get(key)
    if raw is None and isinstance(named, str):
        raw, _, problems = _read_beside(named, config_path, key)
        if problems:
            return {}, problems
    elif raw is not None and named:
        message = "the config holds [validation_prompts] itself, so this file would be ignored"
        return {}, [error(key, message, "remove one of the two")]
    if raw is None:
        return {}, []
    if not isinstance(raw, dict) or not all(isinstance(text, str) for text in raw.values()):
        return {}, [error(key, "must hold names and prompts: { name: text }")]
    return dict(raw), []


def _read_beside(name: str, config_path: Path, key: str) -> tuple[Any, Path | None, list[Problem]]:
    """The content of a JSON file that option ``key`` names."""
    path = find_beside(name, config_path)
    if path is None:
        message = f"{name} does not exist, neither here nor beside {config_path.name}"
        return None, None, [error(key, message, "give a JSON file that is there")]
    raw, problem = read_values(path)
    return raw, path, [replace(problem, key=key)] if problem else []


def find_beside(name: str, config_path: Path) -> Path | None:
    """A file that a config names: as given from here, from the config's folder, or beside it."""
    given = Path(name).expanduser()
    folder = config_path.expanduser().absolute().parent
    candidates = [given, folder / given, folder / given.name]
    return next((path.absolute() for path in candidates if path.is_file()), None)


def _locate(
    problem: Problem, document: Document, overridden: Mapping[str, Any], backend_file: Path | None
) -> Problem:
    """Say where a problem's value stands: the config's line, --set, or the backends' file."""
    if problem.where:
        return problem
    if problem.key in overridden:
        return replace(problem, where=f"--set {problem.key}")
    if problem.key.startswith("data_backend["):
        return replace(problem, where=str(backend_file or document.path))
    line = document.line_of(problem.key) if problem.key else None
    return replace(problem, where=f"{document.path}:{line}") if line else problem
