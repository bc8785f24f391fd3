"""The resolved config of a run, written into its directory: every default spelt out."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from engine.config.backends import Backend, parse_backends
from engine.config.documents import to_json
from engine.config.fields import GROUPS, OPTIONS, TrainingConfig
from engine.config.loading import Project
from engine.config.prompts import SINGLE_PROMPT
from engine.config.reading import read_model
from engine.run.files import atomic_write_text
from engine.run.paths import RunDirectory

_HEADER = "# Resolved by cascade-tui when the run was launched. Edit the original, not this copy.\n"
_WITHOUT = ("data_backend_config", "validation_prompt_library")
_LOCAL_OR_HUB = ("pretrained_model_name_or_path", "pretrained_vae_model_name_or_path",
                 "stable_cascade_decoder_model_name_or_path")  # fmt: skip


class FrozenConfigError(ValueError):
    """A run directory without a whole frozen config."""


@dataclass(frozen=True, slots=True)
class FrozenConfig:
    """What a run was launched with."""

    config: TrainingConfig
    backends: tuple[Backend, ...]
    prompts: dict[str, str]

    @property
    def validation_prompts(self) -> dict[str, str]:
        """Name -> prompt: the library, and the single prompt under a name of its own."""
        prompts = dict(self.prompts)
        if self.config.validation_prompt:
            prompts.setdefault(SINGLE_PROMPT, self.config.validation_prompt)
        return prompts


def freeze(project: Project, root: Path) -> None:
    """Write config.toml and data_backends.json into a run directory; paths become absolute.

    What was changed in an earlier run there (see `engine.config.live`) counts no more.

    Raises:
        OSError: the folder cannot be written.
    """
    assert project.config is not None
    run = RunDirectory(root.absolute())
    values = project.config.model_dump(mode="json")
    # Both files are copied here, so this copy is a whole config by itself.
    values |= dict.fromkeys(_WITHOUT)
    if project.backends:
        values["data_backend_config"] = str(run.data_backends)
    backends = [_frozen_backend(backend) for backend in project.backends]
    atomic_write_text(run.data_backends, to_json(backends))
    atomic_write_text(run.config, _as_toml(values, project.prompts))
    run.changes.unlink(missing_ok=True)


def _as_toml(values: Mapping[str, Any], prompts: Mapping[str, str]) -> str:
    """Every option under its group's name; one that is not set is there as a comment."""
    parts = [_HEADER]
    for group in GROUPS:
        parts.append(f"\n# -- {group}\n")
        for key in (key for key, option in OPTIONS.items() if option.group == group):
            if values[key] is None:
                parts.append(f"# {key} is not set\n")
            else:
                parts.append(tomli_w.dumps({key: _absolute(key, values[key])}))
    if prompts:
        parts.append("\n" + tomli_w.dumps({"validation_prompts": dict(prompts)}))
    return "".join(parts)


def _absolute(key: str, value: Any) -> Any:
    is_path = OPTIONS[key].kind == "path"
    if key in _LOCAL_OR_HUB:
        is_path = Path(value).expanduser().is_dir()
    return str(Path(value).expanduser().absolute()) if is_path else value


def _frozen_backend(backend: Backend) -> dict[str, Any]:
    values = backend.model_dump(mode="json", exclude_none=True)
    for key in ("instance_data_dir", "cache_dir"):
        if values.get(key):
            values[key] = str(Path(values[key]).expanduser().absolute())
    return values


def _why(failure: OSError | ValueError) -> str:
    if isinstance(failure, OSError):
        return f"{Path(str(failure.filename)).name}: {failure.strerror}"
    return str(failure)


def load_frozen(root: Path) -> FrozenConfig:
    """Read back what :func:`freeze` wrote.

    Raises:
        FrozenConfigError: absent, damaged, or of a version with other options.
    """
    run = RunDirectory(root)
    try:
        values = tomllib.loads(run.config.read_text(encoding="utf-8"))
        raw_backends = json.loads(run.data_backends.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise FrozenConfigError(
            f"{root} has no readable frozen config: {_why(failure)}"
        ) from failure
    prompts = values.pop("validation_prompts", {})
    config, problems = read_model(TrainingConfig, values)
    backends, found = parse_backends(raw_backends)
    if wrong := [*problems, *found]:
        raise FrozenConfigError(
            f"{run.config} was frozen by another version: {wrong[0].key}: {wrong[0].message}"
        )
    return FrozenConfig(config, backends, prompts)
