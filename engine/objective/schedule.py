"""The cosine noise schedule of Stage C, and what the network is told of it.

Source: Stability-AI/StableCascade, package gdf (CosineSchedule, VPScaler, CosineTNoiseCond), after
Nichol & Dhariwal 2021 (arXiv:2102.09672). All functions are elementwise and keep the input's
dtype; abar is the signal's share of the variance (alpha-bar).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_S = 0.008
_MIN_ABAR, _MAX_ABAR = 1e-4, 0.9999
_ABAR_AT_ZERO = math.cos(_S / (1 + _S) * math.pi / 2) ** 2


def alpha_bar(t: Tensor, shift: float = 1.0) -> Tensor:
    """Return abar at time t in [0, 1]; ``shift`` moves logSNR by 2 ln(1 / shift)."""
    angle = (_S + t) / (1 + _S) * (math.pi / 2)
    abar = angle.cos().clamp(0, 1).square() / _ABAR_AT_ZERO
    abar = abar.clamp(_MIN_ABAR, _MAX_ABAR)
    if shift == 1.0:
        return abar
    shifted = torch.sigmoid(log_snr_of(abar) + 2 * math.log(1 / shift))
    return shifted.clamp(_MIN_ABAR, _MAX_ABAR)


def log_snr_of(abar: Tensor) -> Tensor:
    """Return ln(abar / (1 - abar))."""
    return (abar / (1 - abar)).log()


def noise_condition(abar: Tensor) -> Tensor:
    """Return r, what the network is told: the time at which the schedule has this abar.

    It equals t except where the clamp acts: r lies in [0.002257, 0.993583].
    """
    angle = (abar * _ABAR_AT_ZERO).sqrt().clamp(0, 1).acos()
    return angle / (math.pi / 2) * (1 + _S) - _S


def training_t(u: Tensor) -> Tensor:
    """Map uniform draws in [0, 1) to training times: clamp((1 - u) + 0.001, 0.001, 1)."""
    return ((1 - u) + 0.001).clamp(0.001, 1.0)


def diffuse(x0: Tensor, noise: Tensor, t_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Noise latents: return (x_t [B, 16, h, w], r [B], abar [B])."""
    abar_B = alpha_bar(t_B)
    abar = abar_B.view(-1, *(1,) * (x0.dim() - 1))
    x_t = abar.sqrt() * x0 + (1 - abar).sqrt() * noise
    return x_t, noise_condition(abar_B), abar_B
