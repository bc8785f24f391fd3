"""One adapter, three namings: PEFT's (ours), ComfyUI's flat keys, the original's module paths."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.adapters.lora import PREFIX, AdapterError

COMFYUI_PREFIX = "lora_prior_unet_"
_ACCEPTED_PREFIXES = (COMFYUI_PREFIX, "lora_unet_")
# diffusers' attention under the names that ComfyUI splits the original's fused projection into
_TO_COMFYUI = (
    (".attention.to_q", ".attention.attn.to_q"),
    (".attention.to_k", ".attention.attn.to_k"),
    (".attention.to_v", ".attention.attn.to_v"),
    (".attention.to_out.0", ".attention.attn.out_proj"),
)


def comfyui_module(module: str) -> str:
    """``down_blocks.0.2.attention.to_q`` to ``down_blocks_0_2_attention_attn_to_q``."""
    for ours, theirs in _TO_COMFYUI:
        if module.endswith(ours):
            module = module.removesuffix(ours) + theirs
    return module.replace(".", "_")


def to_comfyui(state: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """Rename a PEFT state to ComfyUI's keys, with the alpha that its loader divides by the rank."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        module, kind = split_key(key)
        base = COMFYUI_PREFIX + comfyui_module(module)
        renamed[f"{base}.{'lora_down' if kind == 'A' else 'lora_up'}.weight"] = tensor
        renamed[f"{base}.alpha"] = torch.tensor(float(alpha))
    return renamed


def from_comfyui(
    flat: Mapping[str, Tensor], modules: tuple[str, ...]
) -> tuple[dict[str, Tensor], float]:
    """Rename ComfyUI keys back to PEFT's; return the state and alpha / rank.

    ``modules`` are the network's linear layers: a flat name cannot be split without them.

    Raises:
        AdapterError: a key belongs to no layer, or the layers' scales differ.
    """
    by_flat = {comfyui_module(module): module for module in modules}
    state: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    ranks: dict[str, int] = {}
    for key, tensor in flat.items():
        name, _, kind = key.partition(".")
        prefix = next((p for p in _ACCEPTED_PREFIXES if name.startswith(p)), None)
        module = by_flat.get(name.removeprefix(prefix)) if prefix else None
        if module is None or kind not in ("lora_down.weight", "lora_up.weight", "alpha"):
            raise AdapterError(f"{key} belongs to no linear layer of this prior")
        if kind == "alpha":
            alphas[module] = float(tensor)
        elif kind == "lora_down.weight":
            state[f"{PREFIX}{module}.lora_A.weight"] = tensor
            ranks[module] = tensor.shape[0]
        else:
            state[f"{PREFIX}{module}.lora_B.weight"] = tensor
    scales = {alphas.get(module, rank) / rank for module, rank in ranks.items()}
    if len(scales) != 1:
        raise AdapterError(f"the layers' alpha / rank differ: {sorted(scales)}")
    return state, scales.pop()


def split_key(key: str) -> tuple[str, str]:
    """Split a PEFT key into its module and ``A`` or ``B``.

    Raises:
        AdapterError: it is no LoRA weight.
    """
    module, found, kind = key.removeprefix(PREFIX).rpartition(".lora_")
    if not found or kind not in ("A.weight", "B.weight"):
        raise AdapterError(f"{key} is no LoRA weight")
    return module, kind[0]
