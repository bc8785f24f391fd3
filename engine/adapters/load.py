"""Adapter files of every naming, read back: PEFT folders, ComfyUI, kohya, OneTrainer, LyCORIS."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from torch import nn

from engine.adapters.adapter import PREFIX, Adapter, AdapterError, product, rank_of
from engine.adapters.export import DORA_NORM, PEFT_CONFIG, PEFT_WEIGHTS
from engine.adapters.names import from_flat
from engine.adapters.targets import linear_layers, matches
from engine.models.weights import read_tensors

# Options of peft under which an adapter is more than a scaled product and a magnitude.
_CHANGES_THE_PRODUCT = ("lora_bias", "use_qalora", "modules_to_save", "fan_in_fan_out")

# OneTrainer's newer files: diffusers' module paths, alpha folded into the weights.
_ONETRAINER_PREFIX = "prior."


def load_adapter(path: Path, prior: nn.Module) -> Adapter:
    """Read an adapter for this prior (which may be on the meta device): a PEFT folder, or a file.

    Raises:
        AdapterError, WeightsError: none of the known formats, damaged, or for other layers.
    """
    layers = linear_layers(prior)
    if path.is_dir():
        adapter = _load_peft(path)
    else:
        tensors = read_tensors([path])
        if all(key.startswith(PREFIX) for key in tensors):
            raise AdapterError(
                f"{path} is half of a PEFT adapter: give the folder, with its config"
            )
        with safe_open(path, "pt") as file:
            is_base = (file.metadata() or {}).get(DORA_NORM) == "base"
        if all(key.startswith(_ONETRAINER_PREFIX) for key in tensors):
            renamed = {
                PREFIX + key.removeprefix(_ONETRAINER_PREFIX): t for key, t in tensors.items()
            }
            adapter = Adapter.uniform(renamed, 1.0)
        else:
            adapter = from_flat(tensors, layers, "base" if is_base else "merged")
    _check_layers(adapter, layers, path)
    return adapter


def _load_peft(folder: Path) -> Adapter:
    state = read_tensors([folder / PEFT_WEIGHTS])
    path = folder / PEFT_CONFIG
    try:
        config = json.loads(path.read_text())
        if config.get("peft_type") != "LORA":
            raise AdapterError(f"{path}: peft_type is {config.get('peft_type')}, only LORA is read")
        for option in _CHANGES_THE_PRODUCT:
            if config.get(option):
                raise AdapterError(f"{path}: {option} is {config[option]}, which is not supported")
        bare = Adapter(state, {})
        alphas = {
            module: _peft_alpha(config, module, rank_of(parts) or 1)
            for module, parts in bare.modules.items()
        }
    except (OSError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise AdapterError(f"{path} cannot be read: {error!r}") from error
    adapter = Adapter(state, alphas)
    if bool(config.get("use_dora")) != (adapter.kind == "dora"):
        raise AdapterError(f"{path}: use_dora is {config.get('use_dora')}, the weights differ")
    return adapter


def _peft_alpha(config: Mapping, module: str, rank: int) -> float:
    """The alpha which, over the rank of the tensors, is the scale that peft computes."""
    alpha = _of_pattern(config.get("alpha_pattern") or {}, module, config["lora_alpha"])
    said = _of_pattern(config.get("rank_pattern") or {}, module, config["r"])
    if said != rank:
        raise AdapterError(f"{PEFT_CONFIG} says that {module} has rank {said}, its weights {rank}")
    return float(alpha * math.sqrt(rank)) if config.get("use_rslora") else float(alpha)


def _of_pattern(patterns: Mapping[str, float], module: str, otherwise: float) -> float:
    return next((value for key, value in patterns.items() if matches(key, module)), otherwise)


def _check_layers(adapter: Adapter, layers: Mapping[str, tuple[int, int]], path: Path) -> None:
    for module, parts in adapter.modules.items():
        if module not in layers:
            raise AdapterError(f"{path}: {module} is no linear layer of this prior")
        on_meta = {name: tensor.to("meta") for name, tensor in parts.items()}
        shape = tuple(product(on_meta, 1.0).shape)
        if shape != layers[module]:
            raise AdapterError(
                f"{path} adapts {module} as {list(shape)}, but this prior's is "
                f"{list(layers[module])}: it was trained on another prior"
            )
