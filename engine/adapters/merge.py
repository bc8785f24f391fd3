"""Fold an adapter into the weights it adapts: W' = W + (alpha / rank) B A."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.adapters.lora import PREFIX, AdapterError
from engine.adapters.names import split_key


@torch.no_grad()
def merge_adapter(
    base: Mapping[str, Tensor], adapter: Mapping[str, Tensor], scale: float
) -> dict[str, Tensor]:
    """Return ``base`` (diffusers' keys) with the adapter (PEFT's keys) added, computed in float32.

    Raises:
        AdapterError: the adapter names a layer that the base lacks, or half of a pair.
    """
    merged = dict(base)
    for key in adapter:
        module, kind = split_key(key)
        weight = f"{module}.weight"
        pair = f"{PREFIX}{module}.lora_{'B' if kind == 'A' else 'A'}.weight"
        if weight not in base or pair not in adapter:
            raise AdapterError(f"{key} has no counterpart ({weight}, {pair})")
        if kind == "A":
            product = adapter[pair].float() @ adapter[key].float()
            merged[weight] = (base[weight].float() + scale * product).to(base[weight].dtype)
    return merged
