"""The trained weights in the formats that other tools load, when a run ends."""

from __future__ import annotations

import shutil
from pathlib import Path

from torch import nn

from engine.adapters.adapter import Adapter, with_dora_norm
from engine.adapters.export import (
    save_comfyui,
    save_full,
    save_kohya,
    save_peft,
    save_single_file,
)
from engine.adapters.lora import LoraSettings, attached_adapter, base_weights
from engine.config.fields import TrainingConfig
from engine.models.prior import StableCascadePrior
from engine.training.model import ModelError, TrainedModel
from engine.training.session import Session

NAMES = {
    "peft": "peft",
    "comfyui": "lora-comfyui.safetensors",
    "kohya": "lora-kohya.safetensors",
    "hub": "prior",
    "single-file": "stage_c.safetensors",
}
"""Where in ``export/`` each format lies."""
FULL_FORMATS = ("hub", "single-file")


def formats_of(config: TrainingConfig) -> tuple[str, ...]:
    """The formats that a run exports."""
    return ("hub",) if config.model_type == "full" else config.export_formats


def export(session: Session, model: TrainedModel, step: int, base_hash: str) -> None:
    """Write ``export/`` from the weights that validation shows: the averages when EMA is on."""
    if not session.is_main:
        return
    formats = formats_of(session.config)
    with model.for_validation() as prior:
        for name in formats:
            path = write_export(prior, model.lora, session.run.export, name, step, base_hash)
            session.reporter.emit(
                "export",
                step=step,
                format=name,
                path=path.relative_to(session.run.root).as_posix(),
                bytes=_size_of(path),
            )


def write_export(
    prior: StableCascadePrior,
    lora: LoraSettings | None,
    folder: Path,
    name: str,
    step: int,
    base_hash: str,
) -> Path:
    """Write one of :data:`NAMES` below ``folder`` and return its path.

    Written aside and renamed: an earlier export is only replaced by a whole one.

    Raises:
        AdapterError: the format cannot hold such an adapter.
        ModelError: it is one of an adapter, and there is none.
    """
    path = folder / NAMES[name]
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".aside-{path.name}")
    _remove(aside)
    if name == "hub":
        save_full(aside, prior)
    elif name == "single-file":
        save_single_file(aside, prior)
    elif lora is None:
        raise ModelError(f"{name} holds an adapter; this run trained the whole prior: choose hub")
    else:
        adapter = attached_adapter(prior, lora)
        metadata = {"step": str(step), "base_model_hash": base_hash}
        if name == "peft":
            save_peft(aside, adapter, lora, metadata=metadata)
        elif name == "comfyui":
            save_comfyui(aside, _for_comfyui(adapter, prior), metadata=metadata)
        else:
            save_kohya(aside, adapter, metadata=metadata)
    _remove(path)
    aside.rename(path)
    return path


def _for_comfyui(adapter: Adapter, prior: nn.Module) -> Adapter:
    if adapter.kind != "dora":
        return adapter
    return with_dora_norm(adapter, "base", base_weights(prior, adapter.modules))


def _size_of(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
