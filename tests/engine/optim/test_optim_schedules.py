"""The learning rate is a pure function of the step."""

import math

import pytest
import torch
from transformers import optimization

from engine.config.fields import TrainingConfig
from engine.optim.build import build_schedule
from engine.optim.schedules import Schedule


def test_warmup_rises_linearly_and_reaches_the_peak():
    schedule = Schedule("cosine", peak=1e-3, num_steps=100, warmup_steps=10)
    rates = [schedule.at(step) for step in range(11)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == pytest.approx(1e-3)
    assert rates == sorted(rates)


def test_cosine_halves_in_the_middle_and_ends_at_the_end_rate():
    schedule = Schedule("cosine", peak=1e-3, num_steps=100, end=1e-5)
    assert schedule.at(50) == pytest.approx((1e-3 + 1e-5) / 2)
    assert schedule.at(100) == pytest.approx(1e-5)
    assert schedule.at(99) == pytest.approx(
        1e-5 + (1e-3 - 1e-5) * 0.5 * (1 + math.cos(math.pi * 0.99))
    )


def test_linear_goes_straight_to_the_end_rate():
    schedule = Schedule("linear", peak=1.0, num_steps=10, warmup_steps=2, end=0.2)
    assert [schedule.at(step) for step in (2, 6, 10)] == pytest.approx([1.0, 0.6, 0.2])


@pytest.mark.parametrize(("name", "first"), [("constant", 1.0), ("constant_with_warmup", 0.25)])
def test_constant_has_a_warmup_only_by_name(name, first):
    schedule = Schedule(name, peak=1.0, num_steps=10, warmup_steps=4)
    assert schedule.at(0) == first
    assert schedule.at(9) == 1.0


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (
            Schedule("linear", 1.0, 50, 5),
            lambda o: optimization.get_linear_schedule_with_warmup(o, 5, 50),
        ),
        (
            Schedule("cosine", 1.0, 50, 5),
            lambda o: optimization.get_cosine_schedule_with_warmup(o, 5, 50),
        ),
        (
            Schedule("cosine_with_restarts", 1.0, 50, 5, num_cycles=3),
            lambda o: optimization.get_cosine_with_hard_restarts_schedule_with_warmup(o, 5, 50, 3),
        ),
        (
            Schedule("polynomial", 1.0, 50, 5, end=0.1, power=2.5),
            lambda o: optimization.get_polynomial_decay_schedule_with_warmup(o, 5, 50, 0.1, 2.5),
        ),
        (
            Schedule("sine", 1.0, 50, 5, num_cycles=2),
            lambda o: optimization.get_cosine_schedule_with_warmup(o, 5, 50, num_cycles=2),
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_after_the_warmup_the_course_is_that_of_transformers(schedule, theirs):
    """Theirs warms up from 0, ours from the first step's share, so a step is never wasted."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    reference = theirs(optimizer)
    expected = []
    for _ in range(51):
        expected.append(reference.get_last_lr()[0])
        optimizer.step()
        reference.step()
    assert [schedule.at(step) for step in range(5, 51)] == pytest.approx(expected[5:], abs=1e-12)


def test_restarts_jump_back_to_the_peak_and_end_at_the_end_rate():
    schedule = Schedule("cosine_with_restarts", peak=1.0, num_steps=40, end=0.2, num_cycles=4)
    assert [schedule.at(step) for step in (0, 10, 20, 30)] == pytest.approx([1.0] * 4)
    assert schedule.at(9) < 0.25
    assert schedule.at(40) == pytest.approx(0.2)


def test_a_higher_power_falls_faster():
    rates = [Schedule("polynomial", 1.0, 10, power=power).at(5) for power in (1.0, 2.0, 3.0)]
    assert rates == pytest.approx([0.5, 0.25, 0.125])


def test_a_sine_wave_is_at_the_end_rate_in_the_middle_of_each_cycle():
    schedule = Schedule("sine", peak=1.0, num_steps=40, end=0.1, num_cycles=2)
    assert [schedule.at(step) for step in (0, 10, 20, 30)] == pytest.approx([1.0, 0.1, 1.0, 0.1])


@pytest.mark.parametrize(
    ("options", "step", "rate"),
    [
        ({"lr_scheduler": "polynomial", "lr_power": 2.0}, 5, 0.25),
        ({"lr_scheduler": "cosine_with_restarts", "lr_num_cycles": 2}, 5, 1.0),
        ({"lr_scheduler": "sine", "lr_num_cycles": 5}, 1, 0.0),
    ],
)
def test_the_options_of_a_schedule_reach_it(options, step, rate):
    config = TrainingConfig(learning_rate=1.0, **options)
    assert build_schedule(config, 10).at(step) == pytest.approx(rate, abs=1e-12)
