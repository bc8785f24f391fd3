"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

ScheduleName = Literal["constant", "constant_with_warmup", "linear", "cosine"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A learning-rate schedule over ``num_steps`` optimizer steps.

    ``peak`` and ``end`` are absolute learning rates; ``warmup_steps`` rise linearly from
    ``peak / warmup_steps`` to ``peak``. ``constant`` ignores neither field: it has no warm-up.
    """

    name: ScheduleName
    peak: float
    num_steps: int
    warmup_steps: int = 0
    end: float = 0.0

    def at(self, step: int) -> float:
        """Return the learning rate of optimizer step ``step`` (0-based)."""
        if self.name == "constant":
            return self.peak
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        if self.name == "constant_with_warmup":
            return self.peak
        span = max(1, self.num_steps - self.warmup_steps)
        progress = min(1.0, (step - self.warmup_steps) / span)
        if self.name == "linear":
            return self.peak + (self.end - self.peak) * progress
        return self.end + (self.peak - self.end) * 0.5 * (1.0 + math.cos(math.pi * progress))
