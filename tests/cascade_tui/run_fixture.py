"""Writes run directories as the trainer leaves them, for the viewer's tests."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, WrittenState, write_status

Kind = Literal["empty", "caching", "running", "paused", "failed", "finished"]

START_TIME = 1_780_000_000.0
MAX_STEPS = 1_000
PROMPTS = {
    "portrait": "a portrait of an old sailor, window light",
    "landscape": "a valley under morning fog",
    "product": "a ceramic cup on a linen cloth",
}
_GIB = 1 << 30


def write_run(root: Path, kind: Kind) -> RunDirectory:
    """A run directory in one state; the same bytes every time, but for the process in it."""
    run = RunDirectory(root)
    root.mkdir(parents=True)
    run.config.write_text("[training]\n")
    if kind == "empty":
        return run
    with EventWriter(run.events) as writer:
        emit_start(writer, _max_steps(kind))
        emit_caches(writer, complete=kind != "caching")
        if kind != "caching":
            emit_training(run, writer, 500)
        _end(run, writer, kind)
    _write_console(run, kind)
    return run


def emit_start(writer: EventWriter, max_steps: int = MAX_STEPS) -> None:
    """The first event of a run."""
    writer.emit(
        "start",
        t=START_TIME,
        version="0.1.0",
        world_size=1,
        device="NVIDIA H100 80GB HBM3",
        num_images=4000,
        num_captions=4812,
        num_batches_per_epoch=1000,
        max_train_steps=max_steps,
        resumed_from=None,
        trainable_parameters=9_437_184,
    )


def emit_caches(writer: EventWriter, *, complete: bool) -> None:
    """The text cache built; the latent cache built, or still under way."""
    writer.emit("phase", t=START_TIME + 1, phase="caching_text", step=0)
    emit_cache_plan(writer, "text", 4812, 2400)
    emit_cache(writer, "text", 4812, 4812, 2140.0, hits=2400)
    writer.emit("phase", t=START_TIME + 2, phase="caching_latents", step=0)
    emit_cache_plan(writer, "latent", 4000, 0)
    emit_cache(writer, "latent", 4000 if complete else 1200, 4000, 310.0)


def emit_cache_plan(writer: EventWriter, which: str, needed: int, present: int) -> None:
    """What is to be made."""
    writer.emit(
        "cache_plan",
        t=START_TIME + 3,
        which=which,
        needed=needed,
        present=present,
        estimated_bytes=(needed - present) * 300_000,
    )


def emit_cache(
    writer: EventWriter, which: str, done: int, total: int, per_second: float, *, hits: int = 0
) -> None:
    """One progress event of a cache."""
    writer.emit(
        "cache",
        t=START_TIME + 3,
        which=which,
        done=done,
        total=total,
        per_second=per_second,
        bytes=(done - hits) * 300_000,
        eta_seconds=(total - done) / per_second,
        hits=hits,
    )


def emit_step(writer: EventWriter, step: int, loss: float, **changes: object) -> None:
    """One step event."""
    fields: dict[str, object] = {
        "t": START_TIME + 20 + step,
        "step": step,
        "loss": loss,
        "lr": 1e-4 * min(1.0, step / 100),
        "grad_norm": 0.4 + 0.3 * math.cos(step / 9),
        "images_per_second": 3.125,
        "seconds": 1.28,
        "peak_memory_bytes": 61 * _GIB,
        "loader_wait_seconds": 0.002,
        "epoch": 0,
    }
    writer.emit("step", **(fields | changes))


def emit_training(run: RunDirectory, writer: EventWriter, num_steps: int) -> None:
    """Steps with a falling, noisy loss, one NaN among them, and pictures every 100 steps."""
    noise = random.Random(7)
    writer.emit("phase", t=START_TIME + 20, phase="training", step=0)
    for step in range(1, num_steps + 1):
        loss = 0.08 + 0.3 * math.exp(-step / 120) + noise.gauss(0, 0.02)
        emit_step(writer, step, math.nan if step == 333 else loss)
        if step % 100 == 0:
            emit_pictures(run, writer, step)
            writer.emit(
                "checkpoint",
                t=START_TIME + 20 + step,
                step=step,
                path=f"checkpoints/step-{step:09d}",
                bytes=75_000_000,
                seconds=0.8,
                reason="interval",
            )


def emit_pictures(run: RunDirectory, writer: EventWriter, step: int) -> None:
    """A small picture for each prompt."""
    folder = run.validation_dir(step)
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, text) in enumerate(PROMPTS.items()):
        path = folder / f"{name}-42.png"
        picture(number, step).save(path)
        writer.emit(
            "image",
            t=START_TIME + 20 + step,
            step=step,
            prompt=name,
            text=text,
            path=path.relative_to(run.root).as_posix(),
            seed=42,
            width=64,
            height=64,
            source="preview",
        )


def picture(number: int, step: int) -> Image.Image:
    """A disc before a gradient, 64 px a side, in colours of its own."""
    tints = [(200, 120, 60), (60, 150, 110), (90, 110, 200)]
    image = Image.new("RGB", (64, 64))
    draw = ImageDraw.Draw(image)
    for y in range(64):
        draw.line(
            [(0, y), (63, y)], fill=tuple(channel * (y + 24) // 88 for channel in tints[number])
        )
    radius = 8 + step // 50
    draw.ellipse((32 - radius, 32 - radius, 32 + radius, 32 + radius), fill=(240, 225, 190))
    return image


def _max_steps(kind: Kind) -> int:
    return 500 if kind == "finished" else MAX_STEPS


def _end(run: RunDirectory, writer: EventWriter, kind: Kind) -> None:
    """The last events and the status of this kind of run."""
    if kind == "failed":
        writer.emit(
            "problem",
            t=START_TIME + 530,
            severity="error",
            key="train_batch_size",
            message="CUDA out of memory: tried to allocate 2.0 GiB",
            fix="halve train_batch_size and double gradient_accumulation_steps",
        )
        _emit_exit(writer, 1, "failed", "CUDA out of memory")
    elif kind == "finished":
        run.export.mkdir()
        for name in ("peft", "comfyui"):
            path = f"export/{name}.safetensors"
            (run.root / path).write_bytes(b"")
            writer.emit(
                "export", t=START_TIME + 530, step=500, format=name, path=path, bytes=37_000_000
            )
        _emit_exit(writer, 0, "finished", "")
    states: dict[str, WrittenState] = {
        "failed": "failed",
        "finished": "finished",
        "paused": "paused",
    }
    phases = {"caching": "caching_latents", "paused": "paused"}
    write_status(
        run,
        Status.of_process(
            states.get(kind, "running"),
            os.getpid(),
            step=0 if kind == "caching" else 500,
            max_train_steps=_max_steps(kind),
            phase=phases.get(kind, "training"),
            exit_code={"failed": 1, "finished": 0}.get(kind),
            message="CUDA out of memory" if kind == "failed" else "",
        ),
    )


def _emit_exit(writer: EventWriter, code: int, state: str, reason: str) -> None:
    writer.emit("exit", t=START_TIME + 531, code=code, state=state, step=500, reason=reason)


def _write_console(run: RunDirectory, kind: Kind) -> None:
    lines = [f"step {step}/1000 loss 0.08" for step in range(100, 501, 100)]
    if kind == "failed":
        lines += [
            "Traceback (most recent call last):",
            '  File "engine/training/trainer.py", line 120, in train',
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.",
        ]
    run.console_log.write_text("\n".join(lines) + "\n")
