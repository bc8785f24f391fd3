"""Rules about this machine's folders: data that is there, space and permission to write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from engine.config.backends import backend_key
from engine.config.environment import (
    free_bytes,
    holds_images,
    network_file_system,
    why_not_writable,
)
from engine.config.problems import Problem, error, warning
from engine.config.rules import Context

_LORA_CHECKPOINT_BYTES = {"stage-c": 300_000_000, "stage-c-lite": 120_000_000}
_FULL_CHECKPOINT_BYTES = {"stage-c": 43_000_000_000, "stage-c-lite": 12_400_000_000}


def data_folders(context: Context) -> Iterator[Problem]:
    """Each instance_data_dir is a readable folder with pictures in it."""
    for backend in context.image_backends:
        key = backend_key(backend.id, "instance_data_dir")
        folder = Path(backend.instance_data_dir).expanduser()
        if not folder.exists():
            yield error(key, f"the folder {folder} does not exist", "give the photographs' folder")
        elif not folder.is_dir():
            yield error(key, f"{folder} is not a folder", "give the folder that holds it")
        elif not os.access(folder, os.R_OK | os.X_OK):
            yield error(key, f"no permission to read {folder}", f"chmod -R u+rX {folder}")
        elif not holds_images(folder):
            yield error(
                key,
                f"{folder} holds no pictures (.jpg, .png, .webp, .bmp, .tiff)",
                "give the photographs' folder",
            )


def writable_folders(context: Context) -> Iterator[Problem]:
    """The run's folder and the caches can be written."""
    config = context.config
    wanted = {"output_dir": config.output_dir, "cache_dir": config.cache_dir}
    for backend in context.backends:
        wanted[backend_key(backend.id, "cache_dir")] = backend.cache_dir
    for key, value in wanted.items():
        if value and (why := why_not_writable(Path(value))):
            yield error(key, f"{value} cannot be written: {why}", "choose another folder")


def network_caches(context: Context) -> Iterator[Problem]:
    """A text cache on a network mount is read at every step."""
    for backend in context.text_backends:
        kind = network_file_system(Path(backend.cache_dir)) if backend.cache_dir else None
        if kind is not None:
            yield warning(
                backend_key(backend.id, "cache_dir"),
                f"{backend.cache_dir} lies on a network mount ({kind}): caching and reading may "
                "take many times longer",
                "choose a local disk",
            )


def free_space(context: Context) -> Iterator[Problem]:
    """At least two checkpoints fit on the disk of output_dir."""
    config = context.config
    table = _FULL_CHECKPOINT_BYTES if config.model_type == "full" else _LORA_CHECKPOINT_BYTES
    size = table.get(config.model_flavour)
    if size is None or why_not_writable(Path(config.output_dir)):
        return
    free = free_bytes(Path(config.output_dir))
    if free < 2 * size:
        yield warning(
            "output_dir",
            f"{free / 1e9:.1f} GB are free there, and one checkpoint takes about "
            f"{size / 1e9:.1f} GB",
            "free some space, or set checkpoints_total_limit",
        )


def check_machine(context: Context) -> tuple[Problem, ...]:
    """Every problem of this machine's folders."""
    rules = (data_folders, writable_folders, network_caches, free_space)
    return tuple(problem for rule in rules for problem in rule(context))
