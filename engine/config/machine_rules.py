"""Rules about this machine's files and folders: data that is there, room and leave to write."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from engine.config.backends import ImageBackend, backend_key
from engine.config.context import Context
from engine.config.environment import (
    accelerate_config,
    find_images,
    free_bytes,
    likely_folder,
    network_file_system,
    why_not_writable,
)
from engine.config.fields import TrainingConfig
from engine.config.forecast import trained_parameters
from engine.config.optimizers import OPTIMIZERS
from engine.config.problems import Edit, Problem, error, hint, warning

_NOT_YET = ("DEEPSPEED", "FSDP", "MEGATRON_LM", "TP", "XLA", "TPU", "MULTI_XPU", "MULTI_NPU")


def data_folders(context: Context) -> Iterator[Problem]:
    """Each instance_data_dir is a readable folder with pictures in it."""
    for backend in context.image_backends:
        if backend.instance_data_dir:
            yield from _data_folder(backend)


def _no_folder(key: str, given: Path) -> Problem:
    """The folder is not there: it is misspelt, or an example's where there is another one."""
    message = f"the folder {given.expanduser().absolute()} does not exist"
    meant = _alike(given) or likely_folder(Path())
    if not meant:
        return error(key, message, "give the folder that holds the photographs")
    return error(key, message, f"did you mean {meant}?", Edit(key, meant))


def _alike(given: Path) -> str:
    """A folder beside the one given, of nearly its name; empty if there is none."""
    try:
        beside = sorted(path.name for path in given.expanduser().parent.iterdir() if path.is_dir())
    except OSError:
        return ""
    names = difflib.get_close_matches(given.name, beside, n=1)
    return str(given.parent / names[0]) if names and names[0].isprintable() else ""


def _data_folder(backend: ImageBackend) -> Iterator[Problem]:
    key = backend_key(backend.id, "instance_data_dir")
    fix = "give the folder that holds the photographs"
    try:
        folder = Path(backend.instance_data_dir).expanduser().absolute()
        if not folder.exists():
            yield _no_folder(key, Path(backend.instance_data_dir))
            return
        if not folder.is_dir():
            yield error(key, f"{folder} is a file, not a folder", fix)
            return
        if not os.access(folder, os.R_OK | os.X_OK):
            yield error(key, f"no permission to read {folder}", f"chmod -R u+rX {folder}")
            return
        images, is_all = find_images(folder)
    except (OSError, RuntimeError) as failure:  # ~ of a user who is not known
        yield error(key, f"{backend.instance_data_dir} cannot be read: {failure}", fix)
        return
    if not images and is_all:
        kinds = ".jpg, .png, .webp, .bmp, .tiff"
        yield error(key, f"{folder} holds no pictures ({kinds})", fix)
    if backend.caption_strategy == "textfile":
        yield from _caption_files(backend, images)


def _caption_files(backend: ImageBackend, images: list[Path]) -> Iterator[Problem]:
    without = [image for image in images if not image.with_suffix(".txt").is_file()]
    if not without:
        return
    key = backend_key(backend.id, "caption_strategy")
    message = f"{len(without)} of {len(images)} pictures have no .txt beside them"
    if len(without) == len(images):
        fix = "write the captions, or set it to filename or instanceprompt"
        yield error(key, f"{message}: there is nothing to train on", fix)
    else:
        fix = f"write them, as {without[0].with_suffix('.txt').name}"
        yield warning(key, f"{message}, and will be left out", fix)


def writable_folders(context: Context) -> Iterator[Problem]:
    """The run's folder and the caches can be written."""
    config = context.config
    wanted = {"output_dir": config.output_dir, "cache_dir": config.cache_dir}
    for backend in context.backends:
        wanted[backend_key(backend.id, "cache_dir")] = backend.cache_dir
    for key, value in wanted.items():
        if value and (why := why_not_writable(Path(value))):
            yield error(key, f"{value} cannot be written: {why}", "choose another folder")


def named_files(context: Context) -> Iterator[Problem]:
    """What the config names is there."""
    config = context.config
    if config.init_lora and not Path(config.init_lora).expanduser().exists():
        fix = "give a PEFT folder or a ComfyUI file, or remove it"
        yield error("init_lora", f"{config.init_lora} does not exist", fix)


def network_caches(context: Context) -> Iterator[Problem]:
    """A text cache on a network mount is read at every step."""
    for backend in context.text_backends:
        if not backend.cache_dir or why_not_writable(Path(backend.cache_dir)):
            continue
        kind = network_file_system(Path(backend.cache_dir))
        if kind is not None:
            yield warning(
                backend_key(backend.id, "cache_dir"),
                f"{backend.cache_dir} lies on a network mount ({kind}): caching and reading may "
                "take many times longer",
                "choose a local disk",
            )


def free_space(context: Context) -> Iterator[Problem]:
    """The checkpoints that are kept fit on the disk of output_dir; at least two must."""
    config = context.config
    size = checkpoint_bytes(config)
    if size is None or why_not_writable(Path(config.output_dir)):
        return
    free = free_bytes(Path(config.output_dir))
    kept = 1
    if config.max_train_steps is not None:
        kept = -(-config.max_train_steps // config.checkpoint_step_interval)
    kept = min(kept, config.checkpoints_total_limit or kept)
    has = f"{_gb(free)} are free on the disk of {config.output_dir}"
    fix = "free some space, or set checkpoints_total_limit"
    if free < 2 * size:
        yield warning("output_dir", f"{has}, and one checkpoint takes about {_gb(size)}", fix)
    elif free < kept * size:
        message = f"{has}, and {kept} checkpoints of about {_gb(size)} take {_gb(kept * size)}"
        yield hint("checkpoints_total_limit", message, "keep fewer: set checkpoints_total_limit")


def checkpoint_bytes(config: TrainingConfig) -> float | None:
    """About how large one checkpoint is; None for stage-c-tiny and adapters of special shape.

    It holds fp32 weights, the optimizer's two moments, and the averages of EMA.
    """
    trained = trained_parameters(config)
    if trained is None:
        return None
    moments = OPTIMIZERS[config.optimizer].state_bytes
    return trained * (4 + moments + (4 if config.use_ema else 0))


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def accelerate_file(context: Context) -> Iterator[Problem]:
    """Sharded training comes later; plain data parallelism works."""
    key, given = "accelerate_config_file", context.config.accelerate_config_file
    path = accelerate_config(Path(given).expanduser() if given else None)
    if path is None:
        return
    try:
        text = path.read_text(errors="replace")
    except OSError as failure:
        message = f"{path} cannot be read: {failure.strerror or failure}"
        yield error(key, message, "make it with `accelerate config`")
        return
    found = re.search(r"^\s*\"?distributed_type\"?\s*:\s*\"?'?(\w+)", text, re.MULTILINE)
    if found and found[1].upper() in _NOT_YET:
        yield error(
            key,
            f"distributed_type {found[1]} (in {path}) is not supported yet; NO and MULTI_GPU work",
            "run `accelerate config` again, or give another file",
        )


RULES = (
    data_folders,
    writable_folders,
    named_files,
    network_caches,
    free_space,
    accelerate_file,
)


def check_machine(context: Context) -> tuple[Problem, ...]:
    """Every problem of this machine's files and folders."""
    return tuple(problem for rule in RULES for problem in rule(context))
