"""Values given on the command line: ``--set key=value``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.backends import BACKEND_OPTIONS
from engine.config.documents import BACKENDS, PROMPTS
from engine.config.fields import OPTIONS
from engine.config.options import Option
from engine.config.problems import Problem, error

_TEXTS = ("text", "path", "choice", "resolution", "list")


@dataclass(frozen=True, slots=True)
class Overrides:
    """Overrides by what they are for: options, (backend id, key, value), and prompts by name."""

    options: dict[str, Any]
    of_backends: tuple[tuple[str, str, Any], ...]
    prompts: dict[str, str]

    @property
    def names(self) -> frozenset[str]:
        """The keys of problems that are about an overridden value."""
        of_backends = {f"{BACKENDS}[{identity}].{key}" for identity, key, _ in self.of_backends}
        return frozenset(self.options) | of_backends


def parse_overrides(overrides: Sequence[str]) -> tuple[Overrides, list[Problem]]:
    """Split ``key=value``, ``data_backend.<id>.<key>=value``, ``validation_prompts.<name>=text``.

    A value is JSON if it reads as JSON of the option's kind, else text: 123 is a good name.
    """
    options: dict[str, Any] = {}
    of_backends: list[tuple[str, str, Any]] = []
    prompts: dict[str, str] = {}
    problems: list[Problem] = []
    for override in overrides:
        key, equals, text = override.removeprefix("--").partition("=")
        key = key.strip()
        table, _, rest = key.partition(".")
        identity, _, name = rest.rpartition(".")
        if not equals or not key or (table == BACKENDS and not (identity and name)):
            message = f"--set {override}: not of the form key=value"
            fix = "write --set learning_rate=1e-4, or --set data_backend.<id>.crop=true"
            problems.append(error("", message, fix))
        elif table == BACKENDS:
            declared = [options[name] for options in BACKEND_OPTIONS.values() if name in options]
            of_backends.append((identity, name, _value(text, declared[0] if declared else None)))
        elif table == PROMPTS and rest:
            prompts[rest] = text
        else:
            options[key] = _value(text, OPTIONS.get(key))
    return Overrides(options, tuple(of_backends), prompts), problems


def _value(text: str, option: Option | None) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    is_text = option is not None and option.kind in _TEXTS
    return text if is_text and isinstance(value, bool | int | float) else value
