"""What may be changed in a run that goes on, checked as the config itself is.

A change is kept in the run directory beside the frozen config, which stays as it was launched: a
run that is resumed goes on with its changes, and launching a config says everything anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.config.documents import PROMPTS
from engine.config.fields import TrainingConfig
from engine.config.frozen import FrozenConfig, FrozenConfigError, load_frozen
from engine.config.overrides import parse_overrides
from engine.config.problems import Problem, error
from engine.config.prompts import check_prompts
from engine.config.reading import read_model
from engine.run.files import atomic_write_json
from engine.run.paths import RunDirectory

LIVE_OPTIONS = ("checkpoint_step_interval", "validation_step_interval", "validation_prompt")


@dataclass(frozen=True, slots=True)
class LiveChange:
    """New values of options, and prompts by name; a prompt that is None is taken away."""

    options: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.options or self.prompts)

    @classmethod
    def of_arguments(cls, arguments: Mapping[str, Any]) -> LiveChange:
        """From a command's arguments, or from the run's file of changes.

        Raises:
            FrozenConfigError: they are not of that form.
        """
        options, prompts = arguments.get("options", {}), arguments.get("prompts", {})
        is_text = isinstance(prompts, Mapping) and all(
            text is None or isinstance(text, str) for text in prompts.values()
        )
        if not isinstance(options, Mapping) or not is_text:
            raise FrozenConfigError("a change holds a table of options and one of prompts")
        return cls(dict(options), dict(prompts))

    def arguments(self) -> dict[str, Any]:
        """As JSON, for `of_arguments`."""
        return {"options": dict(self.options), "prompts": dict(self.prompts)}

    def then(self, later: LiveChange) -> LiveChange:
        """Both changes, one after the other, as one."""
        return LiveChange(
            {**self.options, **later.options},
            {**self.prompts, **later.prompts},
        )


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """One value before and after; ``key`` is an option, or ``validation_prompts.<name>``."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key} {_said(self.old)} → {_said(self.new)}"


def parse_change(assignments: Sequence[str]) -> tuple[LiveChange, list[Problem]]:
    """Read ``key=value`` and ``validation_prompts.<name>=text``; no text takes a prompt away."""
    given, problems = parse_overrides(assignments)
    problems += [_not_live(key) for key in given.names if key not in LIVE_OPTIONS]
    options = {key: value for key, value in given.options.items() if key in LIVE_OPTIONS}
    prompts = {name: text or None for name, text in given.prompts.items()}
    return LiveChange(options, prompts), problems


def apply_change(frozen: FrozenConfig, change: LiveChange) -> tuple[FrozenConfig, list[Problem]]:
    """The settings with ``change`` made; as they were if there is a problem with it."""
    problems = [_not_live(key) for key in change.options if key not in LIVE_OPTIONS]
    options = {key: value for key, value in change.options.items() if key in LIVE_OPTIONS}
    parsed, wrong = read_model(TrainingConfig, options)
    problems += wrong
    prompts = {**frozen.prompts, **change.prompts}
    for name in [name for name, text in change.prompts.items() if text is None]:
        del prompts[name]
        if name not in frozen.prompts:
            problems.append(_no_prompt(name, frozen.prompts))
    kept = {name: text for name, text in prompts.items() if text is not None}
    known = set(check_prompts(frozen.prompts))
    problems += [problem for problem in check_prompts(kept) if problem not in known]
    if problems:
        return frozen, problems
    values = {key: getattr(parsed, key) for key in options}
    config = frozen.config.model_copy(update=values)
    return replace(frozen, config=config, prompts=kept), []


def differences(before: FrozenConfig, after: FrozenConfig) -> Iterator[ChangedValue]:
    """What a change changed; None for a prompt that is not there."""
    for key in LIVE_OPTIONS:
        old, new = getattr(before.config, key), getattr(after.config, key)
        if old != new:
            yield ChangedValue(key, old, new)
    for name in dict.fromkeys((*before.prompts, *after.prompts)):
        old, new = before.prompts.get(name), after.prompts.get(name)
        if old != new:
            yield ChangedValue(f"{PROMPTS}.{name}", old, new)


def load_current(root: Path) -> tuple[FrozenConfig, LiveChange]:
    """The settings of a run with what was changed since its launch, and that change.

    Raises:
        FrozenConfigError: there is no whole frozen config, or the changes do not fit it.
    """
    frozen, change = load_frozen(root), read_changes(RunDirectory(root))
    current, problems = apply_change(frozen, change)
    if problems:
        raise FrozenConfigError(
            f"{RunDirectory(root).changes}: {problems[0].key}: {problems[0].message}. Remove that "
            "file to go on with the settings of the launch"
        )
    return current, change


def changed_since_launch(root: Path) -> dict[str, ChangedValue]:
    """What was changed in a run since its launch, by key as in `engine.config.comparison`.

    Raises:
        FrozenConfigError: as `load_current`, if the run has a file of changes.
    """
    if not RunDirectory(root).changes.exists():
        return {}
    found = differences(load_frozen(root), load_current(root)[0])
    return {_key_in_comparison(changed.key): changed for changed in found}


def with_changes(values: Mapping[str, Any], changed: Mapping[str, ChangedValue]) -> dict[str, Any]:
    """Values by key (see `engine.config.comparison`) as they are since the changes of a run."""
    current = dict(values)
    for key, change in changed.items():
        if change.new is None and key.startswith(f"{PROMPTS}["):
            current.pop(key, None)
        else:
            current[key] = change.new
    return current


def read_changes(run: RunDirectory) -> LiveChange:
    """What was changed in a run since its launch.

    Raises:
        FrozenConfigError: the file is damaged.
    """
    try:
        content = json.loads(run.changes.read_bytes())
    except FileNotFoundError:
        return LiveChange()
    except (OSError, ValueError) as failure:
        raise FrozenConfigError(f"{run.changes} cannot be read: {failure}") from failure
    return LiveChange.of_arguments(content if isinstance(content, Mapping) else {"options": None})


def write_changes(run: RunDirectory, change: LiveChange) -> None:
    """Keep a change for the time after a resume. Raises OSError if it cannot be written."""
    atomic_write_json(run.changes, {"v": 1, **change.arguments()})


def _key_in_comparison(key: str) -> str:
    name = key.removeprefix(f"{PROMPTS}.")
    return key if name == key else f"{PROMPTS}[{name}]"


def _not_live(key: str) -> Problem:
    return error(
        key,
        f"{key} cannot be changed while the run goes on",
        f"only {', '.join(LIVE_OPTIONS)} and {PROMPTS}.<name> can; for others stop the run, edit "
        "the config and launch it again",
    )


def _no_prompt(name: str, known: Mapping[str, str]) -> Problem:
    names = ", ".join(known) or "none"
    return error(f"{PROMPTS}.{name}", f"there is no prompt {name} (there: {names})")


def _said(value: Any) -> str:
    return "nothing" if value is None else str(value) if isinstance(value, int) else f"“{value}”"
