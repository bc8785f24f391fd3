"""The learning rate is a pure function of the step."""

import math

import pytest

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
