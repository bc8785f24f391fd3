"""An adapter from one tool's format to another's, without loading the network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from engine.adapters.adapter import Adapter, AdapterError, with_dora_norm
from engine.adapters.export import save_comfyui, save_kohya, save_peft
from engine.adapters.load import load_adapter
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig

FORMATS = ("peft", "comfyui", "kohya")


def convert_adapter(
    source: Path,
    target: Path,
    fmt: str,
    prior_config: PriorConfig,
    *,
    base: Mapping[str, Tensor] | None = None,
) -> Adapter:
    """Read any adapter that we know and write it as ``fmt``, one of :data:`FORMATS`; return it.

    Tensors come through bit for bit. Only a DoRA to or from ComfyUI's format needs ``base`` (the
    prior's weights under diffusers' keys), since ComfyUI divides by another norm. ``peft`` writes
    a folder, the others one file; LyCORIS's own names are those of ``kohya`` and ``comfyui``.

    Raises:
        AdapterError: no such format, ``target`` exists, or the format cannot hold this adapter.
    """
    if fmt not in FORMATS:
        raise AdapterError(f"the format {fmt} is none of {', '.join(FORMATS)}")
    if target.exists():
        raise AdapterError(f"{target} exists already: choose another name")
    with torch.device("meta"):
        prior = StableCascadePrior(prior_config)
    adapter = load_adapter(source, prior)
    adapter = with_dora_norm(adapter, "base" if fmt == "comfyui" else "merged", base)
    target.parent.mkdir(parents=True, exist_ok=True)
    if fmt == "peft":
        save_peft(target, adapter, metadata={})
    else:
        (save_comfyui if fmt == "comfyui" else save_kohya)(target, adapter, metadata={})
    return adapter
