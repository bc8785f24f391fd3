"""The EfficientNetV2-S encoder with seeded weights, calibrated on photographs.

The class and the file are the published ones; only training is missing. Residual branches are
scaled down so that what lies in a picture's corner still decides that corner's latent, and the
batch-norm statistics are measured, so that the latents have about zero mean and unit variance.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.models.effnet import EfficientNetEncoder, normalise
from engine.tiny.layout import SEED
from engine.tiny.seeded import fan_in, normal

_RESIDUAL_GAIN = 0.1


def make_encoder(photographs: Tensor, crops: Tensor) -> EfficientNetEncoder:
    """Build the encoder; both inputs are [n, 3, H, W] in [0, 1].

    The backbone is measured on both, so that other pictures stay in range too; the latents are
    normalised over ``photographs`` alone.
    """
    encoder = EfficientNetEncoder()
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if parameter.dim() == 4:
                shape = tuple(parameter.shape)
                parameter.copy_(normal(SEED, name, shape, (2 / fan_in(shape)) ** 0.5))
        for module in encoder.modules():
            if getattr(module, "use_res_connect", False):
                norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]
                norms[-1].weight.fill_(_RESIDUAL_GAIN)
        _measure(encoder, torch.cat([photographs, crops]))
        _measure(encoder.mapper, encoder.eval().backbone(normalise(photographs)))
    return encoder.eval().requires_grad_(False)


def write_encoder(path: Path, photographs: Tensor, crops: Tensor) -> EfficientNetEncoder:
    """Write ``effnet_encoder.safetensors`` under the published keys; return the encoder."""
    encoder = make_encoder(photographs, crops)
    save_file(encoder.state_dict(), path)
    return encoder


def _measure(network: nn.Module, batch: Tensor) -> None:
    """One pass in training mode: each norm keeps the statistics of this very batch."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
        elif type(module).__name__ == "StochasticDepth":
            module.eval()
    network(batch)
