"""What differs between two configs, value by value, every default spelt out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.config.backends import Backend, backend_key
from engine.config.documents import PROMPTS, plain
from engine.config.fields import OPTIONS, TrainingConfig
from engine.config.loading import Project
from engine.config.options import Option, options_of

ABSENT = object()
"""The value of what one of the two has not got: a backend, a prompt."""

# What these files hold is compared, not where they lie.
_BY_CONTENT = ("data_backend_config", "validation_prompt_library")


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that differs; ABSENT where a side has no such backend or prompt."""

    key: str
    a: Any
    b: Any


def values_of(
    config: TrainingConfig, backends: tuple[Backend, ...] = (), prompts: Mapping[str, str] = {}
) -> dict[str, Any]:
    """Every value by its key as in problems: options, `data_backend[id].option`, prompts by name.

    Paths are absolute, so that a frozen config compares with the one it was made from.
    """
    values = {
        key: _comparable(option, getattr(config, key))
        for key, option in OPTIONS.items()
        if key not in _BY_CONTENT
    }
    for backend in backends:
        for key, option in options_of(type(backend)).items():
            values[backend_key(backend.id, key)] = _comparable(option, getattr(backend, key))
    return values | {f"{PROMPTS}[{name}]": text for name, text in prompts.items()}


def values_of_project(project: Project) -> dict[str, Any]:
    """The values of a config that was read without errors."""
    assert project.config is not None
    return values_of(project.config, project.backends, project.prompts)


def default_values(project: Project, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with some changes (a preset's), and the defaults of the project's backends.

    A backend's id and kind are its own: they have no default that would mean anything.
    """
    own = ("id", "dataset_type")
    backends = tuple(
        type(backend)(**{key: getattr(backend, key) for key in own}) for backend in project.backends
    )
    return values_of(TrainingConfig.model_validate(dict(changes)), backends)


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs, in the order of declaration, then what only `b` has."""
    keys = dict.fromkeys((*a, *b))
    pairs = (Difference(key, a.get(key, ABSENT), b.get(key, ABSENT)) for key in keys)
    return tuple(pair for pair in pairs if pair.a != pair.b)


def _comparable(option: Option, value: Any) -> Any:
    is_path = option.kind == "path"
    if option.key.endswith("_model_name_or_path"):  # a hub repository, unless it is a folder here
        is_path = Path(value).expanduser().is_dir()
    if is_path and value:
        return str(Path(value).expanduser().absolute())
    return plain(value)
