"""A whole prior on disk: a hub folder, or a single file in the original's naming."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from engine.fullsize.layout import PRIORS
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.models.weights import (
    WeightsError,
    is_original,
    read_tensors,
    shard_paths,
    to_diffusers,
    to_original,
)

_STEM = "diffusion_pytorch_model"
FORMATS = ("hub", "single-file")


@dataclass(frozen=True, slots=True)
class FullModel:
    """A prior's tensors under diffusers' keys, mapped from their file, and its shape."""

    tensors: Mapping[str, Tensor]
    config: PriorConfig
    is_single_file: bool


def is_full_model(path: Path) -> bool:
    """Whether a path is a whole prior: a folder with its config, or a file with its last layer.

    Raises:
        WeightsError: it is a file, and not of safetensors.
    """
    if path.is_dir():
        return (path / "config.json").is_file()
    try:
        with safe_open(path, framework="pt") as file:
            return "clf.1.weight" in file.keys()  # noqa: SIM118 - a safetensors file is no dict
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as safetensors: {error}") from error


def read_full_model(path: Path, config: Path | None = None) -> FullModel:
    """Map a prior's file or folder; ``config`` is its config.json where the file cannot tell.

    Raises:
        WeightsError, PriorConfigError: it is no prior, or of a shape that nothing tells.
    """
    if path.is_dir():
        files, config = shard_paths(path, _STEM), config or path / "config.json"
    else:
        files = (path,)
    tensors = read_tensors(files)
    single = is_original(tensors)
    renamed = to_diffusers(tensors) if single else tensors
    shape = PriorConfig.from_file(config) if config else published_config(renamed, path)
    _check(renamed, shape, path)
    return FullModel(renamed, shape, single)


def write_full_model(path: Path, model: FullModel, fmt: str) -> None:
    """Write as ``hub`` (a folder) or ``single-file``, in the types that the tensors have.

    Raises:
        WeightsError: ``path`` exists already, or there is no such format.
    """
    if path.exists():
        raise WeightsError(f"{path} exists already: choose another name")
    if fmt not in FORMATS:
        raise WeightsError(f"{fmt} is no format of a whole prior: {' and '.join(FORMATS)} are")
    if fmt == "single-file":
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(_contiguous(to_original(model.tensors)), path, {"format": "pt"})
        return
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(model.config.to_dict(), indent=2) + "\n")
    in_bf16 = all(tensor.dtype == torch.bfloat16 for tensor in model.tensors.values())
    name = f"{_STEM}{'.bf16' if in_bf16 else ''}.safetensors"
    save_file(_contiguous(model.tensors), path / name, {"format": "pt"})


def published_config(tensors: Mapping[str, Tensor], path: Path) -> PriorConfig:
    """The published shape that has exactly these keys and shapes.

    Raises:
        WeightsError: none has.
    """
    for config in PRIORS.values():
        if _shapes(tensors) == _expected(config):
            return config
    raise WeightsError(
        f"{path} has neither the shape of stage-c nor of stage-c-lite: give its config.json "
        "with --prior"
    )


def _check(tensors: Mapping[str, Tensor], config: PriorConfig, path: Path) -> None:
    found, expected = _shapes(tensors), _expected(config)
    wrong = sorted(k for k in found.keys() | expected.keys() if found.get(k) != expected.get(k))
    if wrong:
        raise WeightsError(
            f"{path} does not fit its config: {len(wrong)} tensors are missing, unexpected or of "
            f"another shape, such as {wrong[0]}"
        )


def _expected(config: PriorConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return _shapes(StableCascadePrior(config).state_dict())


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in tensors.items()}


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.contiguous() for key, tensor in tensors.items()}
