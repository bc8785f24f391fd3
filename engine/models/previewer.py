"""The Stage C Previewer: a small network that turns latents into a small picture at once.

Source: Stability-AI/StableCascade, modules/previewer.py; file ``previewer.safetensors``.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from engine.models.weights import WeightsError, load_strictly, read_tensors

UPSAMPLING = 8


class Previewer(nn.Module):
    """Latents [n, 16, h, w] to pictures [n, 3, 8h, 8w], about in [0, 1]."""

    def __init__(self, hidden: int = 512, latent_channels: int = 16) -> None:
        super().__init__()
        half, quarter = hidden // 2, hidden // 4
        convolutions = [
            nn.Conv2d(latent_channels, hidden, kernel_size=1),
            nn.Conv2d(hidden, hidden, kernel_size=3, padding=1),
            nn.ConvTranspose2d(hidden, half, kernel_size=2, stride=2),
            nn.Conv2d(half, half, kernel_size=3, padding=1),
            nn.ConvTranspose2d(half, quarter, kernel_size=2, stride=2),
            nn.Conv2d(quarter, quarter, kernel_size=3, padding=1),
            nn.ConvTranspose2d(quarter, quarter, kernel_size=2, stride=2),
            nn.Conv2d(quarter, quarter, kernel_size=3, padding=1),
        ]
        blocks: list[nn.Module] = []
        for convolution in convolutions:
            blocks += [convolution, nn.GELU(), nn.BatchNorm2d(convolution.out_channels)]
        self.blocks = nn.Sequential(*blocks, nn.Conv2d(quarter, 3, kernel_size=1))

    def forward(self, latents: Tensor) -> Tensor:
        return self.blocks(latents)


def load_previewer(path: Path, *, device: torch.device | str = "cpu") -> Previewer:
    """Load a published file strictly; its width is read off its first layer.

    Raises:
        WeightsError: a key is missing, unexpected or misshapen.
    """
    tensors = read_tensors([path], device=device)
    first = tensors.get("blocks.0.weight")
    if first is None or first.dim() != 4:
        raise WeightsError(f"{path} is no Stage C previewer: blocks.0.weight is missing")
    with torch.device("meta"):
        previewer = Previewer(first.shape[0], first.shape[1])
    load_strictly(previewer, tensors, str(path))
    return previewer.eval().requires_grad_(False)
