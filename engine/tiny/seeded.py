"""Weights from a seed, the same on every machine and under every version of torch.

Each tensor has its own stream, keyed by (seed, name): adding a layer moves no other weight.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the counter-based (Philox) generator that belongs to ``name``."""
    digest = hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))


def normal(seed: int, name: str, shape: tuple[int, ...], std: float) -> Tensor:
    """Draw N(0, std^2) of ``shape`` in float32."""
    drawn = stream(seed, name).standard_normal(shape) * std
    return torch.from_numpy(drawn.astype(np.float32))


def fan_in(shape: tuple[int, ...]) -> int:
    """Inputs per output of a linear [out, in] or convolution [out, in, kh, kw] weight."""
    return int(np.prod(shape[1:]))
