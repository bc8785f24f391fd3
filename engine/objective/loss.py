"""The distance between the predicted and the true noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Loss:
    """``l2``, the published one, or ``huber``, which large errors dominate less.

    With d = prediction - target, an element counts d^2; for ``huber`` beyond ``delta`` it counts
    delta (2 |d| - delta), which continues d^2 as its tangent (twice Huber 1964, so that both agree
    on small errors).
    """

    name: Literal["l2", "huber"] = "l2"
    delta: float = 0.1

    def __call__(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the mean of each sample [B], in float32."""
        difference = prediction.float() - target
        if self.name == "l2":
            return difference.square().mean(dim=(1, 2, 3))
        size = difference.abs()
        within = size.clamp(max=self.delta)
        return (within * (2 * size - within)).mean(dim=(1, 2, 3))
