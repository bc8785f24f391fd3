"""The learning rate as a pure function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

ScheduleName = Literal[
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
    "sine",
]


@dataclass(frozen=True, slots=True)
class Schedule:
    """A learning-rate schedule over ``num_steps`` optimizer steps.

    ``peak`` and ``end`` are absolute learning rates; ``warmup_steps`` rise linearly from
    ``peak / warmup_steps`` to ``peak``, except for ``constant``, which has no warm-up. After it,
    with p the share of the remaining steps that is done, the rate is end + (peak - end) * f(p):

        linear                  1 - p
        polynomial              (1 - p) ** power
        cosine                  (1 + cos(pi p)) / 2
        cosine_with_restarts    (1 + cos(pi (num_cycles p mod 1))) / 2
        sine                    (1 + cos(2 pi num_cycles p)) / 2

    ``sine`` is a wave that begins and ends at the peak; ``cosine_with_restarts`` falls to the end
    rate ``num_cycles`` times and jumps back between (Loshchilov & Hutter 2017, arXiv:1608.03983).
    """

    name: ScheduleName
    peak: float
    num_steps: int
    warmup_steps: int = 0
    end: float = 0.0
    num_cycles: int = 1
    power: float = 1.0

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
        return self.end + (self.peak - self.end) * self._height(progress)

    def _height(self, progress: float) -> float:
        if self.name == "polynomial":
            return (1.0 - progress) ** self.power
        if self.name == "sine":
            return 0.5 * (1.0 + math.cos(2 * math.pi * self.num_cycles * progress))
        if self.name == "cosine_with_restarts" and progress < 1.0:
            progress = self.num_cycles * progress % 1.0
        return 0.5 * (1.0 + math.cos(math.pi * progress))
