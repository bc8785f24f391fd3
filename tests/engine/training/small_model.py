"""A model folder in the published layout, small enough to build in seconds; nothing is trained."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from engine.models.previewer import Previewer
from engine.models.prior import PriorConfig, StableCascadePrior, init_weights
from engine.tiny.decoder import write_decoder
from engine.tiny.encoder import write_encoder
from engine.tiny.layout import ENGLISH_NAME, PHOTOGRAPHS_NAME, PRIOR, SOURCE
from engine.tiny.photographs import centre_crops, load_photographs
from engine.tiny.text_encoder import write_text_encoder
from engine.tiny.tokenizer import write_tokenizer

PHOTOGRAPHS = SOURCE / PHOTOGRAPHS_NAME
WIDTH = 64


def build_small_model(root: Path) -> Path:
    """Write every file that a run needs below ``root`` and return it."""
    pictures = centre_crops(list(load_photographs(PHOTOGRAPHS).values()), 96)
    write_encoder(root / "effnet_encoder.safetensors", pictures, pictures[:2])
    english = (SOURCE / ENGLISH_NAME).read_text()
    write_text_encoder(
        root / "text_encoder", write_tokenizer(root / "tokenizer", english, max_merges=64)
    )
    config = PRIOR | {
        "block_out_channels": [WIDTH, WIDTH],
        "down_num_layers_per_block": [1, 1],
        "up_num_layers_per_block": [1, 1],
    }
    folder = root / "prior"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    prior = StableCascadePrior(PriorConfig.from_dict(config))
    generator = torch.Generator().manual_seed(0)
    init_weights(prior, generator)
    with torch.no_grad():  # a published prior's last layer is not zero, or no adapter would learn
        prior.clf[1].weight.normal_(std=0.05, generator=generator)
    save_file(prior.state_dict(), folder / "diffusion_pytorch_model.safetensors")
    torch.manual_seed(0)
    save_file(Previewer(16).state_dict(), root / "previewer.safetensors")
    write_decoder(root)
    return root
