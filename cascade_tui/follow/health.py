"""Signs that a run is not well, gathered from its steps, its checkpoints and its disk."""

from __future__ import annotations

import math
import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.run.events import Event, as_float

_WINDOW_STEPS, _NEWEST_STEPS, _LEAST_STEPS = 256, 16, 64
_SPIKE_DEVIATIONS, _SPIKE_RATIO = 10.0, 3.0
_DEVIATION_OF_MAD = 1.4826  # of a normal distribution
_PAST_SHARE = 0.9
_MAX_SKIPPED = 1000
_DISK_PERIOD_SECONDS = 5.0
_DISK_GRAIN_BYTES = 10_000_000
HEARTBEAT_LATE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Spike:
    """A step whose loss stands out from those before it; ``usual`` is their median."""

    step: int
    loss: float
    usual: float


@dataclass(frozen=True, slots=True)
class Health:
    """What alerts are made of.

    ``loader_share`` is how much of a step the trainer waits for its data, 0 to 1;
    ``heartbeat_minutes`` whole minutes since the last sign of life, if that is late.
    """

    skipped_steps: tuple[int, ...] = ()
    spike: Spike | None = None
    loader_share: float = 0.0
    checkpoint_bytes: int = 0
    free_bytes: int | None = None
    heartbeat_minutes: int = 0


class HealthWatch:
    """Keeps a :class:`Health` up to date."""

    def __init__(self) -> None:
        self.health = Health()
        self._losses: deque[tuple[int, float]] = deque(maxlen=_WINDOW_STEPS)
        self._disk_at = -math.inf

    def take_steps(self, events: Sequence[Event], *, may_be_broken: bool) -> None:
        """Take in steps; ``may_be_broken`` if any of them is not finite."""
        newest = events[-_WINDOW_STEPS:]
        for event in newest:
            loss, step = as_float(event.get("loss")), event.get("step")
            if loss is not None and math.isfinite(loss) and isinstance(step, int):
                self._losses.append((step, loss))
        if may_be_broken:
            broken = [e["step"] for e in events if type(e.get("step")) is int and _is_broken(e)]
            kept = (*self.health.skipped_steps, *broken)[-_MAX_SKIPPED:]
            self._set(skipped_steps=kept)
        share = self.health.loader_share
        for event in newest:
            wait, seconds = (as_float(event.get(k)) for k in ("loader_wait_seconds", "seconds"))
            if wait is not None and seconds and math.isfinite(wait + seconds):
                now = min(1.0, wait / seconds)
                share = _PAST_SHARE * share + (1 - _PAST_SHARE) * now
        self._set(loader_share=share)

    def take_checkpoint(self, num_bytes: int) -> None:
        """A checkpoint of this size was written."""
        self._set(checkpoint_bytes=num_bytes)

    def rewind(self, step: int) -> None:
        """What came after ``step`` did not happen."""
        kept = [pair for pair in self._losses if pair[0] <= step]
        self._losses = deque(kept, maxlen=_WINDOW_STEPS)
        skipped = tuple(s for s in self.health.skipped_steps if s <= step)
        spike = self.health.spike
        self._set(
            skipped_steps=skipped, spike=spike if spike is None or spike.step <= step else None
        )

    def facts(self) -> dict[str, Any]:
        """What the newest steps do not tell again, as JSON keeps it; see :meth:`restore`."""
        spike = self.health.spike
        return {
            "skipped_steps": list(self.health.skipped_steps),
            "spike": None if spike is None else [spike.step, spike.loss, spike.usual],
        }

    def restore(self, facts: Mapping[str, Any]) -> None:
        """Know again what :meth:`facts` told."""
        spike = facts["spike"]
        self._set(
            skipped_steps=tuple(facts["skipped_steps"]),
            spike=None if spike is None else Spike(*spike),
        )

    def look(self, root: Path, *, now: float, heartbeat_age_seconds: float | None) -> Health:
        """See whether the loss jumped, how full the disk is, and how old the last heartbeat."""
        spike = find_spike(list(self._losses))
        if spike is not None:
            self._set(spike=spike)
        age = heartbeat_age_seconds or 0.0
        self._set(heartbeat_minutes=int(age // 60) if age > HEARTBEAT_LATE_SECONDS else 0)
        if now - self._disk_at >= _DISK_PERIOD_SECONDS:
            free = shutil.disk_usage(root).free
            self._disk_at = now
            self._set(free_bytes=free // _DISK_GRAIN_BYTES * _DISK_GRAIN_BYTES)
        return self.health

    def _set(self, **changes: Any) -> None:
        if any(getattr(self.health, name) != value for name, value in changes.items()):
            self.health = replace(self.health, **changes)


def find_spike(losses: Sequence[tuple[int, float]]) -> Spike | None:
    """The highest of the newest losses if it stands out from those before; needs 64 (step, loss).

    Far beyond what noise explains (ten robust deviations) and three times the usual.
    """
    if len(losses) < _LEAST_STEPS:
        return None
    before = np.array([loss for _, loss in losses[:-_NEWEST_STEPS]])
    step, highest = max(losses[-_NEWEST_STEPS:], key=lambda pair: pair[1])
    usual = float(np.median(before))
    deviation = _DEVIATION_OF_MAD * float(np.median(np.abs(before - usual)))
    limit = max(usual + _SPIKE_DEVIATIONS * deviation, _SPIKE_RATIO * usual)
    return Spike(step, highest, usual) if highest > limit else None


def _is_broken(event: Event) -> bool:
    """Whether loss or gradient norm is NaN or infinite; one that is merely missing is not."""
    values = [as_float(event.get(name)) for name in ("loss", "grad_norm")]
    return any(value is not None and not math.isfinite(value) for value in values)
