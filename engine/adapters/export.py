"""Adapter and model files that other tools load as they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from engine.adapters.lora import PREFIX, TARGETS, AdapterError, LoraSettings
from engine.adapters.names import from_comfyui, to_comfyui
from engine.models.prior import StableCascadePrior
from engine.models.weights import read_tensors, to_original

PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
# Options of peft under which an adapter is more than (alpha / r) B A with one alpha and one r.
_CHANGES_THE_PRODUCT = ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "lora_bias")


@dataclass(frozen=True, slots=True)
class LoadedAdapter:
    """An adapter file in PEFT's keys, with its alpha / rank."""

    state: Mapping[str, Tensor]
    scale: float


def save_peft(
    folder: Path,
    state: Mapping[str, Tensor],
    settings: LoraSettings,
    *,
    metadata: Mapping[str, str],
) -> None:
    """Write the folder that ``PeftModel.from_pretrained(StableCascadeUNet, folder)`` loads."""
    folder.mkdir(parents=True)
    save_file(_contiguous(state), folder / PEFT_WEIGHTS, _described(settings, metadata))
    config = {
        "peft_type": "LORA",
        "auto_mapping": {
            "base_model_class": "StableCascadeUNet",
            "parent_library": "diffusers.models.unets.unet_stable_cascade",
        },
        "base_model_name_or_path": None,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": list(TARGETS[settings.target]),
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "task_type": None,
    }
    (folder / PEFT_CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def save_comfyui(
    path: Path,
    state: Mapping[str, Tensor],
    settings: LoraSettings,
    *,
    metadata: Mapping[str, str],
) -> None:
    """Write the single file for ComfyUI's ``models/loras``."""
    tensors = _contiguous(to_comfyui(state, settings.alpha))
    save_file(tensors, path, _described(settings, metadata))


def save_full(folder: Path, prior: StableCascadePrior) -> None:
    """Write the whole prior as a hub folder: config.json and diffusers' weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(prior.config.to_dict(), indent=2) + "\n")
    save_file(
        _contiguous(prior.state_dict()),
        folder / "diffusion_pytorch_model.safetensors",
        {"format": "pt"},
    )


def save_single_file(path: Path, prior: StableCascadePrior) -> None:
    """Write the whole prior in the original's naming, as ``stage_c*.safetensors`` are."""
    save_file(_contiguous(to_original(prior.state_dict())), path, {"format": "pt"})


def load_adapter(path: Path, prior: nn.Module) -> LoadedAdapter:
    """Read a PEFT folder, or a ComfyUI file, for this prior.

    Raises:
        AdapterError, WeightsError: neither of the two, or damaged.
    """
    if path.is_dir():
        return LoadedAdapter(read_tensors([path / PEFT_WEIGHTS]), _peft_scale(path / PEFT_CONFIG))
    tensors = read_tensors([path])
    if all(key.startswith(PREFIX) for key in tensors):
        raise AdapterError(f"{path} is half of a PEFT adapter: give the folder, with its config")
    modules = tuple(name for name, m in prior.named_modules() if isinstance(m, nn.Linear))
    modules += tuple(name for name, m in prior.named_modules() if hasattr(m, "lora_A"))
    return LoadedAdapter(*from_comfyui(tensors, modules))


def _peft_scale(path: Path) -> float:
    try:
        config = json.loads(path.read_text())
        scale = config["lora_alpha"] / config["r"]
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise AdapterError(f"{path} cannot be read: {error!r}") from error
    if config.get("peft_type") != "LORA":
        raise AdapterError(f"{path}: peft_type is {config.get('peft_type')}, only LORA is read")
    for option in _CHANGES_THE_PRODUCT:
        if config.get(option):
            raise AdapterError(f"{path}: {option} is {config[option]}, which is not supported")
    return scale


def _described(settings: LoraSettings, metadata: Mapping[str, str]) -> dict[str, str]:
    alpha = f"{settings.alpha:g}"
    return {"format": "pt", "rank": str(settings.rank), "alpha": alpha, **metadata}


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
