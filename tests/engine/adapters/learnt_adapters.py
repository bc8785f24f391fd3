"""The golden prior, adapters of every kind, and adapters with something learnt."""

from pathlib import Path

import torch

from engine.adapters.lora import LoraSettings, attach_lora, attached_adapter
from engine.models.weights import load_prior

GOLDEN = Path(__file__).parents[2] / "golden"
KINDS = {
    "lora": LoraSettings(rank=4, alpha=6),
    "rslora": LoraSettings(rank=4, alpha=6, use_rslora=True),
    "dora": LoraSettings(rank=4, alpha=6, use_dora=True, target="all-linear"),
    "ranks": LoraSettings(
        rank=4, alpha=6, target="attention+mlp", rank_pattern=(("to_v", 6), ("up_blocks.*to_q", 2))
    ),
    "patterns": LoraSettings(
        rank=4, alpha=6, target="patterns", patterns=(r"up_blocks\..*to_[qk]", "clip_txt_mapper")
    ),
    "lokr": LoraSettings(rank=2, alpha=3, target="all-linear", algorithm="lokr"),
    "lokr-4": LoraSettings(rank=2, alpha=3, algorithm="lokr", factor=4),
    "lokr-whole": LoraSettings(rank=16, alpha=8, algorithm="lokr"),  # above it, no low rank
    "loha": LoraSettings(rank=3, alpha=6, target="attention+mlp", algorithm="loha"),
}


def golden_prior():
    return load_prior(GOLDEN / "config.json", [GOLDEN / "unet_tiny_diffusers.safetensors"]).eval()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def learnt(settings, seed=3):
    """A prior with an adapter whose every number has moved."""
    prior = golden_prior()
    trained = attach_lora(prior, settings, generator=seeded())
    with torch.no_grad():
        for parameter in trained.values():
            parameter.add_(torch.randn(parameter.shape, generator=seeded(seed)) * 0.1)
            seed += 1
    prior.eval()
    return prior, attached_adapter(prior, settings)


def run(network, io):
    keys = ("x", "r", "clip_text", "clip_text_pooled", "clip_img")
    with torch.no_grad():
        return network(*(io[f"input.{key}"] for key in keys))
