"""The loss options mean what their formulas say."""

import pytest
import torch

from engine.objective.loss import Loss
from engine.objective.schedule import alpha_bar, log_snr_of
from engine.objective.weighting import WeightingStateError, build_weighting


def _pair():
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(3, 16, 4, 5, generator=generator) for _ in range(2)]


def test_l2_is_the_mean_square_of_each_sample():
    prediction, target = _pair()
    expected = (prediction - target).square().mean(dim=(1, 2, 3))
    assert torch.equal(Loss()(prediction, target), expected)


@pytest.mark.parametrize("delta", [0.1, 0.5, 2.0])
def test_huber_is_twice_that_of_torch(delta):
    prediction, target = _pair()
    theirs = torch.nn.functional.huber_loss(prediction, target, reduction="none", delta=delta)
    expected = 2 * theirs.mean(dim=(1, 2, 3))
    assert torch.allclose(Loss("huber", delta)(prediction, target), expected)


def test_huber_is_l2_for_errors_within_delta_and_less_beyond():
    prediction, target = _pair()
    assert torch.allclose(Loss("huber", 100.0)(prediction, target), Loss()(prediction, target))
    assert (Loss("huber", 0.1)(prediction, target) < Loss()(prediction, target)).all()


def test_the_loss_is_taken_in_float32():
    prediction, target = _pair()
    assert Loss("huber")(prediction.bfloat16(), target).dtype == torch.float32


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_is_the_smaller_of_snr_and_gamma_over_snr(gamma):
    abar = alpha_bar(torch.linspace(0, 1, 101, dtype=torch.float64))
    snr = abar / (1 - abar)
    weights = build_weighting("min_snr", min_snr_gamma=gamma)(abar, log_snr_of(abar))
    assert torch.allclose(weights, snr.clamp(max=gamma) / snr)
    assert weights[-1] == 1
    assert weights[0] < 0.01


def test_a_checkpoint_of_another_weighting_is_refused():
    min_snr = build_weighting("min_snr")
    min_snr.load_state(min_snr.state())
    with pytest.raises(WeightingStateError, match="p2"):
        min_snr.load_state(build_weighting("p2").state())
