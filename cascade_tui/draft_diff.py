"""A draft compared with a file, the defaults, a preset or a run, and the edits that take a value
back from it.

Knows nothing of screens.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cascade_tui.draft import Draft
from engine.config.backends import backend_key
from engine.config.comparison import ABSENT, Difference, default_values, differences, values_of
from engine.config.documents import BACKENDS, PROMPTS, plain
from engine.config.frozen import FrozenConfigError
from engine.config.live import ChangedValue, changed_since_launch, with_changes
from engine.config.presets import Preset
from engine.config.problems import Edit
from engine.run.paths import RunDirectory, find_runs

_FOUND_ELSEWHERE = ("data_backend_config", "validation_prompt_library")
"""Options that name a file: what it holds is compared."""
_DEPTH = 4


class NotComparableError(ValueError):
    """There is nothing to compare with; says what and why."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a draft can be compared with; ``path`` is a config or a run directory."""

    kind: Literal["disk", "defaults", "preset", "path"]
    name: str
    path: Path | None = None
    preset: Preset | None = None


@dataclass(frozen=True, slots=True)
class Values:
    """Values by key: ``effective`` with every default, ``given`` as the files spell them.

    ``given`` holds a whole backend as ``data_backend[<id>]`` too; ``changed`` what a run changed
    of its values since its launch.
    """

    effective: Mapping[str, Any]
    given: Mapping[str, Any]
    changed: Mapping[str, ChangedValue] = field(default_factory=dict)


def sources_of(draft: Draft, presets: Iterable[Preset], root: Path) -> list[Source]:
    """Everything at hand to compare with: TOML configs beside this one, runs below ``root``."""
    found = [
        Source("disk", "the file on disk", draft.document.path),
        Source("defaults", "the defaults"),
    ]
    found += [Source("preset", f"preset {preset.name}", preset=preset) for preset in presets]
    own = draft.document.path
    beside = sorted(path for path in own.parent.glob("*.toml") if path.name != own.name)
    found += [Source("path", f"config {path}", path) for path in beside]
    runs = [run for run in find_runs(root, max_depth=_DEPTH) if run.config.is_file()]
    found += [Source("path", f"run {run.root}", run.root) for run in runs]
    return found


def values_of_draft(draft: Draft) -> Values:
    """The values of a draft as they stand, those in error as they are spelled."""
    checked = draft.read()
    effective = values_of(checked.config, checked.backends, checked.prompts)
    wrong = {problem.key for problem in checked.problems}
    given: dict[str, Any] = {}
    for entry in draft.fields():
        if entry.value is None:
            continue
        given[entry.key] = plain(entry.value)
        is_told = entry.key in effective and entry.key not in wrong
        if not is_told and entry.key not in _FOUND_ELSEWHERE:
            effective[entry.key] = plain(entry.value)
    source = draft.backends_document or draft.document
    raw = source.values.get(BACKENDS)
    for position, backend in enumerate(raw if isinstance(raw, list) else []):
        if isinstance(backend, dict):
            inner = {key.removeprefix("--"): plain(value) for key, value in backend.items()}
            given[backend_key(str(inner.get("id") or position))] = inner
    return Values(effective, given)


def read_source(source: Source, draft: Draft) -> Values:
    """The values of what the draft is compared with.

    Raises:
        NotComparableError: a run that was never launched, or whose changes cannot be read.
        DocumentError: a file that cannot be read, or is malformed.
    """
    if source.kind == "preset":
        assert source.preset is not None
        values = plain(source.preset.values)
        return Values(values, values)
    if source.kind == "defaults":
        return Values(default_values(draft.project(draft.read()), {}), {})
    assert source.path is not None
    path = source.path.expanduser()
    if not path.is_dir():
        return values_of_draft(Draft.open(path))
    frozen = RunDirectory(path).config
    if not frozen.is_file():
        raise NotComparableError(f"{source.path} holds no frozen config: nothing was launched")
    values = values_of_draft(Draft.open(frozen))
    try:
        changed = changed_since_launch(path)
    except FrozenConfigError as failure:
        raise NotComparableError(str(failure)) from failure
    effective, given = (with_changes(held, changed) for held in (values.effective, values.given))
    return Values(effective, given, changed)


def compare(source: Source, theirs: Values, ours: Values) -> tuple[Difference, ...]:
    """What differs (``a`` is theirs, ``b`` ours); a backend that one side lacks is one difference.

    Of a preset only the options that it sets count: it leaves the others as they are.
    """
    mine = ours.effective
    if source.kind == "preset":
        mine = {key: value for key, value in mine.items() if key in theirs.effective}
    found = differences(theirs.effective, mine)
    missing = {
        side: _backends_of(other.effective) - _backends_of(one.effective)
        for side, one, other in (("a", theirs, ours), ("b", ours, theirs))
    }
    whole: dict[str, Difference] = {}
    rest: list[Difference] = []
    for difference in found:
        backend = _backend_of(difference.key)
        if backend in missing["a"]:
            whole[backend] = Difference(backend, ABSENT, ours.given.get(backend))
        elif backend in missing["b"]:
            whole[backend] = Difference(backend, theirs.given.get(backend), ABSENT)
        else:
            rest.append(difference)
    return (*rest, *whole.values())


def edit_to_take(difference: Difference, theirs: Values) -> Edit:
    """The edit that gives the draft their value: as they spell it, or the default."""
    return Edit(difference.key, theirs.given.get(difference.key))


def why_not_taken(difference: Difference, draft: Draft) -> str:
    """Why a value cannot be taken into the draft; empty if it can."""
    library = draft.document.get("validation_prompt_library")
    is_closed = bool(library) and draft.prompts_document is None
    if difference.key.startswith(f"{PROMPTS}[") and is_closed:
        where = library if isinstance(library, str) else "validation_prompt_library"
        return f"the prompts of this config lie in {where}"
    return ""


def _backend_of(key: str) -> str:
    """`data_backend[id]` of one of its options; empty for anything else."""
    return key.rpartition("].")[0] + "]" if key.startswith(f"{BACKENDS}[") and "]." in key else ""


def _backends_of(values: Mapping[str, Any]) -> set[str]:
    return {_backend_of(key) for key in values} - {""}
