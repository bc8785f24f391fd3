"""Exponential moving average of the trained parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Ema:
    """A float32 moving average of named parameters.

    ``decay`` is reached gradually, ``min(decay, (1 + n) / (10 + n))`` after ``n`` updates, so a
    short run's average is not dominated by its first steps.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], *, decay: float, update_interval: int = 1
    ) -> None:
        self.parameters = dict(parameters)
        self.decay = decay
        self.update_interval = update_interval
        self.num_updates = 0
        self.averages = {
            name: parameter.detach().to(torch.float32, copy=True)
            for name, parameter in parameters.items()
        }

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Fold in the parameters as they are after optimizer step ``step`` (1-based)."""
        if step % self.update_interval:
            return
        self.num_updates += 1
        decay = min(self.decay, (1 + self.num_updates) / (10 + self.num_updates))
        torch._foreach_lerp_(
            list(self.averages.values()),
            [parameter.detach().float() for parameter in self.parameters.values()],
            1.0 - decay,
        )

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Swap the averages in for the duration of the block; the trained values come back."""
        trained = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self._write(self.averages)
        try:
            yield
        finally:
            self._write(trained)

    @torch.no_grad()
    def _write(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(values[name])

    def tensors(self) -> dict[str, Tensor]:
        """Return the averages by parameter name, on the CPU."""
        return {name: value.cpu() for name, value in self.averages.items()}

    def load(self, tensors: Mapping[str, Tensor], num_updates: int) -> None:
        """Restore what :meth:`tensors` returned; every parameter must be there.

        Raises:
            ValueError: the names differ from this run's parameters.
        """
        if tensors.keys() != self.averages.keys():
            raise ValueError(
                "the checkpoint's EMA belongs to other parameters: was the adapter's shape or "
                "target changed?"
            )
        for name, value in tensors.items():
            self.averages[name].copy_(value)
        self.num_updates = num_updates
