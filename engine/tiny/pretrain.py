"""Makes the committed weights of stage-c-tiny: ``python -m engine.tiny.pretrain``.

The prior learns to draw 64 crops of the demo's photographs, each under a caption of its own made
of random words. So it knows how such latents look and how captions are told apart, which is what
a LoRA builds on; no whole photograph and none of their captions is among what it learns. The
published objective is used throughout. Takes about an hour on two cores, two minutes on a GPU.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.models.effnet import EfficientNetEncoder
from engine.models.prior import PriorConfig, StableCascadePrior, init_weights
from engine.models.text import TextEmbeds, TextEncoder
from engine.objective.schedule import diffuse, training_t
from engine.optim.ema import Ema
from engine.tiny.encoder import make_encoder
from engine.tiny.layout import (
    ENCODED_SIDE_PX,
    ENGLISH_NAME,
    NUM_CALIBRATION_CROPS,
    NUM_MERGES,
    PHOTOGRAPHS_NAME,
    PRETRAINED_NAME,
    PRIOR,
    SEED,
    SOURCE,
)
from engine.tiny.photographs import centre_crops, load_photographs, random_crops
from engine.tiny.previewing import fit_previewer
from engine.tiny.seeded import stream
from engine.tiny.text_encoder import write_text_encoder
from engine.tiny.tokenizer import write_tokenizer

NUM_PAIRS = 64
NUM_STEPS = 6000
NUM_PREVIEWER_STEPS = 3000
_NUM_PREVIEWER_CROPS = 256
_BATCH_SIZE = 32
_PEAK_LR = 2e-3
_WARMUP_STEPS = 20
_CAPTION_DROPOUT = 0.1
_EMA_DECAY = 0.995
_ENCODED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Pairs:
    """Latents [n, 16, h, w], the embeds of their captions, and those of the empty caption."""

    latents: Tensor
    embeds: TextEmbeds
    empty: TextEmbeds


def pretrain_prior(
    pairs: Pairs, *, num_steps: int, device: torch.device | str
) -> StableCascadePrior:
    """Train a prior from scratch on ``pairs``; return the averaged weights, on the CPU."""
    generator = torch.Generator().manual_seed(SEED)
    prior = StableCascadePrior(PriorConfig.from_dict(PRIOR))
    init_weights(prior, generator)
    prior.set_dropout(0.0)
    prior.to(device).train()
    parameters = dict(prior.named_parameters())
    ema = Ema(parameters, decay=_EMA_DECAY)
    optimizer = torch.optim.AdamW(parameters.values(), lr=_PEAK_LR, weight_decay=0.0)
    for step in range(num_steps):
        warmup = min(1.0, (step + 1) / _WARMUP_STEPS)
        cosine = 0.5 * (1 + math.cos(math.pi * step / num_steps))
        optimizer.param_groups[0]["lr"] = _PEAK_LR * warmup * cosine
        loss = _loss(prior, pairs, generator, device)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
        optimizer.step()
        ema.update(step + 1)
        if (step + 1) % max(1, num_steps // 20) == 0:
            print(f"prior: step {step + 1}/{num_steps}, loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        for name, value in ema.tensors().items():
            parameters[name].copy_(value)
    return prior.cpu().eval().requires_grad_(False)


def _loss(
    prior: StableCascadePrior, pairs: Pairs, generator: torch.Generator, device: torch.device | str
) -> Tensor:
    """The published loss (P2 weight) of one batch, drawn on the CPU."""
    chosen = torch.randint(len(pairs.latents), (_BATCH_SIZE,), generator=generator)
    clip_text = pairs.embeds.clip_text[chosen]
    pooled = pairs.embeds.clip_text_pooled[chosen]
    dropped = torch.rand(_BATCH_SIZE, generator=generator) < _CAPTION_DROPOUT
    clip_text[dropped] = pairs.empty.clip_text[0]
    pooled[dropped] = pairs.empty.clip_text_pooled[0]
    x0 = pairs.latents[chosen]
    noise = torch.randn(x0.shape, generator=generator)
    t = training_t(torch.rand(_BATCH_SIZE, generator=generator))
    x_t, r, alpha_bar = (value.to(device) for value in diffuse(x0, noise, t))
    predicted = prior(x_t, r, clip_text.to(device), pooled.to(device))
    squared = (predicted - noise.to(device)).square().mean(dim=(1, 2, 3))
    return ((1 - alpha_bar) * squared).mean()


def scrambled_captions(english: str, count: int) -> list[str]:
    """Return ``count`` captions of five to twelve words of ``english`` in random order."""
    words = sorted(set(english.replace(",", " ").split()))
    captions = []
    for index in range(count):
        draw = stream(SEED, f"caption/{index}")
        captions.append(" ".join(draw.choice(words, size=draw.integers(5, 13))))
    return captions


@torch.no_grad()
def encode(encoder: EfficientNetEncoder, pictures: Tensor) -> Tensor:
    """Encode [n, 3, H, W] a few at a time: [n, 16, h, w]."""
    return torch.cat([encoder(part) for part in pictures.split(_ENCODED_AT_ONCE)])


def make_weights(
    source: Path, *, num_steps: int, num_previewer_steps: int, device: torch.device | str
) -> dict[str, Tensor]:
    """Return ``prior.*`` and ``previewer.*`` in bfloat16, trained from the files of ``source``."""
    pictures = list(load_photographs(source / PHOTOGRAPHS_NAME).values())
    photographs = centre_crops(pictures, ENCODED_SIDE_PX)
    crops = random_crops(pictures, ENCODED_SIDE_PX, count=_NUM_PREVIEWER_CROPS, seed=SEED)
    print(f"encoder: {len(photographs)} photographs, {len(crops)} crops", flush=True)
    encoder = make_encoder(photographs, crops[:NUM_CALIBRATION_CROPS])
    latents, crop_latents = encode(encoder, photographs), encode(encoder, crops)
    previewer = fit_previewer(
        latents, photographs, crop_latents, crops, num_steps=num_previewer_steps, device=device
    )
    print("previewer: fitted", flush=True)
    pairs = _make_pairs(crop_latents[:NUM_PAIRS], (source / ENGLISH_NAME).read_text())
    prior = pretrain_prior(pairs, num_steps=num_steps, device=device)
    named = [(f"prior.{key}", value) for key, value in prior.state_dict().items()]
    named += [(f"previewer.{key}", value) for key, value in previewer.state_dict().items()]
    return {key: value.bfloat16() if value.is_floating_point() else value for key, value in named}


def _make_pairs(latents: Tensor, english: str) -> Pairs:
    with tempfile.TemporaryDirectory() as folder:
        tokenizer, text_encoder = Path(folder, "tokenizer"), Path(folder, "text_encoder")
        write_text_encoder(text_encoder, write_tokenizer(tokenizer, english, max_merges=NUM_MERGES))
        text = TextEncoder.load(text_encoder, tokenizer)
    return Pairs(latents, text.encode(scrambled_captions(english, len(latents))), text.encode([""]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m engine.tiny.pretrain", description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="folder with the photographs")
    parser.add_argument("--output", type=Path, default=SOURCE / PRETRAINED_NAME)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--steps", type=int, default=NUM_STEPS)
    parser.add_argument("--previewer-steps", type=int, default=NUM_PREVIEWER_STEPS)
    options = parser.parse_args()
    weights = make_weights(
        options.source,
        num_steps=options.steps,
        num_previewer_steps=options.previewer_steps,
        device=options.device,
    )
    save_file(weights, options.output, metadata={"format": "pt", "steps": str(options.steps)})
    print(f"wrote {options.output} ({options.output.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
