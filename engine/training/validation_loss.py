"""The loss on held-out photographs, at fixed noise: comparable from step to step and run to run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.adapters.lora import without_adapter
from engine.cache.build import CLIP_TEXT, CLIP_TEXT_POOLED, LATENTS
from engine.data.loader import LoadedSample
from engine.models.prior import StableCascadePrior
from engine.objective.schedule import diffuse
from engine.run.files import atomic_write_json
from engine.training.data import TrainingData
from engine.training.session import Session

NUM_BANDS, TIMES_A_BAND = 4, 2
NUM_TIMES = NUM_BANDS * TIMES_A_BAND
REFERENCE_NAME = "validation-reference.json"


@dataclass(frozen=True, slots=True)
class ValidationLoss:
    """Unweighted squared errors: their mean, and that of each quarter of the noise levels.

    ``bands`` go from the clearest images to the noisiest. ``difference`` is the mean over the
    photographs of (now - the base network), and ``difference_error`` its standard error.
    """

    loss: float
    bands: tuple[float, ...]
    num_images: int
    difference: float | None = None
    difference_error: float | None = None


class HeldOutLoss:
    """Measures the held-out photographs; what the base makes of them is kept to compare with."""

    def __init__(self, session: Session, data: TrainingData) -> None:
        self.session = session
        self.data = data
        self.samples: Sequence[LoadedSample] = data.held_out

    @torch.no_grad()
    def measure(self, prior: StableCascadePrior, *, is_first: bool) -> ValidationLoss | None:
        """Return the loss of ``prior``; None if nothing is held out, or a stop was asked for.

        ``is_first`` says that nothing is trained yet: the base is measured too, for later ones.
        """
        errors = self._measure_all(prior)
        if errors is None:
            return None
        names = [sample.latent_key for sample in self.samples]
        path = self.session.run.root / REFERENCE_NAME
        if is_first:
            base = errors
            if self.session.config.init_lora:  # a new adapter leaves the network as it is
                with without_adapter(prior):
                    base = self._measure_all(prior)
            if base is None:
                return None
            atomic_write_json(path, {"photographs": names, "errors": base.tolist()})
        difference = error = None
        reference = json.loads(path.read_text()) if path.exists() else {}
        if reference.get("photographs") == names:  # others than at the beginning don't compare
            changes = (errors - torch.tensor(reference["errors"])).mean(dim=1)
            difference = changes.mean().item()
            if len(changes) > 1:
                error = (changes.std() / len(changes) ** 0.5).item()
        bands = errors.unflatten(1, (NUM_BANDS, TIMES_A_BAND)).mean(dim=(0, 2))
        return ValidationLoss(
            errors.mean().item(), tuple(bands.tolist()), len(errors), difference, error
        )

    def _measure_all(self, prior: StableCascadePrior) -> Tensor | None:
        """Errors [photographs, times]; None without any, or if a stop was asked for."""
        rows = []
        for sample in self.samples:
            if self.session.commands.should_stop():
                return None
            rows.append(self._errors(prior, sample))
        return torch.stack(rows) if rows else None

    def _errors(self, prior: StableCascadePrior, sample: LoadedSample) -> Tensor:
        """One photograph's mean squared error at each time, float32 [times], on the CPU."""
        device = self.session.device
        latent = self.data.latent_store.get(sample.latent_key)[LATENTS].float()
        text = self.data.text_store.get(sample.text_keys[0])
        times = (torch.arange(NUM_TIMES) + 0.5) / NUM_TIMES
        noise = fixed_noise(sample.latent_key, (NUM_TIMES, *latent.shape)).to(device)
        x_t, r, _ = diffuse(latent.to(device).expand_as(noise), noise, times.to(device))
        with self.session.accelerator.autocast():
            prediction = prior(
                x_t,
                r,
                text[CLIP_TEXT].to(device, torch.float32).expand(NUM_TIMES, -1, -1),
                text[CLIP_TEXT_POOLED].to(device, torch.float32).expand(NUM_TIMES, -1, -1),
            )
        return (prediction.float() - noise).square().mean(dim=(1, 2, 3)).cpu()


def fixed_noise(key: str, shape: tuple[int, ...]) -> Tensor:
    """N(0, 1) float32 that hangs on ``key`` alone."""
    digest = hashlib.blake2b(f"validation/{key}".encode(), digest_size=16).digest()
    generator = np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))
    return torch.from_numpy(generator.standard_normal(shape, np.float32))
