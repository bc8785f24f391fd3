"""Run the trainer at full size, with random weights, and print what each case takes.

    python tests/benchmarks/full_size.py WORK_FOLDER --budget 480

For every case the command line program runs as a person would run it: caches, 20 steps with a
checkpoint, previewer (and decoder) validation, export; then a resume of a few steps. Reported are
the median step, the peak memory that torch allocated in a step, the most that NVML saw the card
use in each phase, and the seconds each phase took. Cases that no longer fit into ``--budget``
seconds are named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PHOTOGRAPHS = ROOT / "config" / "demo" / "photographs"
NUM_STEPS, NUM_RESUMED = 20, 4

_SHOWN = ("cache", "checkpoint", "export", "image", "exit", "memory", "problem")
_BF16 = {"mixed_precision": "bf16"}
_DECODER = {"stable_cascade_use_decoder_for_validation": True}
_FULL = {"model_type": "full", "learning_rate": 1e-5}


@dataclass(frozen=True)
class Case:
    """One configuration of the trainer.

    ``changes`` are what differs from the quickstart's options, ``seconds`` what it may need, and
    ``card_gb`` how large a card is played: the rest of this one is held by the benchmark.
    """

    flavour: str
    changes: dict[str, Any]
    seconds: int
    resumes: bool = False
    card_gb: float | None = None


def _base(precision: str) -> dict[str, Any]:
    return {"base_model_precision": precision}


CASES: dict[str, Case] = {
    "3.6B lora int8 (quickstart)": Case("stage-c", _DECODER, 110, resumes=True),
    "3.6B lora int8 on 12 GB": Case("stage-c", _DECODER, 90, card_gb=12),
    "3.6B lora int8, bf16": Case("stage-c", _BF16, 60),
    "3.6B lora no_change": Case("stage-c", _base("no_change"), 60),
    "3.6B lora int8, bf16, no recompute": Case(
        "stage-c", _BF16 | {"gradient_checkpointing": False}, 60
    ),
    "3.6B lora int4, bf16": Case("stage-c", _BF16 | _base("int4-torchao"), 60),
    "3.6B lora nf4, bf16": Case("stage-c", _BF16 | _base("nf4-bnb"), 60),
    "3.6B lora fp8, bf16": Case("stage-c", _BF16 | _base("fp8-torchao"), 60),
    "3.6B lora bf16, bf16": Case("stage-c", _BF16 | _base("bf16"), 60),
    "1B lora int8 (decoder_lite)": Case("stage-c-lite", _DECODER, 80, resumes=True),
    "1B lora int8, bf16": Case("stage-c-lite", _BF16, 45),
    "1B full fp32": Case("stage-c-lite", _FULL, 180, resumes=True),
    "1B full, bf16": Case("stage-c-lite", _FULL | _BF16, 130),
}


@contextmanager
def playing_card(size_gb: float | None) -> Iterator[None]:
    """Hold all of the card's memory but ``size_gb``."""
    if size_gb is None:
        yield
        return
    import torch

    free, _ = torch.cuda.mem_get_info()
    held = torch.empty(free - round(size_gb * 1e9), dtype=torch.uint8, device="cuda")
    try:
        yield
    finally:
        del held
        torch.cuda.empty_cache()


class GpuWatch(threading.Thread):
    """Samples the memory that the card has in use, ten times a second; [] without NVML."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, int]] = []
        self._over = threading.Event()

    def run(self) -> None:
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return
        card = pynvml.nvmlDeviceGetHandleByIndex(0)
        while not self._over.wait(0.1):
            self.samples.append((time.time(), pynvml.nvmlDeviceGetMemoryInfo(card).used))

    def stop(self) -> None:
        self._over.set()
        self.join()

    def peak(self, start: float, end: float) -> float:
        """GB in use at most between two times."""
        return max((used for at, used in self.samples if start <= at <= end), default=0) / 1e9


@contextmanager
def watching() -> Iterator[GpuWatch]:
    watch = GpuWatch()
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def write_data(folder: Path, side: int) -> None:
    """Copy the demo's photographs, captions as file names, enlarged to ``side`` pixels."""
    from PIL import Image

    folder.mkdir(parents=True)
    for path in sorted(PHOTOGRAPHS.glob("*.jpg")):
        picture = Image.open(path).convert("RGB")
        scale = side / min(picture.size)
        size = tuple(max(side, round(length * scale)) for length in picture.size)
        picture.resize(size).save(folder / path.name, quality=92)


def write_config(work: Path, run: Path, model: Path, flavour: str, changes: dict[str, Any]) -> Path:
    """The quickstart's options at a length that a benchmark can wait for."""
    side = 1024 if flavour != "stage-c-tiny" else 384
    lite, is_full = flavour == "stage-c-lite", changes.get("model_type") == "full"
    values = {
        "model_family": "stable_cascade",
        "model_flavour": flavour,
        "model_type": "lora",
        "mixed_precision": "no",
        "i_know_what_i_am_doing": changes.get("mixed_precision") == "bf16",
        "base_model_precision": "no_change" if is_full else "int8-torchao",
        "gradient_checkpointing": True,
        "pretrained_model_name_or_path": str(model),
        "pretrained_vae_model_name_or_path": str(model),
        "stable_cascade_decoder_model_name_or_path": str(model),
        "stable_cascade_decoder_subfolder": "decoder_lite" if lite else "decoder",
        "stable_cascade_decoder_variant": None if flavour == "stage-c-tiny" else "bf16",
        "stable_cascade_use_decoder_for_validation": False,
        "stable_cascade_validation_prior_guidance_scale": 4.0,
        "validation_resolution": f"{side}x{side}",
        "validation_prompt": "a raccoon in a red coat",
        "validation_on_start": False,
        "lora_rank": 16,
        "learning_rate": 1e-4,
        "optimizer": "adamw_bf16",
        "train_batch_size": 4,
        "max_train_steps": NUM_STEPS,
        "checkpoint_step_interval": NUM_STEPS // 2,
        "validation_step_interval": NUM_STEPS,
        "use_ema": not is_full,
        "output_dir": str(run),
        "cache_dir": str(work / f"cache-{side}"),
        "data_backend": [
            {"id": "photographs", "type": "local", "instance_data_dir": str(work / f"data-{side}"),
             "resolution": side, "minimum_image_size": side // 2, "caption_strategy": "filename",
             "repeats": 20},
            {"id": "text", "type": "local", "dataset_type": "text_embeds", "default": True,
             "cache_dir": str(work / f"cache-{side}" / "text")},
        ],
        **changes,
    }  # fmt: skip
    if flavour == "stage-c-tiny":
        values["stable_cascade_decoder_subfolder"] = "decoder"
    path = run.with_suffix(".json")
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}, indent=2))
    return path


def run_program(arguments: list[str], seconds: float, log: Path) -> int:
    """Run ``cascade-tui --no-ui``; past the limit it is interrupted, and saves."""
    command = [sys.executable, "-m", "cascade_tui", *arguments]
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    with log.open("ab") as output:
        program = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            return program.wait(seconds)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGINT)
            program.wait(30)
            return -1


def read_events(run: Path) -> list[dict[str, Any]]:
    path = run / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def report(name: str, events: list[dict[str, Any]], watch: GpuWatch) -> None:
    """Print one case: steps, memory, and each phase with its seconds and the card's peak."""
    steps = [event for event in events if event["kind"] == "step"]
    timed = [event["seconds"] for event in steps[3:]]
    peak = max((event.get("peak_memory_bytes") or 0 for event in steps), default=0)
    losses = [event["loss"] for event in steps]
    print(
        f"{name}: {len(steps)} steps, median {statistics.median(timed or [0]) * 1e3:.0f} ms, "
        f"peak allocated in a step {peak / 2**30:.2f} GiB, loss {losses[:1]} to {losses[-1:]}"
    )
    phases: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    marks = [(event["t"], label) for event in events if (label := _phase(event))]
    for (start, label), (end, _) in pairwise(marks):
        phases[label][0] += end - start
        phases[label][1] = max(phases[label][1], watch.peak(start, end))
    for label, (seconds, most) in phases.items():
        print(f"    {label:16} {seconds:7.2f} s   card in use at most {most:6.2f} GB")
    for event in events:
        if event["kind"] in _SHOWN and event.get("done") == event.get("total"):
            values = {key: value for key, value in event.items() if key not in ("v", "t")}
            print(f"    {json.dumps(values)[:230]}")
    sys.stdout.flush()


def _phase(event: dict[str, Any]) -> str:
    """What begins with this event; the network is loaded once the latents are cached."""
    if event["kind"] == "cache" and event["which"] == "latent" and event["done"] == event["total"]:
        return "loading"
    return event["phase"] if event["kind"] == "phase" else "" if event["kind"] != "exit" else "end"


def run_case(work: Path, name: str, case: Case, flavour: str, model: Path) -> None:
    """Train, then resume if the case does; print both."""
    run = work / "runs" / "".join(c if c.isalnum() else "-" for c in name)
    shutil.rmtree(run, ignore_errors=True)
    run.parent.mkdir(exist_ok=True)
    config, log = write_config(work, run, model, flavour, case.changes), run.with_suffix(".log")
    with playing_card(case.card_gb), watching() as watch:
        code = run_program(["--no-ui", str(config)], 200, log)
        events = read_events(run)
        report(f"{name} (exit {code})", events, watch)
        if code != 0:
            print(log.read_text(errors="replace")[-1500:])
            return
        if case.resumes:
            _resume(config, run, len(events), log)
    shutil.rmtree(run / "checkpoints")  # 12 GB of a full fine-tune


def _resume(config: Path, run: Path, num_events: int, log: Path) -> None:
    longer = ["--set", f"max_train_steps={NUM_STEPS + NUM_RESUMED}"]
    longer += ["--set", "validation_step_interval=1000000"]
    code = run_program(["--no-ui", str(config), *longer], 120, log)
    events = read_events(run)[num_events:]
    resumed = [event["resumed_from"] for event in events if event["kind"] == "start"]
    num_steps = sum(event["kind"] == "step" for event in events)
    print(f"    resumed (exit {code}) from {resumed}, {num_steps} more steps")


def main() -> None:
    """Write the models and run every case that fits into the budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--budget", type=float, default=480, help="seconds in all")
    parser.add_argument("--only", nargs="*", help="cases whose name contains one of these")
    parser.add_argument("--not", dest="leave_out", nargs="*", default=[], help="but not these")
    parser.add_argument("--tiny", type=Path, help="a stage-c-tiny folder: try this file anywhere")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    started = time.monotonic()
    options.work.mkdir(parents=True, exist_ok=True)
    write_data(
        options.work / f"data-{384 if options.tiny else 1024}", 384 if options.tiny else 1024
    )
    models: dict[str, Path] = {}
    for name, case in CASES.items():
        if options.only and not any(part in name for part in options.only):
            continue
        if any(part in name for part in options.leave_out):
            continue
        left = options.budget - (time.monotonic() - started)
        if left < case.seconds:
            print(f"{name}: left out, {left:.0f} s are left and it may need {case.seconds}")
            continue
        flavour = "stage-c-tiny" if options.tiny else case.flavour
        if flavour not in models:
            models[flavour] = options.tiny or write_model(options.work, flavour, options.device)
        run_case(options.work, name, case, flavour, models[flavour])
        print(f"    {time.monotonic() - started:.0f} s so far", flush=True)


def write_model(work: Path, flavour: str, device: str) -> Path:
    """The full-size folder of a flavour, its decoder too."""
    model = work / flavour
    begun = time.monotonic()
    command = [sys.executable, "-m", "engine.fullsize", str(model), "--flavour", flavour]
    command += ["--decoder", "--device", device]
    subprocess.run(command, check=True, cwd=ROOT)
    print(f"{flavour} written in {time.monotonic() - begun:.0f} s", flush=True)
    return model


if __name__ == "__main__":
    main()
