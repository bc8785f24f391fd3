"""The trained weights in the formats that other tools load, when a run ends."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from torch import nn

from engine.adapters.adapter import Adapter, with_dora_norm
from engine.adapters.export import save_comfyui, save_full, save_kohya, save_peft
from engine.adapters.lora import attached_adapter, base_weights
from engine.training.model import TrainedModel
from engine.training.session import Session

COMFYUI_NAME, KOHYA_NAME = "lora-comfyui.safetensors", "lora-kohya.safetensors"


def export(session: Session, model: TrainedModel, step: int, base_hash: str) -> None:
    """Write ``export/`` from the weights that validation shows: the averages when EMA is on."""
    if not session.is_main:
        return
    folder = session.run.export
    folder.mkdir(exist_ok=True)
    with model.for_validation() as prior:
        if model.lora is None:
            _write(session, "hub", folder / "prior", step, lambda path: save_full(path, prior))
            return
        adapter = attached_adapter(prior, model.lora)
        metadata = {"step": str(step), "base_model_hash": base_hash}
        writers = {
            "peft": (
                folder / "peft",
                lambda path: save_peft(path, adapter, model.lora, metadata=metadata),
            ),
            "comfyui": (
                folder / COMFYUI_NAME,
                lambda path: save_comfyui(path, _for_comfyui(adapter, prior), metadata=metadata),
            ),
            "kohya": (
                folder / KOHYA_NAME,
                lambda path: save_kohya(path, adapter, metadata=metadata),
            ),
        }
        for name in session.config.export_formats:
            path, write = writers[name]
            _write(session, name, path, step, write)


def _for_comfyui(adapter: Adapter, prior: nn.Module) -> Adapter:
    if adapter.kind != "dora":
        return adapter
    return with_dora_norm(adapter, "base", base_weights(prior, adapter.modules))


def _write(
    session: Session, name: str, path: Path, step: int, write: Callable[[Path], None]
) -> None:
    """Write aside and rename; an earlier export is only replaced by a whole one."""
    aside = path.with_name(f".aside-{path.name}")
    _remove(aside)
    write(aside)
    _remove(path)
    aside.rename(path)
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    session.reporter.emit(
        "export",
        step=step,
        format=name,
        path=path.relative_to(session.run.root).as_posix(),
        bytes=sum(file.stat().st_size for file in files),
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
