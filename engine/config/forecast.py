"""What a run will take: memory of the card, time of a step, room of the caches.

Sums over the published shapes, with constants measured on an H100 by
``tests/benchmarks/step_grid.py``, which prints this forecast beside each measurement. On other
cards the arithmetic of a step is scaled by a guessed rate, and the forecast says so.
Units: bytes, seconds; "cells" are the places of the latent grid, 24 x 24 at 1024 px.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from engine.config.backends import Backend, ImageBackend
from engine.config.environment import Environment, Gpu
from engine.config.fields import TrainingConfig
from engine.config.optimizers import OPTIMIZERS
from engine.config.resolution import Resolution

NUM_PARAMETERS = {"stage-c": 3.589e9, "stage-c-lite": 1.031e9}
# LoRA on attention: (blocks x 4 layers) x 2 x width numbers for each rank.
_LORA_PARAMETERS_PER_RANK = {"stage-c": 256 * 4096, "stage-c-lite": 128 * 3072}
_LORA_TARGET_FACTOR = {"attention": 1.0, "attention+mlp": 2.3, "all-linear": 2.5}
_NOMINAL_STRIDE_PX = 42.67

# -- memory ---------------------------------------------------------------------------------------

_BASE_BYTES = {  # of the frozen base, a number: packed weights, their scales, what is not packed
    "no_change": 4.0,
    "bf16": 2.03,
    "int8-torchao": 1.04,
    "fp8-torchao": 1.04,
    "int4-torchao": 0.61,
    "nf4-bnb": 0.61,
}


class _Activations(NamedTuple):
    """Bytes a cell that the backward pass keeps, in full or recomputed (checkpointing)."""

    full: float
    recomputed: float


_ACTIVATIONS = {  # by flavour, type, and whether the products are bf16
    ("stage-c", "lora", False): _Activations(9.18e6, 0.75e6),
    ("stage-c", "lora", True): _Activations(5.73e6, 0.48e6),
    ("stage-c-lite", "lora", False): _Activations(3.46e6, 0.37e6),
    ("stage-c-lite", "lora", True): _Activations(2.14e6, 0.25e6),
    ("stage-c", "full", False): _Activations(13.1e6, 0.75e6),  # with dropout
    ("stage-c", "full", True): _Activations(7.8e6, 0.48e6),
    ("stage-c-lite", "full", False): _Activations(4.94e6, 0.37e6),
    ("stage-c-lite", "full", True): _Activations(2.90e6, 0.25e6),
}
_MORE_ADAPTED = {"attention+mlp": 1.3, "all-linear": 1.35}  # layers whose inputs are kept
_UPDATE_BYTES = {  # for a moment while the update is made
    ("stage-c", "lora"): 0.79e9,
    ("stage-c-lite", "lora"): 0.30e9,
    ("stage-c", "full"): 1.65e9,
    ("stage-c-lite", "full"): 1.0e9,
}
# What the card has in use beside what torch allocates: CUDA itself, the previewer, gaps.
_CARD_SHARE, _CARD_EXTRA_BYTES = 1.1, 1.6e9


def trained_parameters(config: TrainingConfig) -> float | None:
    """How many numbers are trained; None for stage-c-tiny and adapters of special shape."""
    if config.model_flavour not in NUM_PARAMETERS:
        return None
    if config.model_type == "full":
        return NUM_PARAMETERS[config.model_flavour]
    if (
        config.lora_type != "standard"
        or config.lora_target not in _LORA_TARGET_FACTOR
        or config.lora_rank_pattern
    ):
        return None
    per_rank = _LORA_PARAMETERS_PER_RANK[config.model_flavour]
    return per_rank * config.lora_rank * _LORA_TARGET_FACTOR[config.lora_target]


def card_bytes(config: TrainingConfig, *, cells: float) -> int | None:
    """The most that a card has in use in training, at ``cells`` a picture; None if not known."""
    trained, flavour = trained_parameters(config), config.model_flavour
    if trained is None:
        return None
    is_full, is_bf16 = config.model_type == "full", config.mixed_precision == "bf16"
    kept = trained * (4 + OPTIMIZERS[config.optimizer].state_bytes + (4 if config.use_ema else 0))
    if not is_full:
        kept += NUM_PARAMETERS[flavour] * _BASE_BYTES[config.base_model_precision]
    gradients = 4 * trained
    activations = _ACTIVATIONS[flavour, config.model_type, is_bf16]
    batch_cells = cells * config.train_batch_size
    if config.gradient_checkpointing:
        backward = activations.recomputed * batch_cells
        if is_full:  # most are freed by the time when nearly all gradients are there
            backward = gradients + backward / 2
    elif is_full:
        backward = activations.full * batch_cells + (2 * trained if is_bf16 else 0)
    else:
        backward = activations.full * batch_cells * _MORE_ADAPTED.get(config.lora_target, 1.0)
    update = gradients + _UPDATE_BYTES[flavour, config.model_type]
    copies = gradients if (config.num_processes or 1) > 1 else 0  # all-reduce buckets
    allocated = kept + copies + max(backward, update)
    return round(_CARD_SHARE * allocated + _CARD_EXTRA_BYTES)


# -- time -----------------------------------------------------------------------------------------


class _Step(NamedTuple):
    """Seconds of a micro-batch on an H100: at least ``launches``, else ``cell`` for each."""

    launches: float
    cell: float


_STEPS = {  # by flavour and whether the forward pass is made twice (checkpointing)
    ("stage-c", True): _Step(0.53, 1.8e-4),
    ("stage-c", False): _Step(0.30, 1.35e-4),
    ("stage-c-lite", True): _Step(0.29, 7e-5),
    ("stage-c-lite", False): _Step(0.15, 5e-5),
}
_PACKED_LAUNCHES = 1.4  # layers that are unpacked for each product
_BF16_LAUNCHES, _BF16_CELLS = 1.15, 0.4
_ADAPTER_LAUNCHES = {"all-linear": 1.5}
_FULL_CELLS = 1.5  # gradients of every weight as well
_FULL_UPDATE_SECONDS = {"stage-c": 0.5, "stage-c-lite": 0.15}
# Guessed shares of an H100: by the published rates of TF32 products (of fp32 where there are none),
# of which a smaller card reaches a larger part.
_CARD_RATES = {
    "H200": 1.0, "H100 PCIe": 0.8, "H100": 1.0, "GH200": 1.0, "B200": 1.5, "A100": 0.6,
    "L40S": 0.55, "L40": 0.4, "L4": 0.15, "A40": 0.3, "A10": 0.2, "A6000": 0.3, "6000 Ada": 0.4,
    "RTX 5090": 0.45, "RTX 5080": 0.25, "RTX 4090": 0.35, "RTX 4080": 0.22, "RTX 4070": 0.14,
    "RTX 3090": 0.19, "RTX 3080": 0.16, "V100": 0.1, "T4": 0.05,
}  # fmt: skip
_RATES_BY_GB = ((70.0, 1.0), (40.0, 0.35), (22.0, 0.25), (14.0, 0.15), (0.0, 0.1))
_MEASURED_ON = ("H100", "H200")


def card_rate(name: str, card_gb: float) -> float:
    """How fast a card computes, in shares of an H100: by its name, else guessed by its memory."""
    for known, rate in _CARD_RATES.items():
        if known in name:
            return rate
    return next(rate for least, rate in _RATES_BY_GB if card_gb >= least)


def is_measured_on(name: str) -> bool:
    """Whether the constants were measured on such a card."""
    return any(known in name for known in _MEASURED_ON)


def step_seconds(config: TrainingConfig, *, cells: float, rate: float) -> float | None:
    """Seconds of an optimizer step on a card of this ``rate``; None for stage-c-tiny."""
    flavour = config.model_flavour
    if flavour not in NUM_PARAMETERS:
        return None
    step, is_full = _STEPS[flavour, config.gradient_checkpointing], config.model_type == "full"
    is_packed = not is_full and config.base_model_precision != "no_change"
    launches = step.launches * (_PACKED_LAUNCHES if is_packed else 1)
    arithmetic = step.cell * (_FULL_CELLS if is_full else 1) / rate
    if not is_full:
        launches *= _ADAPTER_LAUNCHES.get(config.lora_target, 1.0)
    if config.mixed_precision == "bf16":
        launches, arithmetic = _BF16_LAUNCHES * launches, _BF16_CELLS * arithmetic
    micro_batch = max(launches, arithmetic * cells * config.train_batch_size)
    update = _FULL_UPDATE_SECONDS[flavour] / rate if is_full else 0.0
    return micro_batch * config.gradient_accumulation_steps + update


# -- the whole run --------------------------------------------------------------------------------

_TEXT_BYTES = 78 * 1280 * 2 + 320  # 77 tokens and the pooled one in bf16, and their headers
_LATENT_BYTES, _LATENT_HEADER_BYTES = 16 * 4, 160  # a cell in fp32


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a run will take. None is what is not known.

    ``card_bytes`` of the ``card_total_bytes`` of ``gpu``; ``cache_bytes`` if nothing is cached yet,
    of ``num_images`` and as many captions, where ``cache_free_bytes`` are. ``train_seconds`` are
    those of all ``num_steps``, without caching and validation, from ``source``.
    """

    card_bytes: int | None
    card_total_bytes: int | None
    gpu: str
    num_images: int
    cache_bytes: int
    cache_free_bytes: int | None
    num_steps: int | None
    step_seconds: float | None
    source: str

    @property
    def train_seconds(self) -> float | None:
        """Seconds of all steps."""
        known = self.num_steps is not None and self.step_seconds is not None
        return self.num_steps * self.step_seconds if known else None  # type: ignore[operator]

    @property
    def fits(self) -> bool:
        """Whether the card is large enough, as far as is known."""
        known = self.card_bytes is not None and self.card_total_bytes is not None
        return not known or self.card_bytes <= self.card_total_bytes  # type: ignore[operator]


def cells_of(size: Resolution) -> int:
    """Cells of the latent grid of a picture (facts: ceil(side / 42.67))."""
    return math.ceil(size.width / _NOMINAL_STRIDE_PX) * math.ceil(size.height / _NOMINAL_STRIDE_PX)


def largest_cells(backends: tuple[Backend, ...]) -> int:
    """Cells of the largest pictures of a run; those of 1024 px if there is no backend yet."""
    sizes = [
        size
        for backend in backends
        if isinstance(backend, ImageBackend)
        for size in (backend.resolution, *backend.bucket_resolutions)
    ]
    return max(map(cells_of, sizes), default=cells_of(Resolution(1024, 1024)))


def largest_gpu(environment: Environment) -> Gpu | None:
    """The GPU that a run is forecast for."""
    return max(environment.gpus, key=lambda gpu: gpu.total_bytes, default=None)


def forecast(
    config: TrainingConfig,
    backends: tuple[Backend, ...],
    environment: Environment,
    *,
    num_images: dict[str, int],
    measured: tuple[float, str] | None = None,
    cache_free_bytes: int | None = None,
) -> Forecast:
    """Forecast a run; ``num_images`` are the pictures of each image backend, by its id.

    ``measured`` are the seconds a step took in an earlier run of the kind, and which that was.
    """
    gpu, cells = largest_gpu(environment), largest_cells(backends)
    seconds, source = measured or (None, "")
    if measured is None and gpu is not None:
        rate = card_rate(gpu.name, gpu.total_bytes / 1e9)
        seconds = step_seconds(config, cells=cells, rate=rate)
        source = "measured on an H100" if is_measured_on(gpu.name) else "guessed from an H100"
    images = [backend for backend in backends if isinstance(backend, ImageBackend)]
    cache_bytes = sum(
        num_images.get(backend.id, 0)
        * (_TEXT_BYTES + _LATENT_HEADER_BYTES + _LATENT_BYTES * cells_of(backend.resolution))
        for backend in images
    )
    return Forecast(
        card_bytes=card_bytes(config, cells=cells),
        card_total_bytes=gpu.total_bytes if gpu else None,
        gpu=gpu.name if gpu else "",
        num_images=sum(num_images.values()),
        cache_bytes=cache_bytes,
        cache_free_bytes=cache_free_bytes,
        num_steps=_num_steps(config, images, num_images),
        step_seconds=seconds,
        source=source if seconds is not None else "",
    )


def _num_steps(
    config: TrainingConfig, backends: list[ImageBackend], num_images: dict[str, int]
) -> int | None:
    """Optimizer steps of the run; None if it has no length yet."""
    if config.max_train_steps is not None:
        return config.max_train_steps
    if config.num_train_epochs is None:
        return None
    samples = sum(num_images.get(b.id, 0) * max(1, b.repeats) for b in backends)
    images = config.train_batch_size * config.gradient_accumulation_steps
    return config.num_train_epochs * math.ceil(samples / (images * (config.num_processes or 1)))
