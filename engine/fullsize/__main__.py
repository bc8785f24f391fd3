"""``python -m engine.fullsize DEST``: the published folders at full size, with random weights.

What reads the real weights reads these too: every file, key, shape and type is as published, so
that memory, load time and speed can be measured where the hub is out of reach. The weights are
torch's initial ones, so what such a model draws is noise. The tokenizer is stage-c-tiny's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from engine.fullsize.layout import (
    DECODER_FOLDERS,
    DECODERS,
    PRIOR_FOLDERS,
    PRIORS,
    SINGLE_FILES,
    TEXT_ENCODER,
    VQGAN,
    Flavour,
)
from engine.models.effnet import EfficientNetEncoder
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.models.weights import to_original
from engine.tiny.layout import ENGLISH_NAME, MODEL_INDEX, NUM_MERGES, SCHEDULER, SOURCE

_HEADER = {"format": "pt"}


def build_random(
    build: Callable[[], nn.Module], *, device: torch.device, dtype: torch.dtype, seed: int = 0
) -> nn.Module:
    """Build a network on ``device`` with torch's initial weights, without a copy elsewhere."""
    torch.manual_seed(seed)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            return build().eval()
    finally:
        torch.set_default_dtype(before)


def random_prior(config: PriorConfig, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """Build a prior of this shape; its response norms are drawn too, they would start as zero."""
    prior = build_random(lambda: StableCascadePrior(config), device=device, dtype=dtype)
    with torch.no_grad():
        for name, parameter in prior.named_parameters():
            if name.endswith((".gamma", ".beta")):
                parameter.normal_(std=0.02)
    return prior


def write_prior(
    root: Path, flavour: Flavour, *, device: torch.device, dtype: torch.dtype, single_file: bool
) -> Path:
    """Write the prior's hub folder, or its single file in the original's naming; return which."""
    config = PRIORS[flavour]
    state = random_prior(config, device=device, dtype=dtype).state_dict()
    if single_file:
        suffix = "_bf16" if dtype is torch.bfloat16 else ""
        path = root / f"{SINGLE_FILES[flavour]}{suffix}.safetensors"
        _save(path, to_original(state))
        return path
    folder = root / PRIOR_FOLDERS[flavour]
    _write_json(folder / "config.json", config.to_dict())
    _save(folder / _weights_name("diffusion_pytorch_model", dtype), state)
    return folder


def write_rest(
    root: Path, flavour: Flavour, *, device: torch.device, dtype: torch.dtype, decoder: bool
) -> None:
    """Write all else that a run reads; the decoder (Stage B, VQGAN) if asked for."""
    from engine.models.previewer import Previewer
    from engine.tiny.tokenizer import write_tokenizer

    english = (SOURCE / ENGLISH_NAME).read_text(encoding="utf-8")
    vocab_size = write_tokenizer(root / "tokenizer", english, max_merges=NUM_MERGES)
    _write_text_encoder(root / "text_encoder", vocab_size, device, dtype)
    _write_json(root / "scheduler" / "scheduler_config.json", SCHEDULER)
    _write_json(root / "model_index.json", MODEL_INDEX)
    for name, network in (
        ("effnet_encoder", EfficientNetEncoder),
        ("previewer", Previewer),
    ):
        built = build_random(network, device=device, dtype=torch.float32)
        _save(root / f"{name}.safetensors", built.state_dict())
    if decoder:
        _write_decoder(root, flavour, device, dtype)


def _write_text_encoder(
    folder: Path, vocab_size: int, device: torch.device, dtype: torch.dtype
) -> None:
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    values = TEXT_ENCODER | {"bos_token_id": vocab_size - 2, "eos_token_id": vocab_size - 1}
    _write_json(folder / "config.json", values)
    network = build_random(
        lambda: CLIPTextModelWithProjection(CLIPTextConfig(**values)), device=device, dtype=dtype
    )
    state = {k: v for k, v in network.state_dict().items() if not k.endswith("position_ids")}
    _save(folder / _weights_name("model", dtype), state)


def _write_decoder(root: Path, flavour: Flavour, device: torch.device, dtype: torch.dtype) -> None:
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet

    from engine.models.decoder import paella_class

    parts: tuple[tuple[str, type[Any], Mapping[str, Any], torch.dtype], ...] = (
        (DECODER_FOLDERS[flavour], StableCascadeUNet, DECODERS[flavour], dtype),
        ("vqgan", paella_class(), VQGAN, torch.float32),
    )
    for name, network_class, config, own_dtype in parts:
        arguments = {key: value for key, value in config.items() if not key.startswith("_")}
        network = build_random(
            lambda cls=network_class, given=arguments: cls(**given), device=device, dtype=own_dtype
        )
        _write_json(root / name / "config.json", config)
        file = _weights_name("diffusion_pytorch_model", own_dtype)
        _save(root / name / file, network.state_dict())


def _weights_name(stem: str, dtype: torch.dtype) -> str:
    return f"{stem}{'.bf16' if dtype is torch.bfloat16 else ''}.safetensors"


def _save(path: Path, state: Mapping[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: tensor.cpu().contiguous() for key, tensor in state.items()}, path, _HEADER)


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values, indent=2) + "\n")


def main() -> int:
    """Write what is asked for; a line a part."""
    parser = argparse.ArgumentParser(
        prog="python -m engine.fullsize",
        description="Write the published folders at full size, with random weights.",
    )
    parser.add_argument("destination", type=Path, metavar="DEST", help="the folder to make")
    parser.add_argument("--flavour", choices=tuple(PRIORS), default="stage-c")
    parser.add_argument(
        "--fp32", action="store_true", help="write fp32 files instead of the bf16 ones"
    )
    parser.add_argument("--single-file", action="store_true", help="only the prior, stage_c*")
    parser.add_argument("--decoder", action="store_true", help="Stage B and the VQGAN too")
    parser.add_argument("--device", default="cpu", help="where weights are drawn (default: cpu)")
    options = parser.parse_args()
    if options.destination.exists() and any(options.destination.iterdir()):
        print(f"error: {options.destination} is not empty: name a new folder", file=sys.stderr)
        return 2
    device = torch.device(options.device)
    dtype = torch.float32 if options.fp32 else torch.bfloat16
    flavour: Flavour = options.flavour
    written = write_prior(
        options.destination,
        flavour,
        device=device,
        dtype=dtype,
        single_file=options.single_file,
    )
    print(f"prior: {written}", flush=True)
    if not options.single_file:
        write_rest(
            options.destination, flavour, device=device, dtype=dtype, decoder=options.decoder
        )
        print(f"all else a run reads: {options.destination}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
