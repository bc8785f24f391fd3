"""Everything that a report says of a run, gathered in one pass over its files."""

from __future__ import annotations

import json
import math
from collections import deque
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import orjson

from cascade_tui.follow.metrics import Series
from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.headless_view import describe
from cascade_tui.plots.data import UnreadableRunError
from cascade_tui.plots.report_files import StoredFile, checkpoints_of, exports_of
from engine.config.live import ChangedValue
from engine.config.options import Option
from engine.run.events import Event, EventReader, as_float
from engine.run.paths import RunDirectory

MAX_EVENTS = 300
_NOT_TOLD = ("step", "cache", "cache_plan", "phase", "image", "validation")
"""Kinds that the curves and the pictures show."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event in words; `moment` in unix seconds."""

    moment: float
    kind: str
    severity: str
    text: str


@dataclass(frozen=True, slots=True)
class ConfigRow:
    """One value of the config; `default` is None where there is none that would mean anything."""

    group: str
    key: str
    value: Any
    default: Any
    is_changed: bool
    unit: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a run; `config_trouble` says why its config cannot be shown (whole)."""

    run: RunDirectory
    snapshot: RunSnapshot
    first_moment: float
    last_moment: float
    training_seconds: float
    happenings: tuple[Happening, ...]
    num_left_out: int
    meta: dict[str, Any]
    config: tuple[ConfigRow, ...]
    config_trouble: str
    changes: tuple[ChangedValue, ...]
    """What was changed while it ran."""
    checkpoints: tuple[StoredFile, ...]
    exports: tuple[StoredFile, ...]


@dataclass(slots=True)
class _Gathered:
    """What passes by while the events are read."""

    moments: list[float] = field(default_factory=list)
    training_seconds: float = 0.0
    happenings: deque[Happening] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))
    num_told: int = 0

    def take(self, events: list[Event]) -> None:
        for is_step, group in groupby(events, key=lambda event: event.get("kind") == "step"):
            for event in group:
                if is_step:
                    seconds = as_float(event.get("seconds"))
                    if seconds is not None and math.isfinite(seconds):
                        self.training_seconds += seconds
                else:
                    self._tell(event)
        moments = [as_float(event.get("t")) for event in (events[0], events[-1])]
        known = [moment for moment in moments if moment is not None and math.isfinite(moment)]
        self.moments = [*self.moments[:1], *known[-2:]] if known else self.moments

    def _tell(self, event: Event) -> None:
        kind = str(event.get("kind"))
        text = None if kind in _NOT_TOLD else describe(event)
        if text is not None:
            severity = str(event.get("severity") or "") if kind == "problem" else ""
            self.happenings.append(Happening(as_float(event.get("t")) or 0.0, kind, severity, text))
            self.num_told += 1


def gather(run: RunDirectory) -> Report:
    """Read the run as it is now.

    Raises UnreadableRunError if its events cannot be read; what else is missing is left out.
    """
    events, reader, gathered = (
        EventReader(run.events, loads=orjson.loads),
        RunReader(run),
        _Gathered(),
    )
    try:
        while batch := events.poll():
            reader.take(batch)
            gathered.take(batch)
        reader.look_around()
    except OSError as error:
        where = error.filename or run.root
        raise UnreadableRunError(f"cannot read {where}: {error.strerror}") from error
    config, trouble = _config_rows(run)
    changes, changes_trouble = _changes(run)
    moments = gathered.moments or [math.nan]
    return Report(
        run,
        reader.snapshot,
        moments[0],
        moments[-1],
        gathered.training_seconds,
        tuple(gathered.happenings),
        gathered.num_told - len(gathered.happenings),
        _meta(run),
        config,
        "; ".join(filter(None, (trouble, changes_trouble))),
        changes,
        checkpoints_of(run),
        exports_of(run),
    )


def first_and_last(series: Series) -> tuple[float, float] | None:
    """The first and the last finite value; None without any."""
    values = series.values()
    finite = values[abs(values) < math.inf]
    return (float(finite[0]), float(finite[-1])) if len(finite) else None


def _changes(run: RunDirectory) -> tuple[tuple[ChangedValue, ...], str]:
    """What was changed while it ran, and why that cannot be told."""
    from engine.config.frozen import FrozenConfigError
    from engine.config.live import changed_since_launch

    try:
        return tuple(changed_since_launch(run.root).values()), ""
    except FrozenConfigError as failure:
        return (), str(failure)


def _meta(run: RunDirectory) -> dict[str, Any]:
    try:
        meta = json.loads(run.meta.read_bytes())
    except (OSError, ValueError):
        return {}  # a run that was never launched has none
    return meta if isinstance(meta, dict) else {}


def _config_rows(run: RunDirectory) -> tuple[tuple[ConfigRow, ...], str]:
    """The frozen config's values, and why some of them may not be what was run."""
    from engine.config.backends import backend_key
    from engine.config.comparison import default_values, values_of_project
    from engine.config.documents import PROMPTS, plain
    from engine.config.fields import OPTIONS
    from engine.config.loading import load_project
    from engine.config.options import options_of

    if not run.config.is_file():
        return (), "the run has no frozen config: it was not launched"
    project = load_project(run.config, check=False)
    trouble = "; ".join(f"{p.key or p.where}: {p.message}" for p in project.errors)
    if project.config is None:
        return (), trouble
    declared: dict[str, tuple[str, Option]] = {
        key: (option.group, option) for key, option in OPTIONS.items()
    }
    for backend in project.backends:
        for key, option in options_of(type(backend)).items():
            name = f"data backend {backend.id}"
            declared[backend_key(backend.id, key)] = (name, option)
    values, defaults = values_of_project(project), default_values(project, {})
    rows = []
    for key, value in values.items():
        if key not in declared:
            rows.append(
                ConfigRow("validation prompts", key[len(PROMPTS) + 1 : -1], value, None, False, "")
            )
            continue
        group, option = declared[key]
        is_changed = value != defaults.get(key)
        rows.append(
            ConfigRow(group, option.key, value, plain(option.default), is_changed, option.unit)
        )
    return tuple(rows), trouble
