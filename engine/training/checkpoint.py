"""Atomic checkpoints: written aside, hashed, fsynced, renamed; a manifest says what is whole.

    checkpoints/step-000000100/
        trained.safetensors     the trained parameters in training precision, by name
        optimizer.safetensors   <parameter name>/<moment>
        ema.safetensors         the averages, when EMA is on
        state.json              counters and what else is not a tensor
        manifest.json           last: schema, step, size and hash of every file

A checkpoint without a manifest, or whose files differ from it, does not count.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.run.files import fsync_directory

SCHEMA = 1
_PREFIX = "step-"
_FREE_FACTOR = 1.2


class CheckpointError(RuntimeError):
    """A checkpoint could not be written or read; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint that is safely on disk."""

    step: int
    path: Path
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """The contents of a verified checkpoint."""

    step: int
    path: Path
    tensors: Mapping[str, dict[str, Tensor]]
    state: dict


def save_checkpoint(
    folder: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping
) -> Saved:
    """Write checkpoint ``step`` under ``folder``; it appears whole or not at all.

    ``tensors`` maps a file's stem to named tensors. An existing checkpoint of this step stays as
    it is: it was made from the same run at the same position.

    Raises:
        CheckpointError: too little space, or the write failed; what was there before is intact.
    """
    final = folder / f"{_PREFIX}{step:09d}"
    if (final / "manifest.json").exists():
        return Saved(step, final, _size_of(final))
    folder.mkdir(parents=True, exist_ok=True)
    _check_space(folder, tensors)
    aside = folder / f".{final.name}.tmp-{uuid.uuid4().hex[:8]}"
    try:
        aside.mkdir()
        for stem, named in tensors.items():
            contiguous = {name: tensor.contiguous() for name, tensor in named.items()}
            save_file(contiguous, aside / f"{stem}.safetensors")
        _write_json(aside / "state.json", dict(state))
        files = {path.name: _describe(path) for path in sorted(aside.iterdir())}
        for name in files:
            _fsync(aside / name)
        _write_json(aside / "manifest.json", {"schema": SCHEMA, "step": step, "files": files})
        _fsync(aside / "manifest.json")
        fsync_directory(aside)
        if final.exists():  # left over without a manifest: never a checkpoint
            shutil.rmtree(final)
        aside.rename(final)
        fsync_directory(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise CheckpointError(
            f"checkpoint of step {step} could not be written to {folder}: {error}"
        ) from error
    return Saved(step, final, _size_of(final))


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints that have a manifest, oldest first (hashes not yet verified)."""
    found = folder.glob(f"{_PREFIX}*/manifest.json") if folder.exists() else ()
    return sorted(path.parent for path in found)


def load_checkpoint(path: Path) -> Loaded:
    """Read one checkpoint, every file verified against the manifest.

    Raises:
        CheckpointError: a file is missing, has another size or hash, or does not parse.
    """
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        if manifest["schema"] != SCHEMA:
            raise CheckpointError(
                f"{path}: written by another version (schema {manifest['schema']})"
            )
        for name, expected in manifest["files"].items():
            if _describe(path / name) != expected:
                raise CheckpointError(f"{path / name} is damaged: its size or hash has changed")
        tensors = {
            Path(name).stem: load_file(path / name)
            for name in manifest["files"]
            if name.endswith(".safetensors")
        }
        state = json.loads((path / "state.json").read_text())
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    return Loaded(manifest["step"], path, tensors, state)


def choose_checkpoint(folder: Path, wanted: str) -> tuple[Loaded | None, list[str]]:
    """Return the checkpoint to resume from, and why newer ones were passed over.

    ``wanted`` is ``latest`` (the newest that verifies; None when there is none), ``none``, or a
    step, whose checkpoint must be there and whole.

    Raises:
        CheckpointError: the step asked for has no checkpoint, or a damaged one.
    """
    if wanted == "none":
        return None, []
    available = list_checkpoints(folder)
    if wanted != "latest":
        path = folder / f"{_PREFIX}{int(wanted):09d}"
        if path not in available:
            steps = ", ".join(str(int(p.name.removeprefix(_PREFIX))) for p in available) or "none"
            raise CheckpointError(
                f"resume_from_checkpoint asks for step {wanted}, which {folder} does not have "
                f"(there: {steps})"
            )
        return load_checkpoint(path), []
    passed_over = []
    for path in reversed(available):
        try:
            return load_checkpoint(path), passed_over
        except CheckpointError as error:
            passed_over.append(str(error))
    return None, passed_over


def sweep(folder: Path) -> None:
    """Remove what an interrupted save or deletion left behind."""
    for leftover in [*folder.glob(".*.tmp-*"), *folder.glob(".trash-*")]:
        shutil.rmtree(leftover, ignore_errors=True)


def retain(folder: Path, limit: int | None) -> None:
    """Delete the oldest checkpoints beyond ``limit`` (``None`` keeps all); call after a save."""
    if limit is None:
        return
    for path in list_checkpoints(folder)[: -max(1, limit)]:
        trash = folder / f".trash-{path.name}"  # renamed first: half-deleted never looks valid
        path.rename(trash)
        shutil.rmtree(trash, ignore_errors=True)


def _check_space(folder: Path, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    needed = sum(t.numel() * t.element_size() for named in tensors.values() for t in named.values())
    free = shutil.disk_usage(folder).free
    if free < needed * _FREE_FACTOR:
        raise CheckpointError(
            f"the disk of {folder} has {free / 1e9:.2f} GB free and a checkpoint needs "
            f"{needed / 1e9:.2f} GB; free some space, or lower checkpoints_total_limit"
        )


def _describe(path: Path) -> dict[str, object]:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        for block in _blocks(file):
            digest.update(block)
    return {"bytes": path.stat().st_size, "blake2b": digest.hexdigest()}


def _blocks(file) -> Iterator[bytes]:
    while block := file.read(1 << 22):
        yield block


def _write_json(path: Path, value: Mapping) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
