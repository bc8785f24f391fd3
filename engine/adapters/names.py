"""One adapter, several namings: PEFT's (ours) and the flat keys of ComfyUI, kohya and OneTrainer.

ComfyUI reads ``lora_prior_unet_`` and ``lora_unet_`` before its own module path; OneTrainer reads
the first, kohya's scripts the second. The parts after the module are the same in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from engine.adapters.adapter import MAGNITUDE, PARTS, PREFIX, Adapter, AdapterError, rank_of

COMFYUI_PREFIX = "lora_prior_unet_"
KOHYA_PREFIX = "lora_unet_"
_ACCEPTED_PREFIXES = (COMFYUI_PREFIX, KOHYA_PREFIX, "lycoris_")
# diffusers' attention under the names that ComfyUI splits the original's fused projection into
_TO_COMFYUI = (
    (".attention.to_q", ".attention.attn.to_q"),
    (".attention.to_k", ".attention.attn.to_k"),
    (".attention.to_v", ".attention.attn.to_v"),
    (".attention.to_out.0", ".attention.attn.out_proj"),
)
_PART_NAMES = {
    "lora_A.weight": "lora_down.weight",
    "lora_B.weight": "lora_up.weight",
    MAGNITUDE: "dora_scale",
}
_FLAT_PARTS = {_PART_NAMES.get(part, part): part for part in PARTS}


def comfyui_module(module: str) -> str:
    """``down_blocks.0.2.attention.to_q`` to ``down_blocks_0_2_attention_attn_to_q``."""
    for ours, theirs in _TO_COMFYUI:
        if module.endswith(ours):
            module = module.removesuffix(ours) + theirs
    return module.replace(".", "_")


def to_flat(adapter: Adapter, prefix: str = COMFYUI_PREFIX) -> dict[str, Tensor]:
    """Rename to flat keys, with each module's alpha, which loaders divide by the rank.

    DoRA's magnitudes get a second axis [out, 1]: it tells loaders that rows are scaled.
    """
    renamed: dict[str, Tensor] = {}
    for module, parts in adapter.modules.items():
        base = prefix + comfyui_module(module)
        for part, tensor in parts.items():
            value = tensor[:, None] if part == MAGNITUDE else tensor
            renamed[f"{base}.{_PART_NAMES.get(part, part)}"] = value
        renamed[f"{base}.alpha"] = torch.tensor(float(adapter.alphas[module]))
    return renamed


def from_flat(
    flat: Mapping[str, Tensor],
    modules: Mapping[str, tuple[int, int]],
    dora_norm: Literal["merged", "base"] = "merged",
) -> Adapter:
    """Rename flat keys back; ``modules`` are the network's linear layers with their (out, in).

    Flat names cannot be split without them. diffusers' own names, flattened, are read too.

    Raises:
        AdapterError: a key belongs to no layer, a part is missing, or DoRA scales columns.
    """
    by_flat = {module.replace(".", "_"): module for module in modules}
    by_flat |= {comfyui_module(module): module for module in modules}
    state: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    for key, tensor in flat.items():
        name, _, kind = key.partition(".")
        prefix = next((p for p in _ACCEPTED_PREFIXES if name.startswith(p)), None)
        module = by_flat.get(name.removeprefix(prefix)) if prefix else None
        if module is None or kind not in (*_FLAT_PARTS, "alpha"):
            raise AdapterError(f"{key} belongs to no linear layer of this prior")
        if kind == "alpha":
            alphas[module] = float(tensor)
            continue
        rows = modules[module][0]
        if kind == "dora_scale" and tensor.shape not in ((rows,), (rows, 1)):
            raise AdapterError(
                f"{key} is {list(tensor.shape)}: it scales columns of the weight; only rows "
                "([out, 1]) are read"
            )
        value = tensor.reshape(-1) if kind == "dora_scale" else tensor
        state[f"{PREFIX}{module}.{_FLAT_PARTS[kind]}"] = value
    parts_of = Adapter(state, {}).modules
    complete = {m: alphas.get(m, float(rank_of(parts) or 1)) for m, parts in parts_of.items()}
    return Adapter(state, complete, dora_norm)
