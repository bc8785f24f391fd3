"""The ancestral (DDPM) sampler that Stages B and C were published with.

Source: Stability-AI/StableCascade, package gdf (GDF.sample, DDPMSampler with eta = 1); diffusers,
DDPMWuerstchenScheduler. The two differ in their ends only, see :data:`Convention`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from engine.objective.schedule import alpha_bar, noise_condition

_LATENT_CHANNELS = 16

Convention = Literal["original", "diffusers"]
"""``original`` tells the network r, the clamped time, and adds noise in the last step too (t = 0 is
clamped to abar = 0.9999); ``diffusers`` tells it t itself and ends without noise."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """Text embeds of n pictures: clip_text [n, 77, D], clip_text_pooled [n, 1, D]."""

    clip_text: Tensor
    clip_text_pooled: Tensor


def sample_ddpm(
    predict: Callable[[Tensor, Tensor], Tensor],
    x_init: Tensor,
    noise_of_step: Callable[[int], Tensor],
    *,
    num_steps: int,
    shift: float = 1.0,
    convention: Convention = "original",
) -> Tensor:
    """Run the sampler from t = 1 to 0 and return the last state, shaped like ``x_init``.

    ``predict(x, r)`` returns the noise estimate, r being a 0-d tensor; ``noise_of_step(i)`` the
    fresh noise of step i, asked for only where it is added. ``shift`` moves logSNR by
    2 ln(1 / shift): above 1 more of the steps are noisy ones.
    """
    t = torch.linspace(1, 0, num_steps + 1, device=x_init.device, dtype=x_init.dtype)
    abar = alpha_bar(t, shift)
    a, b = abar.sqrt(), (1 - abar).sqrt()
    r = t if convention == "diffusers" else noise_condition(abar)
    x = x_init
    for step in range(num_steps):
        noise_estimate = predict(x, r[step])
        x0 = (x - b[step] * noise_estimate) / a[step]
        sigma = (b[step + 1] / b[step]) * (1 - abar[step] / abar[step + 1]).clamp(min=0).sqrt()
        kept = (b[step + 1].square() - sigma.square()).clamp(min=0).sqrt()
        x = a[step + 1] * x0 + kept * noise_estimate
        if convention == "original" or step + 1 < num_steps:
            x = x + sigma * noise_of_step(step)
    return x


def guide(
    conditional: Tensor, unconditional: Tensor, scale: float, *, rescale: float = 0.0
) -> Tensor:
    """Classifier-free guidance: the unconditional estimate, moved ``scale`` times the difference.

    ``rescale`` blends in the result with the conditional's deviation (the original's ``cfg_rho``,
    after Lin et al. 2023, arXiv:2305.08891); as there, deviations are over the whole batch.
    """
    guided = torch.lerp(unconditional, conditional, scale)
    if rescale == 0.0:
        return guided
    return torch.lerp(guided, guided * conditional.std() / (guided.std() + 1e-9), rescale)


@torch.no_grad()
def sample_latents(
    prior: nn.Module,
    prompt: Conditioning,
    negative: Conditioning,
    *,
    grid: tuple[int, int],
    seeds: Sequence[int],
    num_steps: int = 20,
    guidance_scale: float = 4.0,
    shift: float = 1.0,
) -> Tensor:
    """Sample one latent [n, 16, h, w] per prompt with classifier-free guidance.

    Prompt and negative prompt go through the network as one batch; at guidance 1 the negative is
    left out. All noise comes from a CPU generator of the picture's own seed: the same picture on
    every device and in every batch.
    """
    device = prompt.clip_text.device
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def draw(_step: int = 0) -> Tensor:
        noise = [torch.randn(1, _LATENT_CHANNELS, *grid, generator=g) for g in generators]
        return torch.cat(noise).to(device)

    guided = guidance_scale != 1.0
    clip_text, pooled = prompt.clip_text, prompt.clip_text_pooled
    if guided:
        clip_text = torch.cat([clip_text, negative.clip_text.expand_as(clip_text)])
        pooled = torch.cat([pooled, negative.clip_text_pooled.expand_as(pooled)])

    def predict(x: Tensor, r: Tensor) -> Tensor:
        batch = torch.cat([x, x]) if guided else x
        estimate = prior(batch, r.expand(len(batch)), clip_text, pooled).float()
        if not guided:
            return estimate
        return guide(*estimate.chunk(2), guidance_scale)

    return sample_ddpm(predict, draw(), draw, num_steps=num_steps, shift=shift)
