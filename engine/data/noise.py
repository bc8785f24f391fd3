"""What is done to a sample's noise before training: offset and input perturbation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.data.randomness import Stream, normal


@dataclass(frozen=True, slots=True)
class NoiseChanges:
    """Both off at 0, and then nothing is drawn for them; each has a stream of its own.

    ``offset`` adds offset * N(0, 1), one number a channel, to the noise and so to the target: the
    mean of a latent is learnt too (N. Guttenberg, "Diffusion with offset noise", 2023).
    ``input_perturbation`` adds its share of fresh noise to what the network sees, not to the
    target (Ning et al. 2023, arXiv:2301.11706).
    """

    offset: float = 0.0
    input_perturbation: float = 0.0

    def apply(
        self, noise: NDArray[np.float32], seed: int, step: int, index: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return (target, input noise or None where it is the target), each [C, h, w]."""
        if self.offset:
            shape = (noise.shape[0], 1, 1)
            drawn = normal(seed, Stream.NOISE_OFFSET, step, index, shape)
            noise = noise + np.float32(self.offset) * drawn
        if not self.input_perturbation:
            return noise, None
        drawn = normal(seed, Stream.INPUT_PERTURBATION, step, index, noise.shape)
        return noise, noise + np.float32(self.input_perturbation) * drawn


NO_CHANGES = NoiseChanges()
