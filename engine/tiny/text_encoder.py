"""A CLIP text encoder with seeded weights, in the published layout.

Nothing is learned: a random transformer already gives every caption embeds of its own. Queries
and keys are scaled up so that attention picks words out, and the special tokens are kept small,
so that the pooled embed (read off the end-of-text token) depends on what was said.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.tiny.layout import SEED, TEXT_ENCODER
from engine.tiny.seeded import fan_in, normal

_SPECIAL_TOKEN_STD = 0.1
_POSITION_STD = 0.3
_QUERY_KEY_GAIN = 1.5
_VALUE_GAIN = 2.0


def write_text_encoder(folder: Path, vocab_size: int) -> None:
    """Write ``config.json`` and ``model.safetensors`` for a vocabulary of ``vocab_size`` tokens."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    folder.mkdir(parents=True, exist_ok=True)
    config = TEXT_ENCODER | {
        "vocab_size": vocab_size,
        "bos_token_id": vocab_size - 2,
        "eos_token_id": vocab_size - 1,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    with torch.device("meta"):
        network = CLIPTextModelWithProjection(CLIPTextConfig(**config))
    weights = {
        name: _initial(name, tuple(tensor.shape))
        for name, tensor in network.state_dict().items()
        if not name.endswith("position_ids")
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _initial(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("bias"):
        return torch.zeros(shape)
    if "layer_norm" in name or "layernorm" in name:
        return torch.ones(shape)
    if "position_embedding" in name:
        return normal(SEED, name, shape, _POSITION_STD)
    if "token_embedding" in name:
        embedding = normal(SEED, name, shape, 1.0)
        embedding[-2:] *= _SPECIAL_TOKEN_STD
        return embedding
    gain = 1.0
    if "q_proj" in name or "k_proj" in name:
        gain = _QUERY_KEY_GAIN
    elif "v_proj" in name or "out_proj" in name:
        gain = _VALUE_GAIN
    return normal(SEED, name, shape, gain * fan_in(shape) ** -0.5)
