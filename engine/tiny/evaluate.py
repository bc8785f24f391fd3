"""What a demo run has learned, in numbers: ``python -m engine.tiny.evaluate RUN_DIR``.

From each caption a latent is sampled, and its distance to every photograph's own latent measured.
A caption is right when its own photograph is the nearest.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.adapters.adapter import with_dora_norm
from engine.adapters.load import load_adapter
from engine.adapters.lora import attach_lora, base_weights, load_adapter_state
from engine.config.backends import ImageBackend
from engine.config.frozen import FrozenConfig, load_frozen
from engine.config.weight_files import WeightFiles, locate_weights
from engine.data.buckets import plan_image
from engine.data.pixels import load_pixels
from engine.data.scan import scan_backend
from engine.models.effnet import load_effnet_encoder
from engine.models.prior import StableCascadePrior
from engine.models.text import TextEncoder
from engine.models.weights import load_prior
from engine.objective.sampler import Conditioning, sample_latents
from engine.run.paths import RunDirectory
from engine.training.model import adapter_settings

GUIDANCE_SCALE = 1.5
SEED = 7


class EvaluateError(ValueError):
    """The run cannot be evaluated; the message says why."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Distances of n sampled latents (rows) to n photographs' latents (columns).

    ``distances`` [n, n]: each divided by the norm of the photograph's own latent.
    """

    captions: tuple[str, ...]
    distances: Tensor

    @property
    def nearest(self) -> tuple[int, ...]:
        """For each caption the photograph whose latent lies nearest."""
        return tuple(self.distances.argmin(dim=1).tolist())

    @property
    def num_right(self) -> int:
        """How many captions are nearest to their own photograph."""
        return sum(nearest == own for own, nearest in enumerate(self.nearest))

    @property
    def relative_error(self) -> float:
        """The mean distance to the caption's own photograph."""
        return self.distances.diagonal().mean().item()


@dataclass(frozen=True, slots=True)
class Photographs:
    """n captions with their embeds (the empty caption's last: n + 1), and n latents."""

    captions: tuple[str, ...]
    latents: Tensor
    clip_text: Tensor
    clip_text_pooled: Tensor


def evaluate_prior(
    prior: StableCascadePrior,
    photographs: Photographs,
    *,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = SEED,
) -> Evaluation:
    """Sample a latent from every caption, all from the same noise, and measure the distances."""
    count = len(photographs.captions)
    latents = photographs.latents
    sampled = sample_latents(
        prior.eval(),
        Conditioning(photographs.clip_text[:count], photographs.clip_text_pooled[:count]),
        Conditioning(photographs.clip_text[count:], photographs.clip_text_pooled[count:]),
        grid=(latents.shape[2], latents.shape[3]),
        seeds=[seed] * count,
        guidance_scale=guidance_scale,
    )
    own = latents.flatten(1)
    return Evaluation(photographs.captions, torch.cdist(sampled.flatten(1), own) / own.norm(dim=1))


def evaluate_run(
    root: Path, *, guidance_scale: float = GUIDANCE_SCALE, seed: int = SEED
) -> tuple[Evaluation, Evaluation]:
    """Evaluate the base prior and the exported LoRA of a finished run, in this order.

    Raises:
        EvaluateError: no exported LoRA, no image backend, or the weights are gone.
    """
    run, frozen = RunDirectory(root), load_frozen(root)
    adapter = run.export / "peft"
    if not adapter.is_dir():
        raise EvaluateError(f"{adapter} is not there: has the run finished, with a LoRA?")
    weights, missing = locate_weights(frozen.config)
    if weights is None:
        raise EvaluateError("; ".join(problem.message for problem in missing))
    photographs = read_photographs(frozen, weights)
    prior = load_prior(weights.prior_config, weights.prior_weights)
    base = evaluate_prior(prior, photographs, guidance_scale=guidance_scale, seed=seed)
    _attach(prior, frozen, adapter)
    return base, evaluate_prior(prior, photographs, guidance_scale=guidance_scale, seed=seed)


@torch.no_grad()
def read_photographs(frozen: FrozenConfig, weights: WeightFiles) -> Photographs:
    """Encode the photographs of the first image backend, and their captions, as the run does."""
    backend = next((b for b in frozen.backends if isinstance(b, ImageBackend)), None)
    if backend is None:
        raise EvaluateError("the run has no image backend")
    images = scan_backend(backend).samples
    encoder = load_effnet_encoder(weights.effnet_encoder)
    plans = [plan_image(image, backend, seed=frozen.config.seed) for image in images]
    if len({plan.latent for plan in plans}) > 1:
        raise EvaluateError(
            "the photographs are of several shapes: their latents can't be compared"
        )
    latents = torch.cat([encoder(load_pixels(plan)[None]) for plan in plans])
    captions = tuple(image.captions[0] for image in images)
    text = TextEncoder.load(weights.text_encoder, weights.tokenizer)
    embeds = text.encode([*captions, frozen.config.validation_negative_prompt])
    return Photographs(captions, latents, embeds.clip_text, embeds.clip_text_pooled)


def report(title: str, evaluation: Evaluation) -> str:
    """The matrix of distances as text; the nearest photograph of each row is marked."""
    lines = [
        f"{title}: {evaluation.num_right} of {len(evaluation.captions)} captions right, "
        f"relative error {evaluation.relative_error:.3f}"
    ]
    for row, caption in enumerate(evaluation.captions):
        cells = (
            f"{distance:5.2f}{'*' if column == evaluation.nearest[row] else ' '}"
            for column, distance in enumerate(evaluation.distances[row].tolist())
        )
        lines.append(f"  {row}  {''.join(cells)}  {caption}")
    return "\n".join(lines)


def _attach(prior: StableCascadePrior, frozen: FrozenConfig, adapter: Path) -> None:
    settings = replace(adapter_settings(frozen.config), dropout=0.0)
    attach_lora(prior, settings, generator=torch.Generator().manual_seed(0))
    loaded = load_adapter(adapter, prior)
    weights = base_weights(prior, loaded.modules) if loaded.kind == "dora" else None
    load_adapter_state(prior, with_dora_norm(loaded, "merged", weights).state)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m engine.tiny.evaluate",
        description="Measure which photograph each caption draws, before and after training.",
    )
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--guidance-scale", type=float, default=GUIDANCE_SCALE)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    try:
        base, trained = evaluate_run(
            options.run, guidance_scale=options.guidance_scale, seed=options.seed
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(report("base", base))
    print(report("with the LoRA", trained))
    return 0


if __name__ == "__main__":
    sys.exit(main())
