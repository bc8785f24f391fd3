"""The loss on held-out photographs, several seeds, and trackers."""

from __future__ import annotations

import json
import sqlite3

import pytest
import torch
from PIL import Image

from engine.data.held_out import held_out
from engine.training.validation_loss import NUM_BANDS, REFERENCE_NAME, fixed_noise


def test_a_photograph_stays_on_its_side_when_others_are_added():
    few = [f"{number:032x}" for number in range(40)]
    many = few + [f"{number:032x}" for number in range(40, 400)]
    apart = held_out(few, 0.2)
    assert 2 < len(apart) < 16
    assert apart == held_out(many, 0.2) & set(few)
    assert held_out(few, 0.0) == frozenset()
    assert len(held_out(few[:2], 1e-9)) == 1
    assert held_out(few, 0.1) <= apart


def test_the_fixed_noise_hangs_on_the_photograph_alone():
    assert torch.equal(fixed_noise("a", (8, 16, 3, 3)), fixed_noise("a", (8, 16, 3, 3)))
    assert not torch.equal(fixed_noise("a", (4,)), fixed_noise("b", (4,)))
    assert abs(fixed_noise("a", (10_000,)).std().item() - 1) < 0.05


SETTINGS = {
    "max_train_steps": 4,
    "validation_step_interval": 2,
    "checkpoint_step_interval": 2,
    "validation_split": 0.4,
    "validation_num_seeds": 2,
    "validation_seed": 5,
    "validation_prompt": "a red cup of coffee",
    "report_to": ["tensorboard", "trackio"],
    "learning_rate": 1e-2,
    "lr_scheduler": "constant",
    "lora_target": "all-linear",
}


@pytest.mark.slow
def test_a_run_measures_what_it_holds_out_and_draws_every_seed_and_tells_the_trackers(
    prepare, start
):
    trainer = start(prepare(**SETTINGS))
    assert trainer.wait() == 0, trainer.console()
    [begun] = trainer.events("start")
    assert begun["num_held_out"] >= 1
    assert begun["num_images"] + begun["num_held_out"] == 8
    measured = trainer.events("validation")
    assert [event["step"] for event in measured] == [0, 2, 4]
    _check_losses(measured, begun["num_held_out"])
    reference = json.loads((trainer.run.root / REFERENCE_NAME).read_text())
    assert len(reference["photographs"]) == begun["num_held_out"]
    _check_pictures(trainer)
    _check_trackers(trainer.run.root / "trackers")

    # Resumed, it compares with the same beginning.
    again = start(prepare(**SETTINGS | {"max_train_steps": 6, "report_to": ["none"]}))
    assert again.wait() == 0, again.console()
    last = again.events("validation")[-1]
    assert last["step"] == 6
    assert last["difference"] == pytest.approx(last["loss"] - measured[0]["loss"], abs=1e-6)


def _check_losses(measured, num_held_out):
    for event in measured:
        assert event["num_images"] == num_held_out
        assert len(event["bands"]) == NUM_BANDS
        assert event["loss"] == pytest.approx(sum(event["bands"]) / NUM_BANDS)
    first, *later = measured
    assert first["difference"] == 0
    for event in later:
        assert event["difference"] == pytest.approx(event["loss"] - first["loss"], abs=1e-6)
        assert event["difference"] != 0


def _check_pictures(trainer):
    drawn = [event for event in trainer.events("image") if event["step"] == 4]
    assert {(e["prompt"], e["seed"]) for e in drawn} == {("validation", 5), ("validation", 6)}
    pictures = [Image.open(trainer.run.root / event["path"]) for event in drawn]
    assert pictures[0].tobytes() != pictures[1].tobytes()
    said = {"prompt": SETTINGS["validation_prompt"], "seed": "5", "step": "4"}
    assert said.items() <= pictures[0].text.items()
    assert {"negative_prompt", "prior_guidance_scale", "resolution"} <= pictures[0].text.keys()


def _check_trackers(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = next(folder.rglob("events.out.tfevents.*"))
    log = EventAccumulator(str(events.parent))
    log.Reload()
    tags = log.Tags()
    assert {"loss", "validation_loss"} <= set(tags["scalars"])
    assert tags["images"]
    assert list((folder / "trackio" / "media").rglob("*.png"))
    [database] = (folder / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select metrics from metrics").fetchall()
    assert any(b"validation_loss" in row for (row,) in rows)
