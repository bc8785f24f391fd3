"""What a run will take, against what was measured on an H100 (tests/benchmarks/step_grid.py)."""

from __future__ import annotations

import pytest

from engine.config.backends import ImageBackend
from engine.config.environment import Environment, Gpu
from engine.config.fields import TrainingConfig
from engine.config.forecast import (
    card_bytes,
    card_rate,
    cells_of,
    forecast,
    largest_cells,
    step_seconds,
)
from engine.config.presets import PRESETS
from engine.config.resolution import Resolution

SQUARE = 24 * 24
LORA = {"model_type": "lora", "lora_rank": 16, "use_ema": True, "optimizer": "adamw_bf16"}
FULL = {"model_type": "full", "use_ema": False, "optimizer": "adamw_bf16"}
BF16 = {"mixed_precision": "bf16", "i_know_what_i_am_doing": True}
INT8 = {"base_model_precision": "int8-torchao"}
H100 = Gpu("NVIDIA H100 80GB HBM3", 85_520_809_984, 85_000_000_000)


def config(flavour: str, *, recomputed: bool, batch_size: int = 4, **values) -> TrainingConfig:
    return TrainingConfig(
        model_flavour=flavour,
        gradient_checkpointing=recomputed,
        train_batch_size=batch_size,
        **values,
    )


@pytest.mark.parametrize(
    ("values", "card_gb"),
    [
        # whole runs of the trainer, NVML's peak in training
        (config("stage-c", recomputed=True, **LORA | INT8), 7.5),
        (config("stage-c", recomputed=True, **LORA | INT8 | BF16), 7.2),
        (config("stage-c", recomputed=False, **LORA | INT8 | BF16), 19.8),
        (config("stage-c", recomputed=True, **LORA), 18.8),
        (config("stage-c-lite", recomputed=True, **LORA | INT8), 3.7),
        (config("stage-c-lite", recomputed=True, **FULL), 16.4),
        # single steps
        (config("stage-c", recomputed=False, **LORA | INT8), 28.4),
        (config("stage-c", recomputed=False, batch_size=8, **LORA), 62.1),
        (config("stage-c", recomputed=True, **FULL), 50.3),
    ],
)
def test_the_memory_of_a_card_is_forecast_within_a_tenth_of_what_was_measured(values, card_gb):
    told = card_bytes(values, cells=SQUARE)
    assert told == pytest.approx(card_gb * 1e9, rel=0.1)


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        (config("stage-c", recomputed=True, **LORA | INT8), 0.75),
        (config("stage-c", recomputed=False, batch_size=8, **LORA), 0.58),
        (config("stage-c-lite", recomputed=True, **FULL), 0.45),
        (config("stage-c", recomputed=True, **FULL), 1.23),
    ],
)
def test_a_step_on_an_h100_is_forecast_within_a_fifth_of_what_was_measured(values, seconds):
    assert step_seconds(values, cells=SQUARE, rate=1.0) == pytest.approx(seconds, rel=0.2)


@pytest.mark.parametrize("preset", [p for p in PRESETS.values() if p.card_gb], ids=lambda p: p.name)
def test_every_preset_fits_the_card_that_it_is_for(preset):
    needed = card_bytes(TrainingConfig(**preset.values), cells=SQUARE)
    assert needed is not None
    assert needed < preset.card_gb * 1e9


def test_more_pictures_and_larger_ones_take_more_and_accumulation_takes_time():
    small, large = (config("stage-c", recomputed=False, batch_size=n, **LORA) for n in (1, 16))
    twice = large.model_copy(update={"gradient_accumulation_steps": 2})
    assert card_bytes(small, cells=SQUARE) < card_bytes(large, cells=SQUARE)
    assert card_bytes(large, cells=SQUARE) < card_bytes(large, cells=2 * SQUARE)
    once = step_seconds(large, cells=SQUARE, rate=1.0)
    assert step_seconds(twice, cells=SQUARE, rate=1.0) == pytest.approx(2 * once)
    assert step_seconds(large, cells=SQUARE, rate=0.5) == pytest.approx(2 * once)


def test_cards_are_known_by_name_and_else_guessed_by_their_memory():
    assert card_rate("NVIDIA H100 80GB HBM3", 80) == 1.0
    assert card_rate("NVIDIA GeForce RTX 4090", 24) < card_rate("NVIDIA A100-SXM4-40GB", 40) < 1
    assert card_rate("a card of tomorrow", 24) < card_rate("a card of tomorrow", 80)


def test_cells_are_those_of_the_latent_grid_and_the_largest_picture_counts():
    assert cells_of(Resolution(1024, 1024)) == 24 * 24
    assert cells_of(Resolution(1152, 896)) == 27 * 21
    backend = ImageBackend(resolution=Resolution(512, 512))
    assert largest_cells((backend,)) == 12 * 12
    wide = backend.model_copy(update={"bucket_resolutions": (Resolution(1536, 1024),)})
    assert largest_cells((wide,)) == 36 * 24
    assert largest_cells(()) == 24 * 24


def test_a_forecast_counts_steps_of_epochs_and_room_for_every_picture():
    images = ImageBackend(id="a", resolution=Resolution(1024, 1024), repeats=3)
    values = config("stage-c", recomputed=True, num_train_epochs=2, **LORA | INT8)
    told = forecast(values, (images,), Environment((H100,), frozenset()), num_images={"a": 10})
    assert told.num_steps == 2 * 8  # 30 pictures an epoch, 4 a step
    assert told.cache_bytes == pytest.approx(10 * (78 * 1280 * 2 + SQUARE * 16 * 4), rel=0.01)
    assert told.train_seconds == pytest.approx(16 * told.step_seconds)
    assert told.source == "measured on an H100"
    assert told.fits


def test_what_is_not_known_is_not_told():
    values = TrainingConfig(model_flavour="stage-c-tiny", max_train_steps=10)
    nothing = forecast(values, (), Environment((), frozenset()), num_images={})
    assert nothing.card_bytes is None
    assert nothing.train_seconds is None
    assert nothing.source == ""
    assert nothing.fits
    measured = forecast(
        values, (), Environment((), frozenset()), num_images={}, measured=(0.5, "as in a run")
    )
    assert measured.train_seconds == 5.0
    assert measured.source == "as in a run"
