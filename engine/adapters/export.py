"""Adapter and model files that other tools load as they are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from engine.adapters.adapter import Adapter, AdapterError, rank_of
from engine.adapters.lora import LoraSettings
from engine.adapters.names import COMFYUI_PREFIX, KOHYA_PREFIX, to_flat
from engine.adapters.targets import target_pattern
from engine.models.prior import StableCascadePrior
from engine.models.weights import to_original

PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"
DORA_NORM = "dora_norm"
"""Metadata of a file whose DoRA magnitudes are over the base weight's norm."""


def save_peft(
    folder: Path,
    adapter: Adapter,
    settings: LoraSettings | None = None,
    *,
    metadata: Mapping[str, str],
) -> None:
    """Write the folder that ``PeftModel.from_pretrained(StableCascadeUNet, folder)`` loads.

    Without ``settings`` the config is read off the adapter itself.

    Raises:
        AdapterError: LoKr or LoHa, or DoRA over the base's norm.
    """
    if adapter.kind not in ("lora", "dora"):
        raise AdapterError(f"peft keeps LoRA and DoRA, not {adapter.kind}: write comfyui or kohya")
    if adapter.dora_norm != "merged":
        raise AdapterError("peft divides DoRA's magnitudes by the merged norm: convert them first")
    shape = _config_of(adapter) if settings is None else _config_as_trained(settings)
    folder.mkdir(parents=True)
    save_file(_contiguous(adapter.state), folder / PEFT_WEIGHTS, _described(adapter, metadata))
    config = {
        "peft_type": "LORA",
        "auto_mapping": {
            "base_model_class": "StableCascadeUNet",
            "parent_library": "diffusers.models.unets.unet_stable_cascade",
        },
        "base_model_name_or_path": None,
        **shape,
        "use_dora": adapter.kind == "dora",
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "task_type": None,
    }
    (folder / PEFT_CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def _config_as_trained(settings: LoraSettings) -> dict:
    return {
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "target_modules": target_pattern(settings.target, settings.patterns),
        "use_rslora": settings.use_rslora,
        "rank_pattern": dict(settings.rank_pattern),
        "alpha_pattern": settings.alpha_pattern,
    }


def _config_of(adapter: Adapter) -> dict:
    """The most common rank and alpha, and each module that differs by its name."""
    ranks = {module: rank_of(parts) or 1 for module, parts in adapter.modules.items()}
    rank = Counter(ranks.values()).most_common(1)[0][0]
    alpha = Counter(adapter.alphas.values()).most_common(1)[0][0]
    return {
        "r": rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "target_modules": sorted(ranks),
        "use_rslora": False,
        "rank_pattern": {_escaped(m): own for m, own in ranks.items() if own != rank},
        "alpha_pattern": {_escaped(m): own for m, own in adapter.alphas.items() if own != alpha},
    }


def _escaped(module: str) -> str:
    return module.replace(".", r"\.")


def save_comfyui(path: Path, adapter: Adapter, *, metadata: Mapping[str, str]) -> None:
    """Write the single file for ComfyUI's ``models/loras``, which OneTrainer reads too.

    Raises:
        AdapterError: DoRA's magnitudes are not over the base's norm, as ComfyUI has them.
    """
    if adapter.kind == "dora" and adapter.dora_norm != "base":
        raise AdapterError("ComfyUI divides DoRA's magnitudes by the base's norm: convert first")
    tensors = _contiguous(to_flat(adapter, COMFYUI_PREFIX))
    save_file(tensors, path, _described(adapter, metadata))


def save_kohya(path: Path, adapter: Adapter, *, metadata: Mapping[str, str]) -> None:
    """Write the single file of kohya's scripts: ``lora_unet_`` keys and ``ss_`` metadata.

    Raises:
        AdapterError: DoRA's magnitudes are over the base's norm, which is only ComfyUI's.
    """
    if adapter.dora_norm != "merged":
        raise AdapterError("kohya's DoRA magnitudes are over the merged norm: convert them first")
    described = _described(adapter, metadata)
    own = {
        "ss_network_module": "networks.lora" if adapter.kind == "lora" else "lycoris.kohya",
        "ss_network_dim": described["rank"],
        "ss_network_alpha": described["alpha"],
        "ss_base_model_version": "stable_cascade",
        "ss_training_comment": "Stage C",
    }
    if adapter.kind != "lora":
        algorithm = "lora" if adapter.kind == "dora" else adapter.kind
        arguments = {"algo": algorithm, "dora_wd": adapter.kind == "dora"}
        own["ss_network_args"] = json.dumps(arguments)
    save_file(_contiguous(to_flat(adapter, KOHYA_PREFIX)), path, {**described, **own})


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


def _described(adapter: Adapter, metadata: Mapping[str, str]) -> dict[str, str]:
    """The file's metadata; where modules differ, rank and alpha are the most common ones."""
    ranks = Counter(rank for p in adapter.modules.values() if (rank := rank_of(p)) is not None)
    rank = ranks.most_common(1)[0][0] if ranks else 1
    alpha = Counter(adapter.alphas.values()).most_common(1)[0][0]
    norm = {DORA_NORM: "base"} if adapter.kind == "dora" and adapter.dora_norm == "base" else {}
    return {"format": "pt", "rank": str(rank), "alpha": f"{alpha:g}", **norm, **metadata}


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.detach().cpu().contiguous() for key, tensor in tensors.items()}
