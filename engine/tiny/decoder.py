"""Stage B and the VQGAN in the published layout, with random weights.

They let a validation with the decoder run through the same code as the real one. Nothing was
trained: their pictures are noise of the right size.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.tiny.layout import DECODER, SEED, VQGAN
from engine.tiny.seeded import fan_in, normal


def write_decoder(root: Path) -> None:
    """Write ``decoder/`` and ``vqgan/`` below ``root``."""
    from diffusers import StableCascadeUNet
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    _write(root / "decoder", StableCascadeUNet, DECODER)
    _write(root / "vqgan", PaellaVQModel, VQGAN)


def _write(folder: Path, network_class: type[nn.Module], config: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {key: value for key, value in config.items() if not key.startswith("_")}
    with torch.device("meta"):
        network = network_class(**arguments)
    weights = {
        name: _initial(f"{folder.name}/{name}", tensor)
        for name, tensor in network.state_dict().items()
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    save_file(weights, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


def _initial(name: str, tensor: Tensor) -> Tensor:
    shape = tuple(tensor.shape)
    if not tensor.is_floating_point():
        return torch.zeros(shape, dtype=tensor.dtype)
    if name.endswith("running_var") or (len(shape) == 1 and name.endswith(".weight")):
        return torch.ones(shape)
    if len(shape) >= 2:
        return normal(SEED, name, shape, fan_in(shape) ** -0.5)
    return torch.zeros(shape)
