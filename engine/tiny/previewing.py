"""Fits the previewer of stage-c-tiny: latents of photographs to their small pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.previewer import UPSAMPLING, Previewer
from engine.tiny.layout import PREVIEWER_WIDTH, SEED
from engine.tiny.seeded import fan_in, normal

_PEAK_LR = 4e-3
_MAX_NOISE = 0.35  # beside latents of unit variance: sampled latents are never quite exact
_NUM_OTHERS = 8


def fit_previewer(
    latents: Tensor,
    pictures: Tensor,
    other_latents: Tensor,
    other_pictures: Tensor,
    *,
    num_steps: int,
    device: torch.device | str = "cpu",
) -> Previewer:
    """Fit to all of ``latents`` [n, 16, h, w] in every step, and to some of the others by turns.

    ``pictures`` [n, 3, H, W] in [0, 1] are what the latents were encoded from. Returns the
    previewer in eval mode, on the CPU.
    """
    generator = torch.Generator().manual_seed(SEED)
    previewer = _initial_previewer().to(device).train()
    optimizer = torch.optim.AdamW(previewer.parameters(), lr=_PEAK_LR, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _PEAK_LR, total_steps=num_steps)
    targets, other_targets = _shrunk(pictures, latents), _shrunk(other_pictures, other_latents)
    for _ in range(num_steps):
        chosen = torch.randperm(len(other_latents), generator=generator)[:_NUM_OTHERS]
        clean = torch.cat([latents, other_latents[chosen]])
        noise_share = torch.rand(len(clean), 1, 1, 1, generator=generator) * _MAX_NOISE
        noisy = clean + noise_share * torch.randn(clean.shape, generator=generator)
        wanted = torch.cat([targets, other_targets[chosen]])
        loss = F.mse_loss(previewer(noisy.to(device)), wanted.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return previewer.cpu().eval().requires_grad_(False)


def _initial_previewer() -> Previewer:
    previewer = Previewer(PREVIEWER_WIDTH)
    with torch.no_grad():
        for name, module in previewer.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                shape = tuple(module.weight.shape)
                # A stride as large as its kernel: every output sees each input channel once.
                inputs = fan_in(shape) if isinstance(module, nn.Conv2d) else shape[0]
                module.weight.copy_(normal(SEED, f"previewer/{name}", shape, (2 / inputs) ** 0.5))
                nn.init.zeros_(module.bias)
    return previewer


def _shrunk(pictures: Tensor, latents: Tensor) -> Tensor:
    size = (latents.shape[2] * UPSAMPLING, latents.shape[3] * UPSAMPLING)
    return F.interpolate(pictures, size, mode="bilinear", antialias=True)
