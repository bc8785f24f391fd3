"""What a viewer knows of a run at one moment: immutable, handed from thread to screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cascade_tui.follow.health import Health
from cascade_tui.follow.metrics import Series
from engine.run.status import RunState


@dataclass(frozen=True, slots=True)
class CacheState:
    """How far a cache build is: ``done`` of ``total`` are there, ``hits`` of them from before.

    ``needed`` counts what all processes need together (0: unknown), ``total`` what is reported of:
    the first process's share. ``planned_bytes`` is what was estimated to be made, ``bytes`` what
    was made; ``per_second`` is the mean of this build.
    """

    which: str
    done: int
    total: int
    per_second: float
    bytes: int
    eta_seconds: float | None
    hits: int
    needed: int = 0
    planned_bytes: int = 0

    @property
    def is_share(self) -> bool:
        """Whether other processes make the rest, of which nothing is told."""
        return self.needed > self.total


@dataclass(frozen=True, slots=True)
class Picture:
    """One validation picture; ``path`` is absolute."""

    step: int
    prompt: str
    text: str
    path: str
    seed: int
    kind: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A problem the run reported."""

    severity: str
    message: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class SentCommand:
    """A command and what became of it: pending, received, done, failed, ignored or refused."""

    id: str
    command: str
    state: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """Everything the Monitor shows. ``version`` grows with every change.

    ``series`` maps ``loss``, ``lr``, ``grad_norm``, ``images_per_second``, ``loader_wait_seconds``,
    ``validation_loss`` and its bands ``band_1`` to ``band_4`` to their values; they grow in place,
    so draw them only together with the version they came with. ``is_partial``: the series are a
    sample of a long log that is still being read.
    """

    version: int
    state: RunState
    name: str
    phase: str = ""
    step: int = 0
    max_steps: int = 0
    images_per_second: float = 0.0
    seconds_per_step: float = 0.0
    peak_memory_bytes: int = 0
    series: dict[str, Series] = field(default_factory=dict)
    caches: dict[str, CacheState] = field(default_factory=dict)
    pictures: tuple[Picture, ...] = ()
    notices: tuple[Notice, ...] = ()
    commands: tuple[SentCommand, ...] = ()
    exports: tuple[str, ...] = ()
    pushed_to: str = ""
    last_checkpoint: int | None = None
    start: dict[str, Any] = field(default_factory=dict)
    console: tuple[str, ...] = ()
    exit_reason: str = ""
    is_partial: bool = False
    quiet_minutes: int = 0
    """Whole minutes without a step, if that is much longer than steps take."""
    seconds_by_phase: Mapping[str, float] = field(default_factory=dict)
    """Time spent in each phase over all launches, in the order in which they first came."""
    health: Health = field(default_factory=Health)
    trouble: str = ""
    """Why the run directory cannot be read at present."""

    @property
    def eta_seconds(self) -> float | None:
        """Time left at the present speed; None before the first step or after the last."""
        left = self.max_steps - self.step
        if not self.state.is_alive or self.seconds_per_step <= 0 or left <= 0:
            return None
        return left * self.seconds_per_step

    @property
    def prompts(self) -> tuple[str, ...]:
        """The prompts that have pictures, in the order in which they first came."""
        return tuple(dict.fromkeys(picture.prompt for picture in self.pictures))

    @property
    def picture_steps(self) -> tuple[int, ...]:
        """The steps that have pictures, ascending."""
        return tuple(sorted({picture.step for picture in self.pictures}))

    def picture(self, step: int, prompt: str) -> Picture | None:
        """The best picture of a prompt at a step: the decoded one before the preview."""
        found = [p for p in self.pictures if p.step == step and p.prompt == prompt]
        decoded = [p for p in found if p.kind == "decoded"]
        best = decoded or found
        return best[-1] if best else None
