"""A small project on disk whose paths are relative, so that screens show the same anywhere."""

from __future__ import annotations

import json
import struct
from pathlib import Path

from engine.config.environment import Environment, Gpu

ENVIRONMENT = Environment(
    (Gpu("NVIDIA H100", 85_000_000_000, 84_000_000_000),),
    frozenset({"torch", "torchvision", "torchao", "wandb", "tensorboard"}),
)
_WEIGHTS = (
    "prior/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "effnet_encoder.safetensors",
    "previewer.safetensors",
)
CONFIG = """\
# Our house style, first try.
model_type = "lora"
pretrained_model_name_or_path = "weights"
pretrained_vae_model_name_or_path = "weights"
output_dir = "run"

learning_rate = 1e-4  # Anna: 2e-4 burnt it
max_train_steps = 400
lora_rank = 16
mixed_precision = "no"
validation_step_interval = 100

[[data_backend]]
id = "barns"
instance_data_dir = "photographs"  # 12 of them
resolution = "1024x1024"

[[data_backend]]
id = "text"
dataset_type = "text_embeds"
cache_dir = "cache/text"
default = true

[validation_prompts]
barn = "a red barn in the snow"
"""
WRONG = (
    CONFIG.replace('mixed_precision = "no"', 'mixed_precision = "bf16"')
    .replace("lora_rank = 16", 'lora_rank = "16"\nlearnig_rate_end = 0')
    .replace('"photographs"', '"photos"')
)


def write_project(root: Path, config: str = CONFIG) -> Path:
    """Write config, weights and a photograph below ``root``; the path is relative to it."""
    for name in _WEIGHTS:
        _write_safetensors(root / "weights" / name)
    for folder in ("prior", "text_encoder"):
        (root / "weights" / folder / "config.json").write_text("{}")
    (root / "weights" / "tokenizer").mkdir(exist_ok=True)
    (root / "weights" / "tokenizer" / "tokenizer.json").write_text("{}")
    (root / "photographs").mkdir(exist_ok=True)
    (root / "photographs" / "a red barn.jpg").write_bytes(b"not looked into")
    (root / "config.toml").write_text(config)
    return Path("config.toml")


def write_json_project(root: Path) -> Path:
    """The same with a JSON config that names a file of backends."""
    write_project(root)
    config = {
        "data_backend_config": "backends.json",
        "pretrained_model_name_or_path": "weights",
        "pretrained_vae_model_name_or_path": "weights",
        "output_dir": "run",
        "max_train_steps": 400,
        "validation_prompt": "a red barn",
    }
    backends = [
        {"id": "barns", "instance_data_dir": "photographs", "crop": True},
        {"id": "text", "dataset_type": "text_embeds", "cache_dir": "cache", "default": True},
    ]
    (root / "config.json").write_text(json.dumps(config, indent=2))
    (root / "backends.json").write_text(json.dumps(backends, indent=2))
    return Path("config.json")


def _write_safetensors(path: Path, num_bytes: int = 4) -> None:
    entry = {"dtype": "U8", "shape": [num_bytes], "data_offsets": [0, num_bytes]}
    header = json.dumps({"w": entry}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(num_bytes))
