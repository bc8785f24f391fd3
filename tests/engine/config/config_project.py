"""A project on disk that has nothing wrong with it, and ways to make something wrong."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from engine.config.environment import Environment, Gpu
from engine.config.loading import Project, load_project
from engine.config.problems import Problem

EVERYTHING = frozenset({"torch", "torchvision", "torchao", "lycoris", "wandb", "tensorboard"})
H100 = Gpu("NVIDIA H100", 85_000_000_000, 84_000_000_000)
ONE_GPU = Environment((H100,), EVERYTHING)
_WEIGHTS = (
    "prior/diffusion_pytorch_model.safetensors",
    "prior_lite/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
    "effnet_encoder.safetensors",
    "previewer.safetensors",
    "decoder/diffusion_pytorch_model.safetensors",
    "decoder_lite/diffusion_pytorch_model.safetensors",
    "vqgan/diffusion_pytorch_model.safetensors",
)


def write_safetensors(path: Path, num_bytes: int = 4) -> None:
    """A whole safetensors file with one tensor."""
    entry = {"dtype": "U8", "shape": [num_bytes], "data_offsets": [0, num_bytes]}
    header = json.dumps({"w": entry}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(num_bytes))


def write_weights(folder: Path) -> Path:
    """A folder in the published layout that holds everything, small."""
    for name in _WEIGHTS:
        write_safetensors(folder / name)
        config = (folder / name).parent / "config.json"
        if config.parent != folder:
            config.write_text("{}")
    (folder / "tokenizer").mkdir(exist_ok=True)
    (folder / "tokenizer" / "tokenizer.json").write_text("{}")
    return folder


class ProjectFiles:
    """A config with its backends, weights and photographs, all in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config_path = root / "config.json"
        self.backends_path = root / "backends.json"
        self.images = root / "photographs"
        self.images.mkdir()
        (self.images / "a red barn.jpg").write_bytes(b"not looked into")
        self.weights = write_weights(root / "weights")
        name = str(self.weights)
        self.options: dict[str, Any] = {
            "data_backend_config": str(self.backends_path),
            "max_train_steps": 100,
            "output_dir": str(root / "run"),
            "pretrained_model_name_or_path": name,
            "pretrained_vae_model_name_or_path": name,
            "stable_cascade_decoder_model_name_or_path": name,
            "validation_prompt": "a red barn",
        }
        self.image_backend: dict[str, Any] = {
            "id": "primary",
            "dataset_type": "images",
            "instance_data_dir": str(self.images),
        }
        self.text_backend: dict[str, Any] = {
            "id": "text",
            "dataset_type": "text_embeds",
            "cache_dir": str(root / "cache"),
            "default": True,
        }
        self.backends: list[Any] = [self.image_backend, self.text_backend]
        self.environment = ONE_GPU

    def write(self) -> Path:
        """Write config and backends; returns the config's path."""
        self.config_path.write_text(json.dumps(self.options, indent=2))
        self.backends_path.write_text(json.dumps(self.backends, indent=2))
        return self.config_path

    def load(self, *overrides: str, **options: Any) -> Project:
        """Write with these options set, and load with these overrides."""
        self.options |= options
        return load_project(self.write(), overrides, environment=self.environment)

    def problems(self, **options: Any) -> tuple[Problem, ...]:
        return self.load(**options).problems

    def problem(self, key: str, **options: Any) -> Problem:
        """The only problem that there is, which is about `key`."""
        problems = self.problems(**options)
        assert [problem.key for problem in problems] == [key], problems
        return problems[0]

    def backend_problem(self, key: str, **values: Any) -> Problem:
        """The only problem, with these values set in the image backend."""
        self.image_backend |= values
        return self.problem(f"data_backend[primary].{key}")
