"""How much each noise level counts in the loss.

Source: Stability-AI/StableCascade, package gdf (P2LossWeight, AdaptiveLossWeight).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor


class Weighting(Protocol):
    """A loss weight per sample; ``observes`` says whether it learns from the losses."""

    observes: bool

    def __call__(self, abar_B: Tensor, log_snr_B: Tensor) -> Tensor:
        """Return the weights [B]."""
        ...

    def observe(self, log_snr_B: Tensor, raw_loss_B: Tensor) -> None:
        """Take in the unweighted losses of all ranks' samples, in the order of the batch."""
        ...

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        ...

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore :meth:`state`."""
        ...


class P2Weight:
    """P2 weighting with k = gamma = 1 (Choi et al. 2022): 1 / (1 + SNR) = 1 - abar."""

    observes = False

    def __call__(self, abar_B: Tensor, log_snr_B: Tensor) -> Tensor:  # noqa: ARG002
        return 1 - abar_B

    def observe(self, log_snr_B: Tensor, raw_loss_B: Tensor) -> None:
        """Nothing to learn."""

    def state(self) -> dict[str, Any]:
        return {"name": "p2"}

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_name(state, "p2")


class ConstantWeight(P2Weight):
    """Every noise level counts the same."""

    def __call__(self, abar_B: Tensor, log_snr_B: Tensor) -> Tensor:  # noqa: ARG002
        return torch.ones_like(abar_B)

    def state(self) -> dict[str, Any]:
        return {"name": "constant"}

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_name(state, "constant")


class MinSnrWeight(P2Weight):
    """min(SNR, gamma) / SNR: for an epsilon target, what Hang et al. 2023 (arXiv:2303.09556) give.

    Noise levels up to an SNR of gamma count fully, cleaner ones less and less.
    """

    def __init__(self, gamma: float) -> None:
        self.gamma = gamma

    def __call__(self, abar_B: Tensor, log_snr_B: Tensor) -> Tensor:  # noqa: ARG002
        return (self.gamma * (-log_snr_B).exp()).clamp(max=1.0)

    def state(self) -> dict[str, Any]:
        return {"name": "min_snr"}

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_name(state, "min_snr")


class AdaptiveWeight:
    """The inverse of a running loss in each of 300 logSNR buckets over [-10, 10]."""

    observes = True
    _NUM_BUCKETS = 300
    _KEEP = 0.99
    _LIMITS = (1e-7, 1e7)

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.edges = torch.linspace(-10, 10, self._NUM_BUCKETS - 1, device=device)
        self.buckets = torch.ones(self._NUM_BUCKETS, device=device)

    def __call__(self, abar_B: Tensor, log_snr_B: Tensor) -> Tensor:  # noqa: ARG002
        return (1 / self.buckets[self._index(log_snr_B)]).clamp(*self._LIMITS)

    def observe(self, log_snr_B: Tensor, raw_loss_B: Tensor) -> None:
        """Update the buckets; of two samples in one bucket the last counts, as in the original.

        A loss that is not finite leaves its bucket as it was.
        """
        index = self._index(log_snr_B)
        before = self.buckets[index]
        after = before * self._KEEP + raw_loss_B * (1 - self._KEEP)
        after = torch.where(torch.isfinite(raw_loss_B), after, before)
        for position in range(len(index)):  # one by one: a scatter leaves the winner undefined
            self.buckets[index[position]] = after[position]

    def _index(self, log_snr_B: Tensor) -> Tensor:
        return torch.searchsorted(self.edges, log_snr_B.contiguous())

    def state(self) -> dict[str, Any]:
        return {"name": "adaptive", "buckets": self.buckets.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_name(state, "adaptive")
        self.buckets.copy_(torch.tensor(state["buckets"]))


class WeightingStateError(ValueError):
    """A checkpoint's loss weighting is another than the config's."""


def _check_name(state: Mapping[str, Any], name: str) -> None:
    if state["name"] != name:
        raise WeightingStateError(
            f"the checkpoint was trained with snr_weighting {state['name']}, the config says "
            f"{name}: put it back, or choose a new output_dir"
        )


def build_weighting(
    name: str, device: torch.device | str = "cpu", *, min_snr_gamma: float = 5.0
) -> Weighting:
    """Build the weighting of the option ``snr_weighting``: p2, adaptive, constant or min_snr."""
    if name == "adaptive":
        return AdaptiveWeight(device)
    if name == "min_snr":
        return MinSnrWeight(min_snr_gamma)
    return {"p2": P2Weight, "constant": ConstantWeight}[name]()
