"""Fold adapters into the weights they adapt: W' = W + (alpha / rank) B A, and its relatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from engine.adapters.adapter import MAGNITUDE, Adapter, AdapterError, product


def merge_adapter(base: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
    """Return ``base`` (diffusers' keys) with the adapter folded in, computed in float32.

    Raises:
        AdapterError: the adapter names a layer that the base lacks, or of another shape, or lacks
            a part of its own.
    """
    return merge_adapters(base, [(adapter, 1.0)])


@torch.no_grad()
def merge_adapters(
    base: Mapping[str, Tensor], adapters: Sequence[tuple[Adapter, float]]
) -> dict[str, Tensor]:
    """Return ``base`` plus each adapter's own change of it times its weight; the order is nothing.

    Raises:
        AdapterError: as :func:`merge_adapter`.
    """
    changes: dict[str, Tensor] = {}
    for adapter, weight in adapters:
        for module, parts in adapter.modules.items():
            key = f"{module}.weight"
            if key not in base:
                raise AdapterError(f"{module} is adapted, but the base has no {key}")
            change = weight * _change(base[key].float(), parts, adapter, module)
            changes[key] = changes[key] + change if key in changes else change
    merged = dict(base)
    for key, change in changes.items():
        merged[key] = (base[key].float() + change).to(base[key].dtype)
    return merged


def _change(weight: Tensor, parts: Mapping[str, Tensor], adapter: Adapter, module: str) -> Tensor:
    """What one adapter adds to a weight [out, in]; of DoRA, m / |W + BA| (W + BA) - W."""
    added = product(parts, adapter.scale_of(module, parts)).to(weight.device)
    if added.shape != weight.shape:
        raise AdapterError(
            f"{module} is {list(weight.shape)}, but its adapter is for {list(added.shape)}"
        )
    if MAGNITUDE not in parts:
        return added
    whole = weight + added
    norm = (whole if adapter.dora_norm == "merged" else weight).norm(dim=1)
    return (parts[MAGNITUDE].float().to(weight.device) / norm)[:, None] * whole - weight
