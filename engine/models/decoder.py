"""Stage B and the VQGAN: from Stage C's latents to full-resolution pictures.

The networks are diffusers' (``StableCascadeUNet``, ``PaellaVQModel``); the loop is ours, and equals
diffusers' ``StableCascadeDecoderPipeline``. Only the two modules are imported, no pipeline.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.models.weights import WeightsError, load_strictly, read_tensors, shard_paths
from engine.objective.sampler import guide, sample_ddpm

LATENT_CHANNELS = 4
LATENT_SCALE = 10.67
"""Stage C's h x w gives Stage B's int(10.67 h) x int(10.67 w), and 4 times that in pixels."""

_WEIGHTS = "diffusion_pytorch_model"
_WORKING_BYTES = 3 * 10**9
"""Activations of one picture of 1024 x 1024 px in float32, an estimate."""
# diffusers moved the VQGAN after 0.37.
_PAELLA_MODULES = (
    "diffusers.pipelines.deprecated.wuerstchen.modeling_paella_vq_model",
    "diffusers.pipelines.wuerstchen.modeling_paella_vq_model",
)


class Decoder:
    """Stage B (``unet``) and the VQGAN, in eval mode; frozen."""

    def __init__(self, unet: nn.Module, vqgan: nn.Module, device: torch.device) -> None:
        self.unet = unet
        self.vqgan = vqgan
        self.device = device
        self.dtype: torch.dtype = unet.dtype

    @classmethod
    def load(
        cls,
        decoder: Path,
        vqgan: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        variant: str | None = None,
    ) -> Decoder:
        """Load the published folders strictly; ``variant`` picks the decoder's file, such as bf16.

        Raises:
            WeightsError: a file is absent or damaged, or a key is missing, unexpected or misshapen.
        """
        from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet

        device = torch.device(device)
        return cls(
            _load(StableCascadeUNet, decoder, device, dtype, variant),
            _load(paella_class(), vqgan, device, dtype, None),
            device,
        )

    @staticmethod
    def bytes_needed(decoder: Path, vqgan: Path, *, variant: str | None = None) -> int:
        """About what :meth:`load` and one picture take on the device, from the files' sizes."""
        files = (*shard_paths(decoder, _WEIGHTS, variant), *shard_paths(vqgan, _WEIGHTS))
        in_bf16 = sum(path.stat().st_size for path in files if ".bf16." in path.name)
        return sum(path.stat().st_size for path in files) + in_bf16 + _WORKING_BYTES

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Stage B's latent grid for Stage C's: published, but a whole number of patches.

        diffusers fails where int(10.67 n) is odd, as for 26 (1088 px): there it is one less here.
        """
        patch = self.unet.config.patch_size
        rows, columns = (int(side * LATENT_SCALE) // patch * patch for side in (height, width))
        return rows, columns

    @torch.no_grad()
    def decode(
        self,
        latents: Tensor,
        clip_text_pooled: Tensor,
        negative_pooled: Tensor,
        *,
        num_steps: int = 10,
        guidance_scale: float = 0.0,
        seed: int = 0,
    ) -> Tensor:
        """Decode Stage C's latents [n, 16, h, w] to pictures [n, 3, H, W] in [0, 1], float32.

        ``clip_text_pooled`` and ``negative_pooled`` are [n or 1, 1, D]. A guidance scale of 1 or
        less turns guidance off, as published. Every picture's noise comes from a CPU generator of
        ``seed``: the same picture on every device and in every batch.
        """
        shape = (1, LATENT_CHANNELS, *self.grid(latents.shape[2], latents.shape[3]))
        generator = torch.Generator().manual_seed(seed)

        def draw(_step: int = 0) -> Tensor:
            noise = torch.randn(shape, generator=generator).to(self.device)
            return noise.expand(len(latents), -1, -1, -1)

        predict = self._predictor(latents, clip_text_pooled, negative_pooled, guidance_scale)
        # Stage B was published without shift, and diffusers tells it the raw time.
        sampled = sample_ddpm(predict, draw(), draw, num_steps=num_steps, convention="diffusers")
        with self._compute():
            pictures = self.vqgan.decode(self.vqgan.config.scale_factor * sampled).sample
        return pictures.float().clamp(0, 1)

    def _predictor(
        self, latents: Tensor, pooled: Tensor, negative: Tensor, guidance_scale: float
    ) -> Callable[[Tensor, Tensor], Tensor]:
        count = len(latents)
        effnet = latents.to(self.device, torch.float32)
        pooled = pooled.to(self.device, torch.float32).expand(count, -1, -1)
        guided = guidance_scale > 1.0
        if guided:
            negative = negative.to(self.device, torch.float32).expand(count, -1, -1)
            pooled = torch.cat([pooled, negative])
            effnet = torch.cat([effnet, torch.zeros_like(effnet)])

        def predict(x: Tensor, t: Tensor) -> Tensor:
            batch = torch.cat([x, x]) if guided else x
            with self._compute():
                estimate = self.unet(
                    sample=batch,
                    timestep_ratio=t.expand(len(batch)),
                    clip_text_pooled=pooled,
                    effnet=effnet,
                ).sample.float()
            return guide(*estimate.chunk(2), guidance_scale) if guided else estimate

        return predict

    def _compute(self) -> AbstractContextManager[None]:
        """Autocast for shorter weights: time and sampler state stay float32 beside them."""
        shorter = self.dtype is not torch.float32
        return torch.autocast(
            self.device.type, dtype=self.dtype if shorter else None, enabled=shorter
        )


def paella_class() -> type[nn.Module]:
    """Return diffusers' ``PaellaVQModel`` from where the installed version keeps it."""
    for name in _PAELLA_MODULES[:-1]:
        try:
            return import_module(name).PaellaVQModel
        except ModuleNotFoundError as error:
            if error.name is None or not name.startswith(error.name):
                raise
    return import_module(_PAELLA_MODULES[-1]).PaellaVQModel


def _load(
    network_class: type[nn.Module],
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    variant: str | None,
) -> nn.Module:
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / 'config.json'} cannot be read: {error}") from error
    with torch.device("meta"):
        network = network_class.from_config(config)
    paths = shard_paths(folder, _WEIGHTS, variant)
    load_strictly(network, read_tensors(paths, device=device, dtype=dtype), str(folder))
    return network.eval().requires_grad_(False)
