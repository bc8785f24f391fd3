"""The moving average follows its parameters and steps aside when asked."""

import pytest
import torch

from engine.optim.ema import Ema


def test_the_average_approaches_a_constant_parameter():
    weight = torch.nn.Parameter(torch.zeros(4))
    ema = Ema({"weight": weight}, decay=0.9)
    with torch.no_grad():
        weight.fill_(1.0)
    for step in range(1, 200):
        ema.update(step)
    assert torch.allclose(ema.tensors()["weight"], torch.ones(4), atol=1e-4)


def test_the_first_updates_decay_less_than_asked():
    weight = torch.nn.Parameter(torch.ones(1))
    ema = Ema({"weight": weight}, decay=0.9999)
    ema.averages["weight"].zero_()
    ema.update(1)
    assert ema.tensors()["weight"].item() == pytest.approx(1 - 2 / 11)


def test_only_every_nth_step_is_folded_in():
    ema = Ema({"weight": torch.nn.Parameter(torch.ones(1))}, decay=0.9, update_interval=5)
    for step in range(1, 12):
        ema.update(step)
    assert ema.num_updates == 2


def test_applied_swaps_the_average_in_and_the_trained_value_back_even_after_an_error():
    weight = torch.nn.Parameter(torch.ones(2))
    ema = Ema({"weight": weight}, decay=0.5)
    ema.averages["weight"].fill_(7.0)

    def look():
        with ema.applied():
            assert weight.tolist() == [7.0, 7.0]
            raise RuntimeError("validation failed")

    with pytest.raises(RuntimeError):
        look()
    assert weight.tolist() == [1.0, 1.0]


def test_averages_of_other_parameters_are_refused():
    ema = Ema({"weight": torch.nn.Parameter(torch.ones(2))}, decay=0.5)
    with pytest.raises(ValueError, match="other parameters"):
        ema.load({"bias": torch.ones(2)}, 3)
