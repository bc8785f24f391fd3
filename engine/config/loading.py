"""A config file with everything it refers to, read and checked as a whole."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config.backends import Backend, parse_backends
from engine.config.context import Context
from engine.config.documents import BACKENDS, PROMPTS, Document, DocumentError
from engine.config.environment import Environment, probe_environment
from engine.config.fields import TrainingConfig
from engine.config.machine_rules import check_machine
from engine.config.overrides import Overrides, parse_overrides
from engine.config.problems import Problem, error
from engine.config.reading import read_model
from engine.config.rules import check_rules
from engine.config.weight_files import WEIGHT_KEYS, WeightFiles, locate_weights

INLINE_KEYS = (BACKENDS, PROMPTS)
"""Keys of a TOML config that are no options: backends and prompts in the same file."""

_ORDER = {"error": 0, "warning": 1, "hint": 2}


@dataclass(frozen=True, slots=True)
class Project:
    """A checked config. ``config`` is None only when the file itself cannot be read.

    ``backends_document`` is the file that ``data_backend_config`` names; None if the backends are
    in the config itself, or the file cannot be read.
    """

    path: Path
    document: Document | None
    config: TrainingConfig | None
    backends: tuple[Backend, ...]
    prompts: Mapping[str, str]
    weights: WeightFiles | None
    problems: tuple[Problem, ...]
    backends_document: Document | None = None

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
    backends_document: Document | None = None


@dataclass(slots=True)
class _Raw:
    """What the files and overrides say, before anything is checked."""

    options: dict[str, Any]
    backends: Any
    prompts: dict[str, str]
    backends_document: Document | None
    prompts_document: Document | None
    problems: list[Problem]


def load_project(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    environment: Environment | None = None,
    check: bool = True,
) -> Project:
    """Read a config with its backends and prompts, apply ``key=value`` overrides, check it all.

    Without ``check`` only what can be told from the values alone is: no rules, no look at this
    machine, no weights.
    """
    try:
        document = Document.read(path)
    except DocumentError as failure:
        return Project(path, None, None, (), {}, None, (failure.problem,))
    checked = check_document(document, overrides, environment=environment, check=check)
    return Project(
        path,
        document,
        checked.config,
        checked.backends,
        checked.prompts,
        checked.weights,
        checked.problems,
        checked.backends_document,
    )


def check_document(
    document: Document,
    overrides: Sequence[str] = (),
    *,
    environment: Environment | None = None,
    backends_document: Document | None = None,
    prompts_document: Document | None = None,
    check: bool = True,
) -> Checked:
    """Check a document as it stands, edits included; problems carry their lines.

    ``backends_document`` and ``prompts_document`` stand in for the files that
    ``data_backend_config`` and ``validation_prompt_library`` name, so that their unsaved edits
    count.
    """
    given, problems = parse_overrides(overrides)
    if document.is_list:
        message = "this is a list of data backends, not a config"
        fix = "give the config that names it as its data_backend_config"
        problems.append(Problem("", "error", message, fix, where=f"{document.path}:1"))
    raw = _gather(document, given, backends_document, prompts_document)
    problems += raw.problems
    silent = {problem.key for problem in problems}
    if check:
        environment = environment or probe_environment()
        checked = check_values(
            raw.options,
            raw.backends,
            raw.prompts,
            environment,
            silent=silent,
            arguments=_arguments(document, overrides),
        )
    else:
        config, wrong = read_model(TrainingConfig, raw.options)
        backends, found = parse_backends(raw.backends)
        checked = Checked(config, backends, raw.prompts, None, (*wrong, *found))
    everything = (*problems, *checked.problems)
    located = [_locate(problem, document, given, raw) for problem in everything]
    in_order = tuple(sorted(located, key=lambda problem: _ORDER[problem.severity]))
    return replace(checked, problems=in_order, backends_document=raw.backends_document)


def check_values(
    values: Mapping[str, Any],
    raw_backends: Any,
    prompts: Mapping[str, str],
    environment: Environment,
    *,
    silent: Collection[str] = (),
    arguments: str = "CONFIG",
) -> Checked:
    """Check options, backends and prompts.

    Rules on a field that is in error, or whose key is in ``silent``, say nothing; the others see
    its default. ``arguments`` name the config to a command that a fix gives.
    """
    config, problems = read_model(TrainingConfig, values)
    backends, found = parse_backends(raw_backends)
    problems += found
    faulty = {problem.key for problem in problems} | set(silent)
    if not isinstance(raw_backends, list) or len(backends) < len(raw_backends):
        faulty |= {"data_backend_config"}  # what is missing may be what could not be read
    context = Context(config, backends, prompts, environment, frozenset(values))
    weights, missing = locate_weights(config, arguments)
    by_rule = (*check_rules(context), *missing, *check_machine(context))
    problems += [problem for problem in by_rule if problem.key not in faulty]
    return Checked(config, backends, prompts, weights, tuple(problems))


def _arguments(document: Document, overrides: Sequence[str]) -> str:
    """The config as a command takes it, with those overrides that say which weights it reads."""
    words = [str(document.path)]
    for override in overrides:
        if override.removeprefix("--").partition("=")[0].strip() in WEIGHT_KEYS:
            words += ["--set", override]
    return shlex.join(words)


def _gather(
    document: Document,
    given: Overrides,
    backends_document: Document | None,
    prompts_document: Document | None,
) -> _Raw:
    """The values of the config with the overrides, and of the files that it names."""
    values = {**document.values, **given.options}
    problems: list[Problem] = []
    backends, source = _raw_backends(values, document.path, backends_document, problems)
    for identity, key, value in given.of_backends:
        _override_backend(backends, identity, key, value, problems)
    prompts, library = _prompts(values, document.path, prompts_document, problems)
    options = {key: value for key, value in values.items() if key not in INLINE_KEYS}
    if isinstance(options.get("validation_prompt_library"), Mapping):
        del options["validation_prompt_library"]  # the prompts themselves, read above
    return _Raw(options, backends, prompts | given.prompts, source, library, problems)


def _override_backend(
    raw: Any, identity: str, key: str, value: Any, problems: list[Problem]
) -> None:
    known = [entry for entry in raw if isinstance(entry, dict)] if isinstance(raw, list) else []
    for entry in known:
        if identity in (entry.get("id"), entry.get("--id")):
            entry[f"--{key}" if f"--{key}" in entry else key] = value
            return
    ids = ", ".join(str(entry.get("id")) for entry in known) or "none"
    message = f"no backend has the id {identity} (there: {ids})"
    problems.append(error(f"{BACKENDS}[{identity}].{key}", message, "give the id of one"))


def _raw_backends(
    values: Mapping[str, Any],
    config_path: Path,
    document: Document | None,
    problems: list[Problem],
) -> tuple[Any, Document | None]:
    """The backends from the config itself, or from the file it names."""
    key = "data_backend_config"
    inline, named = values.get(BACKENDS), values.get(key)
    if inline is not None and named:
        message = "the config holds data_backend itself, so this file would be ignored"
        problems.append(error(key, message, "remove one of the two"))
        return [], None
    if inline is not None:
        return _copied(inline), None
    if not isinstance(named, str) or not named:
        return [], None
    if document is None:
        document = _read_beside(named, config_path, key, problems)
    if document is None:
        return [], None
    backends = document.values.get(BACKENDS)
    if not isinstance(backends, list):
        message = f"{document.path} must hold a list of backends: [ {{ … }} ]"
        problems.append(error(key, message, "put the backends between [ and ]"))
        return [], document
    return _copied(backends), document


def _copied(backends: Any) -> Any:
    """Overrides must not reach the document's own values."""
    if not isinstance(backends, list):
        return backends
    return [dict(entry) if isinstance(entry, dict) else entry for entry in backends]


def _prompts(
    values: Mapping[str, Any],
    config_path: Path,
    document: Document | None,
    problems: list[Problem],
) -> tuple[dict[str, str], Document | None]:
    """The prompt library: from the config itself, or from the file it names."""
    key = "validation_prompt_library"
    inline, named = values.get(PROMPTS), values.get(key)
    if inline is not None and named:
        message = f"the config holds {PROMPTS} itself, so this would be ignored"
        problems.append(error(key, message, "remove one of the two"))
        return {}, None
    raw, source = (named if inline is None else inline), None
    if isinstance(raw, str) and inline is None and raw:
        source = document or _read_beside(raw, config_path, key, problems, is_library=True)
        raw = source.values if source else None
    if raw is None or raw == "":
        return {}, source
    at = key if inline is None else PROMPTS
    if not isinstance(raw, Mapping) or (source is not None and source.is_list):
        problems.append(error(at, "must hold names and prompts: { name: text }", "write them so"))
        return {}, source
    for name, text in raw.items():
        if not isinstance(text, str):
            problems.append(error(at, f"the prompt {name} is not text", "put it in quotes"))
    return {name: text for name, text in raw.items() if isinstance(text, str)}, source


def _read_beside(
    name: str, config_path: Path, key: str, problems: list[Problem], *, is_library: bool = False
) -> Document | None:
    """The file that option ``key`` names."""
    path = find_beside(name, config_path)
    if path is None:
        message = f"{name} does not exist, neither here nor beside {config_path.name}"
        problems.append(error(key, message, "give a JSON file that is there"))
        return None
    try:
        return Document.read(path, is_library=is_library)
    except DocumentError as failure:
        problems.append(replace(failure.problem, key=key))
        return None


def find_beside(name: str, config_path: Path) -> Path | None:
    """A file that a config names: as given from here, from the config's folder, or beside it."""
    try:
        given = Path(name).expanduser()
        folder = config_path.expanduser().absolute().parent
        candidates = [given, folder / given, folder / given.name]
        return next((path.absolute() for path in candidates if path.is_file()), None)
    except (ValueError, RuntimeError):  # a NUL in the name; ~ of a user who is not known
        return None


def _locate(problem: Problem, document: Document, given: Overrides, raw: _Raw) -> Problem:
    """Say where a problem's value stands: the config's line, --set, or the backends' file."""
    if problem.where:
        return problem
    if problem.key in given.names:
        return replace(problem, where=f"--set {problem.key}")
    source = document
    if problem.key.startswith(f"{BACKENDS}[") and raw.backends_document is not None:
        source = raw.backends_document
    elif problem.key.startswith(f"{PROMPTS}[") and raw.prompts_document is not None:
        source = raw.prompts_document
    line = source.line_of(problem.key) if problem.key else None
    if line is None and source is document:
        return problem
    return replace(problem, where=f"{source.path}:{line}" if line else str(source.path))
