"""The ancestral (DDPM) sampler that Stage C was published with.

Source: Stability-AI/StableCascade, package gdf (GDF.sample, DDPMSampler with eta = 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.objective.schedule import alpha_bar, noise_condition

_LATENT_CHANNELS = 16


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
) -> Tensor:
    """Run the sampler from t = 1 to 0 and return the last state, shaped like ``x_init``.

    ``predict(x, r)`` returns the noise estimate, r being a 0-d tensor; ``noise_of_step(i)`` the
    fresh noise of step i. As in the original, noise is added in the last step too: t = 0 is
    clamped to abar = 0.9999.
    """
    t = torch.linspace(1, 0, num_steps + 1, device=x_init.device, dtype=x_init.dtype)
    abar = alpha_bar(t, shift)
    a, b = abar.sqrt(), (1 - abar).sqrt()
    r = noise_condition(abar)
    x = x_init
    for step in range(num_steps):
        noise_estimate = predict(x, r[step])
        x0 = (x - b[step] * noise_estimate) / a[step]
        sigma = (b[step + 1] / b[step]) * (1 - abar[step] / abar[step + 1]).clamp(min=0).sqrt()
        kept = (b[step + 1].square() - sigma.square()).clamp(min=0).sqrt()
        x = a[step + 1] * x0 + kept * noise_estimate + sigma * noise_of_step(step)
    return x


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
        conditional, unconditional = estimate.chunk(2)
        return torch.lerp(unconditional, conditional, guidance_scale)

    return sample_ddpm(predict, draw(), draw, num_steps=num_steps, shift=shift)
