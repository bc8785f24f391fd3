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
from engine.training.session import Session

NEGATIVE = "negative"
_PROMPTS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ValidationPrompt:
    """One prompt with its cached embeds: clip_text [77, D], clip_text_pooled [1, D]."""

    name: str
    text: str
    clip_text: Tensor
    clip_text_pooled: Tensor


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
        self.seed = self.config.seed if seed is None else seed

    @torch.no_grad()
    def run(self, prior: StableCascadePrior, step: int) -> None:
        """Write the pictures of ``step`` and report each as it is there; ends early on a stop."""
        if not self.prompts:
            return
        latents: dict[str, Tensor] = {}
        images: dict[str, Image.Image] = {}
        for first in range(0, len(self.prompts), _PROMPTS_AT_ONCE):
            if self.session.commands.should_stop():
                return
            prompts = self.prompts[first : first + _PROMPTS_AT_ONCE]
            sampled = self.sample(prior, prompts)
            for prompt, latent, pixels in zip(
                prompts, sampled, self.previewer(sampled), strict=True
            ):
                latents[prompt.name] = latent[None]
                images[prompt.name] = to_image(pixels)
                self._write(images[prompt.name], prompt, step, "preview")
        if self.config.stable_cascade_use_decoder_for_validation:
            images |= self._decode(latents, step)
        self.session.track_images(images, step=step)

    def sample(self, prior: StableCascadePrior, prompts: tuple[ValidationPrompt, ...]) -> Tensor:
        """Return the latents [n, 16, h, w] that the prior draws for n prompts, as one batch."""
        with self.session.accelerator.autocast():
            return sample_latents(
                prior,
                self._conditioning(*prompts),
                self._conditioning(self.negative),
                grid=self.grid,
                seeds=[self.seed] * len(prompts),
                num_steps=self.config.stable_cascade_validation_prior_num_inference_steps,
                guidance_scale=prior_guidance(self.config),
            )

    def _conditioning(self, *prompts: ValidationPrompt) -> Conditioning:
        device = self.session.device
        return Conditioning(
            torch.stack([prompt.clip_text for prompt in prompts]).to(device, torch.float32),
            torch.stack([prompt.clip_text_pooled for prompt in prompts]).to(device, torch.float32),
        )

    def _decode(self, latents: Mapping[str, Tensor], step: int) -> dict[str, Image.Image]:
        """Stage B and the VQGAN, loaded for this and freed again."""
        from engine.models.decoder import Decoder

        assert self.weights.decoder is not None
        assert self.weights.vqgan is not None
        decoder = Decoder.load(
            self.weights.decoder,
            self.weights.vqgan,
            device=self.session.device,
            variant=self.config.stable_cascade_decoder_variant,
        )
        images = {}
        for prompt in self.prompts:
            if self.session.commands.should_stop():
                break
            decoded = decoder.decode(
                latents[prompt.name],
                self._conditioning(prompt).clip_text_pooled,
                self._conditioning(self.negative).clip_text_pooled,
                num_steps=self.config.validation_num_inference_steps,
                guidance_scale=self.config.stable_cascade_validation_decoder_guidance_scale,
                seed=self.seed,
            )
            images[prompt.name] = to_image(decoded[0])
            self._write(images[prompt.name], prompt, step, "decoded")
        del decoder
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return images

    def _write(self, image: Image.Image, prompt: ValidationPrompt, step: int, kind: str) -> None:
        decoded = self.config.stable_cascade_use_decoder_for_validation
        suffix = "-preview" if decoded and kind == "preview" else ""
        folder = self.session.run.validation_dir(step)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{file_name(prompt.name)}-{self.seed}{suffix}.png"
        save_png(image, path, self._metadata(prompt, step, kind))
        self.session.reporter.emit(
            "image",
            step=step,
            prompt=prompt.name,
            text=prompt.text,
            path=path.relative_to(self.session.run.root).as_posix(),
            seed=self.seed,
            width=image.width,
            height=image.height,
            source=kind,
        )

    def _metadata(self, prompt: ValidationPrompt, step: int, kind: str) -> dict[str, str]:
        config = self.config
        values = {
            "prompt": prompt.text,
            "negative_prompt": self.negative.text,
            "seed": self.seed,
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
