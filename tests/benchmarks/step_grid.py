"""Measure memory and time of one training step over a grid of configs, for the forecast.

    python tests/benchmarks/step_grid.py --to grid.jsonl

Needs a CUDA device and no files: priors of the published shapes with random weights, packed,
adapted and stepped by the engine's own code, as a run's config says. Prints a JSON object a case:
the peak that torch allocated in a step, what the card had in use after it, and the median step.
Cases that do not fit, or no longer fit into --budget seconds, are named.
`engine.config.forecast` holds the constants made of it; `--compare` prints its forecast beside
each measurement.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.adapters.quantize import quantize_base
from engine.config.fields import TrainingConfig
from engine.data.loader import Batch
from engine.fullsize.__main__ import random_prior
from engine.fullsize.layout import PRIORS
from engine.models.prior import StableCascadePrior
from engine.objective.loss import Loss
from engine.objective.weighting import build_weighting
from engine.optim.build import build_optimizer, build_schedule
from engine.training.model import TrainedModel, make_trainable
from engine.training.session import choose_tf32
from engine.training.step import Clipping, TrainStep

NUM_STEPS = 6
LORA: dict[str, Any] = {"model_type": "lora", "lora_rank": 16, "lora_alpha": 16.0, "use_ema": True}
FULL: dict[str, Any] = {"model_type": "full", "use_ema": False, "learning_rate": 1e-5}
BF16 = {"mixed_precision": "bf16", "i_know_what_i_am_doing": True}
# (images a micro-batch, side of the latent grid): 24 is 1024 px
_SHAPES = ((4, 24), (1, 24), (8, 24), (4, 32), (2, 16))


def _network(flavour: str, **changes: Any) -> dict[str, Any]:
    return {"model_flavour": flavour, "optimizer": "adamw_bf16", **changes}


# Each network is built once; then every shape is stepped with and without recomputing.
NETWORKS: tuple[dict[str, Any], ...] = (
    _network("stage-c", **LORA, base_model_precision="int8-torchao"),
    _network("stage-c", **LORA, base_model_precision="int8-torchao", **BF16),
    _network("stage-c", **LORA, base_model_precision="no_change"),
    _network("stage-c", **LORA, base_model_precision="bf16", **BF16),
    _network("stage-c", **LORA, base_model_precision="int4-torchao", **BF16),
    _network("stage-c", **LORA | {"lora_rank": 64}, base_model_precision="int8-torchao"),
    _network(
        "stage-c",
        **LORA | {"lora_rank": 32, "lora_target": "attention+mlp"},
        base_model_precision="int8-torchao",
    ),
    _network(
        "stage-c", **LORA | {"lora_target": "all-linear"}, base_model_precision="int8-torchao"
    ),
    _network("stage-c-lite", **LORA, base_model_precision="int8-torchao"),
    _network("stage-c-lite", **LORA, base_model_precision="int8-torchao", **BF16),
    _network("stage-c-lite", **LORA, base_model_precision="no_change"),
    _network("stage-c-lite", **FULL),
    _network("stage-c-lite", **FULL, **BF16),
    _network("stage-c-lite", **FULL | {"use_ema": True, "optimizer": "torch-adamw"}),
    _network("stage-c", **FULL),
    _network("stage-c", **FULL, **BF16),
)


def build(config: TrainingConfig, device: torch.device) -> TrainedModel:
    """The model of a run with this config, its weights random."""
    packs = config.model_type == "lora" and config.base_model_precision != "no_change"
    dtype = torch.bfloat16 if packs else torch.float32
    prior = random_prior(PRIORS[config.model_flavour], device=device, dtype=dtype)
    assert isinstance(prior, StableCascadePrior)
    if packs:
        quantize_base(prior.requires_grad_(False), config.base_model_precision, device=device)
    return make_trainable(prior, config)


def batch_of(num_images: int, side: int, device: torch.device) -> Batch:
    """One micro-batch of random latents and embeds."""

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, device=device)

    latents, noise = draw(num_images, 16, side, side), draw(num_images, 16, side, side)
    u = torch.rand(num_images, device=device)
    text, pooled = draw(num_images, 77, 1280), draw(num_images, 1, 1280)
    return Batch(latents, noise, u, text, pooled, tuple(map(str, range(num_images))))


def measure(step: TrainStep, batch: Batch) -> dict[str, float]:
    """Peak bytes that torch allocated, bytes in use on the card, and the median step's seconds."""
    step.run(0, [batch], 1)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    times = []
    for number in range(NUM_STEPS):
        began = time.perf_counter()
        step.run(number + 1, [batch], 1)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    free, total = torch.cuda.mem_get_info()
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(),
        "card_bytes": total - free,
        "seconds": statistics.median(times),
    }


def cases(values: dict[str, Any], device: torch.device) -> Iterator[dict[str, Any]]:
    """Build one network and measure it at every shape, with and without recomputing."""
    config = TrainingConfig(**values)
    choose_tf32(config)
    AcceleratorState._reset_state(reset_partial_state=True)  # else it keeps the first precision
    accelerator = Accelerator(mixed_precision=config.mixed_precision)
    model = build(config, device)
    model.optimizer = build_optimizer(model.parameters, config)
    step = TrainStep(
        accelerator,
        accelerator.prepare_model(model.prior),
        model.parameters,
        model.optimizer,
        build_schedule(config, 1000),
        build_weighting(config.snr_weighting, device, min_snr_gamma=config.min_snr_gamma),
        loss=Loss(config.loss_type, config.huber_delta),
        clip=Clipping(config.max_grad_norm, config.max_grad_value),
        seed=0,
    )
    trained = {"trainable_parameters": model.num_trainable}
    for recompute in (True, False):
        model.prior.gradient_checkpointing = recompute
        for num_images, side in _SHAPES:
            shape = {
                "gradient_checkpointing": recompute,
                "train_batch_size": num_images,
                "latent_side": side,
            }
            try:
                measured = measure(step, batch_of(num_images, side, device))
            except torch.OutOfMemoryError:
                step.optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
                yield {**values, **shape, "out_of_memory": True}
            else:
                yield {**values, **shape, **trained, **measured}


def compare(row: dict[str, Any], gpu: str) -> str:
    """The forecast of a case beside what was measured."""
    from engine.config.forecast import card_bytes, card_rate, step_seconds

    names = TrainingConfig.model_fields
    config = TrainingConfig(**{key: value for key, value in row.items() if key in names})
    cells = row["latent_side"] ** 2
    memory, seconds = (
        card_bytes(config, cells=cells),
        step_seconds(config, cells=cells, rate=card_rate(gpu, 0.0)),
    )
    told = f"card {row['card_bytes'] / 1e9:5.1f} GB, forecast {(memory or 0) / 1e9:5.1f}"
    return f"{told}; {1e3 * row['seconds']:5.0f} ms, forecast {1e3 * (seconds or 0):5.0f}"


def main() -> None:
    """Measure what the budget allows and print a line a case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, help="also write the lines to this file")
    parser.add_argument("--budget", type=float, default=500, metavar="SECONDS")
    parser.add_argument("--only", default="", metavar="TEXT", help="networks whose JSON holds it")
    parser.add_argument("--compare", action="store_true", help="print the forecast beside it")
    options = parser.parse_args()
    device, began = torch.device("cuda"), time.monotonic()
    gpu = torch.cuda.get_device_name()
    print(f"{gpu}, torch {torch.__version__}", flush=True)
    lines = []
    for values in (values for values in NETWORKS if options.only in json.dumps(values)):
        if time.monotonic() - began > options.budget:
            print("no time left for", json.dumps(values), flush=True)
            continue
        for row in cases(values, device):
            lines.append(json.dumps({"gpu": gpu, **row}))
            beside = options.compare and "seconds" in row
            print(f"{lines[-1]}{'  ' + compare(row, gpu) if beside else ''}", flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    if options.to:
        options.to.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
