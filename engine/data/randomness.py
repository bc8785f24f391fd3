"""Every random number of a sample in a step, as a function of where it stands.

Philox, a counter-based generator, keyed by (seed, stream) and started at counter (0, 0, k, n) for
sample k of global batch n (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011).
World size, micro-batch split and what was drawn before don't come into it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Stream(IntEnum):
    """What a number is for; the values are part of what makes a run reproducible."""

    TIMESTEP = 1
    NOISE = 2
    CAPTION_DROPOUT = 3
    CAPTION_CHOICE = 4
    NOISE_OFFSET = 5
    INPUT_PERTURBATION = 6


@dataclass(frozen=True, slots=True)
class Draws:
    """Random numbers of one sample: uniforms in [0, 1), ``noise`` N(0, 1) float32 [C, h, w]."""

    u: float
    noise: NDArray[np.float32]
    caption_dropout: float
    caption_choice: float


def generator(seed: int, stream: Stream, step: int, index: int) -> np.random.Generator:
    """Return the generator of one stream for sample ``index`` of global batch ``step``."""
    # As uint64, or numpy would take large numbers for floats and round them.
    key = np.array([seed % 2**64, int(stream)], np.uint64)
    counter = np.array([0, 0, index, step], np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


def uniform(seed: int, stream: Stream, step: int, index: int) -> float:
    """Return one uniform number in [0, 1)."""
    return float(generator(seed, stream, step, index).random())


def draws(seed: int, step: int, index: int, latent_shape: tuple[int, ...]) -> Draws:
    """Return all random numbers for sample ``index`` of global batch ``step``."""
    return Draws(
        u=uniform(seed, Stream.TIMESTEP, step, index),
        noise=generator(seed, Stream.NOISE, step, index).standard_normal(latent_shape, np.float32),
        caption_dropout=uniform(seed, Stream.CAPTION_DROPOUT, step, index),
        caption_choice=uniform(seed, Stream.CAPTION_CHOICE, step, index),
    )


def normal(
    seed: int, stream: Stream, step: int, index: int, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return N(0, 1) float32 numbers of a stream for sample ``index`` of global batch ``step``."""
    return generator(seed, stream, step, index).standard_normal(shape, np.float32)
