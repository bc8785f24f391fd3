"""The EfficientNetV2-S encoder whose output is Stage C's latent space.

Source: Stability-AI/StableCascade, modules/effnet.py; file ``effnet_encoder.safetensors``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engine.models.weights import load_strictly, read_tensors

LATENT_CHANNELS = 16
STRIDE = 32
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class EfficientNetEncoder(nn.Module):
    """Images [n, 3, H, W] in [0, 1] to latents [n, 16, ceil(H/32), ceil(W/32)].

    Used in eval mode and in float32, under autocast too: what it gives is what is learnt.
    """

    def __init__(self) -> None:
        super().__init__()
        from torchvision.models import efficientnet_v2_s  # slow to import

        self.backbone = efficientnet_v2_s(weights=None).features
        self.mapper = nn.Sequential(
            nn.Conv2d(1280, LATENT_CHANNELS, kernel_size=1, bias=False),
            nn.BatchNorm2d(LATENT_CHANNELS, affine=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            return self.mapper(self.backbone(normalise(images)))


def normalise(images: Tensor) -> Tensor:
    """Subtract ImageNet's channel means and divide by its deviations."""
    mean = images.new_tensor(_MEAN).view(1, 3, 1, 1)
    std = images.new_tensor(_STD).view(1, 3, 1, 1)
    return (images - mean) / std


def load_effnet_encoder(path: Path, *, device: torch.device | str = "cpu") -> EfficientNetEncoder:
    """Load the published file strictly, ready to encode.

    Raises:
        WeightsError: a key is missing, unexpected or misshapen.
    """
    with torch.device("meta"):
        encoder = EfficientNetEncoder()
    load_strictly(encoder, read_tensors([path], device=device), str(path))
    # Running statistics, and no stochastic depth: the encoder is a fixed function.
    return encoder.eval().requires_grad_(False)
