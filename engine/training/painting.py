"""Pictures of prompts: sample the latents, look at them through the previewer, decode them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from engine.config.fields import TrainingConfig
from engine.config.prompts import picture_stem
from engine.config.weight_files import WeightFiles
from engine.data.buckets import latent_grid
from engine.models.previewer import Previewer
from engine.models.prior import StableCascadePrior
from engine.objective.sampler import Conditioning, sample_latents
from engine.training.memory import room_on

_DRAWS_AT_ONCE = 4

Show = Callable[["Draw", Image.Image, str], None]
"""Called with each picture as it is there: what was drawn, and ``preview`` or ``decoded``."""


@dataclass(frozen=True, slots=True)
class ValidationPrompt:
    """One prompt with its embeds: clip_text [77, D], clip_text_pooled [1, D]."""

    name: str
    text: str
    clip_text: Tensor
    clip_text_pooled: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One picture to draw: a prompt from a seed."""

    prompt: ValidationPrompt
    seed: int

    @property
    def file_stem(self) -> str:
        """The picture's file name without its ending, one that every system accepts."""
        return f"{picture_stem(self.prompt.name)}-{self.seed}"


class Painter:
    """Draws prompts with a prior, from the same noise each time for a given seed."""

    def __init__(
        self,
        config: TrainingConfig,
        weights: WeightFiles,
        previewer: Previewer,
        negative: ValidationPrompt,
        *,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config = config
        self.weights = weights
        self.previewer = previewer
        self.negative = negative
        self.device = device
        self.autocast = autocast
        self.should_stop = should_stop
        resolution = config.validation_resolution
        self.grid = latent_grid(resolution.width, resolution.height)
        self.size = (resolution.width, resolution.height)

    @torch.no_grad()
    def paint(
        self, prior: StableCascadePrior, draws: Sequence[Draw], show: Show
    ) -> dict[Draw, Image.Image]:
        """Draw each and show it, previews first; return the best picture of each that there is.

        Ends early when a stop is asked for.
        """
        latents: dict[Draw, Tensor] = {}
        images: dict[Draw, Image.Image] = {}
        for first in range(0, len(draws), _DRAWS_AT_ONCE):
            if self.should_stop():
                return images
            batch = draws[first : first + _DRAWS_AT_ONCE]
            sampled = self._sample(prior, batch)
            for draw, latent, pixels in zip(batch, sampled, self.previewer(sampled), strict=True):
                latents[draw] = latent[None]
                images[draw] = to_image(pixels)
                show(draw, images[draw], "preview")
        if self.config.stable_cascade_use_decoder_for_validation:
            images |= self._decode(prior, latents, show)
        return images

    def _sample(self, prior: StableCascadePrior, draws: Sequence[Draw]) -> Tensor:
        """Return the latents [n, 16, h, w] of n draws, as one batch."""
        with self.autocast():
            return sample_latents(
                prior,
                self._conditioning(*(draw.prompt for draw in draws)),
                self._conditioning(self.negative),
                grid=self.grid,
                seeds=[draw.seed for draw in draws],
                num_steps=self.config.stable_cascade_validation_prior_num_inference_steps,
                guidance_scale=prior_guidance(self.config),
            )

    def _conditioning(self, *prompts: ValidationPrompt) -> Conditioning:
        device = self.device
        return Conditioning(
            torch.stack([prompt.clip_text for prompt in prompts]).to(device, torch.float32),
            torch.stack([prompt.clip_text_pooled for prompt in prompts]).to(device, torch.float32),
        )

    def _decode(
        self, prior: StableCascadePrior, latents: Mapping[Draw, Tensor], show: Show
    ) -> dict[Draw, Image.Image]:
        """Stage B and the VQGAN, loaded for this and freed; the prior makes room if need be."""
        from engine.models.decoder import Decoder

        assert self.weights.decoder is not None
        assert self.weights.vqgan is not None
        variant = self.config.stable_cascade_decoder_variant
        needed = Decoder.bytes_needed(self.weights.decoder, self.weights.vqgan, variant=variant)
        images = {}
        with room_on(self.device, needed, prior):
            decoder = Decoder.load(
                self.weights.decoder,
                self.weights.vqgan,
                device=self.device,
                variant=variant,
            )
            for draw, latent in latents.items():
                if self.should_stop():
                    break
                decoded = decoder.decode(
                    latent,
                    self._conditioning(draw.prompt).clip_text_pooled,
                    self._conditioning(self.negative).clip_text_pooled,
                    num_steps=self.config.validation_num_inference_steps,
                    guidance_scale=self.config.stable_cascade_validation_decoder_guidance_scale,
                    seed=draw.seed,
                )
                images[draw] = to_image(decoded[0])
                show(draw, images[draw], "decoded")
            del decoder
        return images

    def metadata(self, draw: Draw, step: int, kind: str) -> dict[str, str]:
        """What a picture's PNG says of how it was drawn."""
        config = self.config
        values = {
            "prompt": draw.prompt.text,
            "negative_prompt": self.negative.text,
            "seed": draw.seed,
            "step": step,
            "kind": kind,
            "prior_guidance_scale": prior_guidance(config),
            "prior_num_inference_steps": (
                config.stable_cascade_validation_prior_num_inference_steps
            ),
            "resolution": f"{self.size[0]}x{self.size[1]}",
        }
        if kind == "decoded":
            values["decoder_num_inference_steps"] = config.validation_num_inference_steps
            values["decoder_guidance_scale"] = (
                config.stable_cascade_validation_decoder_guidance_scale
            )
        return {key: str(value) for key, value in values.items()}


def prior_guidance(config: TrainingConfig) -> float:
    """The prior's guidance scale: its own option, else ``validation_guidance``."""
    scale = config.stable_cascade_validation_prior_guidance_scale
    return config.validation_guidance if scale is None else scale


def to_image(pixels: Tensor) -> Image.Image:
    """Turn [3, H, W] in [0, 1] into an 8-bit picture."""
    array = pixels.detach().clamp(0, 1).mul(255).round().to("cpu", torch.uint8)
    return Image.fromarray(array.permute(1, 2, 0).numpy())


def save_png(image: Image.Image, path: Path, metadata: Mapping[str, str]) -> None:
    """Write a PNG aside and rename it in, so that no viewer meets half a picture."""
    info = PngInfo()
    for key, value in metadata.items():
        info.add_itxt(key, value)
    aside = path.with_name(f".{path.name}.tmp")
    image.save(aside, format="PNG", pnginfo=info)
    aside.replace(path)
