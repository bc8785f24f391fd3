"""Validation pictures: sample each prompt's latent, show it through the previewer, decode it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from engine.config.fields import TrainingConfig
from engine.config.weight_files import WeightFiles
from engine.data.buckets import latent_grid
from engine.models.previewer import Previewer
from engine.models.prior import StableCascadePrior
from engine.objective.sampler import Conditioning, sample_latents
from engine.training.memory import room_on
from engine.training.session import Session

NEGATIVE = "negative"
_DRAWS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ValidationPrompt:
    """One prompt with its cached embeds: clip_text [77, D], clip_text_pooled [1, D]."""

    name: str
    text: str
    clip_text: Tensor
    clip_text_pooled: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Draw:
    """One picture to draw: a prompt from a seed."""

    prompt: ValidationPrompt
    seed: int


class Validator:
    """Draws the validation prompts with a prior, always from the same noise for a given seed."""

    def __init__(
        self,
        session: Session,
        prompts: tuple[ValidationPrompt, ...],
        negative: ValidationPrompt,
        previewer: Previewer,
        weights: WeightFiles,
    ) -> None:
        self.session = session
        self.config: TrainingConfig = session.config
        self.prompts = prompts
        self.negative = negative
        self.previewer = previewer
        self.weights = weights
        resolution = self.config.validation_resolution
        self.grid = latent_grid(resolution.width, resolution.height)
        self.size = (resolution.width, resolution.height)
        seed = self.config.validation_seed
        first = self.config.seed if seed is None else seed
        self.seeds = range(first, first + self.config.validation_num_seeds)

    @torch.no_grad()
    def run(self, prior: StableCascadePrior, step: int) -> None:
        """Write the pictures of ``step`` and report each as it is there; ends early on a stop."""
        draws = tuple(Draw(prompt, seed) for prompt in self.prompts for seed in self.seeds)
        if not draws:
            return
        latents: dict[Draw, Tensor] = {}
        images: dict[Draw, Image.Image] = {}
        for first in range(0, len(draws), _DRAWS_AT_ONCE):
            if self.session.commands.should_stop():
                return
            batch = draws[first : first + _DRAWS_AT_ONCE]
            sampled = self.sample(prior, batch)
            for draw, latent, pixels in zip(batch, sampled, self.previewer(sampled), strict=True):
                latents[draw] = latent[None]
                images[draw] = to_image(pixels)
                self._write(images[draw], draw, step, "preview")
        if self.config.stable_cascade_use_decoder_for_validation:
            images |= self._decode(prior, latents, step)
        named = {
            draw.prompt.name if len(self.seeds) == 1 else f"{draw.prompt.name}-{draw.seed}": image
            for draw, image in images.items()
        }
        self.session.track_images(named, step=step)

    def sample(self, prior: StableCascadePrior, draws: tuple[Draw, ...]) -> Tensor:
        """Return the latents [n, 16, h, w] of n draws, as one batch."""
        with self.session.accelerator.autocast():
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
        device = self.session.device
        return Conditioning(
            torch.stack([prompt.clip_text for prompt in prompts]).to(device, torch.float32),
            torch.stack([prompt.clip_text_pooled for prompt in prompts]).to(device, torch.float32),
        )

    def _decode(
        self, prior: StableCascadePrior, latents: Mapping[Draw, Tensor], step: int
    ) -> dict[Draw, Image.Image]:
        """Stage B and the VQGAN, loaded for this and freed; the prior makes room if need be."""
        from engine.models.decoder import Decoder

        assert self.weights.decoder is not None
        assert self.weights.vqgan is not None
        variant = self.config.stable_cascade_decoder_variant
        needed = Decoder.bytes_needed(self.weights.decoder, self.weights.vqgan, variant=variant)
        images = {}
        with room_on(self.session.device, needed, prior):
            decoder = Decoder.load(
                self.weights.decoder,
                self.weights.vqgan,
                device=self.session.device,
                variant=variant,
            )
            for draw, latent in latents.items():
                if self.session.commands.should_stop():
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
                self._write(images[draw], draw, step, "decoded")
            del decoder
        return images

    def _write(self, image: Image.Image, draw: Draw, step: int, kind: str) -> None:
        decoded = self.config.stable_cascade_use_decoder_for_validation
        suffix = "-preview" if decoded and kind == "preview" else ""
        folder = self.session.run.validation_dir(step)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{file_name(draw.prompt.name)}-{draw.seed}{suffix}.png"
        save_png(image, path, self._metadata(draw, step, kind))
        self.session.reporter.emit(
            "image",
            step=step,
            prompt=draw.prompt.name,
            text=draw.prompt.text,
            path=path.relative_to(self.session.run.root).as_posix(),
            seed=draw.seed,
            width=image.width,
            height=image.height,
            source=kind,
        )

    def _metadata(self, draw: Draw, step: int, kind: str) -> dict[str, str]:
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


def file_name(prompt_name: str) -> str:
    """A prompt's name as a file name that every system accepts."""
    return re.sub(r"[^\w.-]+", "_", prompt_name).strip("._")[:80] or "prompt"


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
