"""The step is the published recipe, however its batch is split; a bad step changes nothing."""

from dataclasses import replace

import pytest
import pytorch_optimizer
import torch
from accelerate import Accelerator

from engine.data.loader import Batch
from engine.models.prior import PriorConfig, StableCascadePrior, init_weights
from engine.objective.loss import Loss
from engine.objective.schedule import alpha_bar, noise_condition, training_t
from engine.objective.weighting import build_weighting
from engine.optim.adamw_bf16 import AdamWBF16
from engine.optim.schedules import Schedule
from engine.training.step import Clipping, TrainStep, micro_batch_loss

CONFIG = PriorConfig(
    conditioning_dim=32,
    block_out_channels=(32, 32),
    num_attention_heads=(2, 2),
    down_num_layers_per_block=(1, 1),
    up_num_layers_per_block=(1, 1),
    clip_text_in_channels=16,
    clip_text_pooled_in_channels=16,
    clip_image_in_channels=8,
)
L2, CLIPPING = Loss(), Clipping(1.0)


def _batch(count=8):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(count, *shape, generator=generator)

    return Batch(
        latents=draw(16, 4, 5),
        noise=draw(16, 4, 5),
        u=torch.rand(count, generator=generator),
        clip_text=draw(77, 16),
        clip_text_pooled=draw(1, 16),
        names=("",) * count,
    )


def _split(batch, parts):
    names = ("latents", "noise", "u", "clip_text", "clip_text_pooled")
    chunks = {name: getattr(batch, name).chunk(parts) for name in names}
    return [
        Batch(**{name: chunks[name][i] for name in names}, names=batch.names) for i in range(parts)
    ]


def _prior():
    prior = StableCascadePrior(CONFIG)
    generator = torch.Generator().manual_seed(1)
    init_weights(prior, generator)
    with torch.no_grad():
        prior.clf[1].weight.normal_(std=0.1, generator=generator)
    prior.set_dropout(0.0)
    return prior.train()


def _step(prior, optimizer=None, *, weighting="p2", loss=L2, clip=CLIPPING):
    parameters = dict(prior.named_parameters())
    optimizer = optimizer or torch.optim.AdamW(parameters.values(), fused=True)
    return TrainStep(
        Accelerator(cpu=True),
        prior,
        parameters,
        optimizer,
        Schedule("constant", 1e-3, 10),
        build_weighting(weighting),
        loss=loss,
        clip=clip,
        seed=0,
    )


def test_the_loss_is_the_published_formula():
    prior, batch = _prior(), _batch()
    weighted, raw, _ = micro_batch_loss(prior, batch, build_weighting("p2"), Loss())
    t = training_t(batch.u)
    a, b = alpha_bar(t).sqrt().view(-1, 1, 1, 1), (1 - alpha_bar(t)).sqrt().view(-1, 1, 1, 1)
    x_t = a * batch.latents + b * batch.noise
    estimate = prior(x_t, noise_condition(alpha_bar(t)), batch.clip_text, batch.clip_text_pooled)
    expected = (estimate - batch.noise).square().mean(dim=(1, 2, 3))
    assert torch.allclose(raw, expected)
    assert torch.allclose(weighted, expected * (1 - alpha_bar(t)))


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_splitting_the_batch_changes_neither_loss_nor_gradient(parts):
    batch, results, weights = _batch(), [], []
    for count in (1, parts):
        prior = _prior()
        results.append(_step(prior).run(0, _split(batch, count), count))
        weights.append(prior.clf[1].weight.detach().clone())
    whole, split = results
    assert split.loss.item() == pytest.approx(whole.loss.item(), rel=1e-5)
    assert split.grad_norm.item() == pytest.approx(whole.grad_norm.item(), rel=1e-4)
    assert torch.allclose(*weights, atol=2e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.AdamW(p, fused=True),
        AdamWBF16,
        torch.optim.Adafactor,
        pytorch_optimizer.ScheduleFreeAdamW,
    ],
    ids=["torch-adamw", "adamw_bf16", "adafactor", "adamw-schedulefree"],
)
def test_a_step_that_is_not_finite_changes_no_weight_and_no_moment(make):
    prior = _prior()
    optimizer = make(prior.parameters())
    step = _step(prior, optimizer, weighting="adaptive")
    step.run(0, [_batch()], 1)
    before = {name: value.clone() for name, value in prior.state_dict().items()}
    moments = [
        {key: value.clone() for key, value in optimizer.state[p].items()}
        for p in prior.parameters()
    ]
    bad = _batch()
    bad.latents[0, 0, 0, 0] = float("nan")
    result = step.run(1, [bad], 1)
    assert not result.finite
    assert all(torch.equal(value, before[name]) for name, value in prior.state_dict().items())
    for parameter, kept in zip(prior.parameters(), moments, strict=True):
        for key, value in optimizer.state[parameter].items():
            assert torch.equal(value, kept[key]), key
    assert torch.isfinite(step.weighting.buckets).all()
    assert step.run(2, [_batch()], 1).finite


def _first_step(batch, **options):
    """The gradient that the optimizer is given in a first step, and the step's result."""
    prior = _prior()
    optimizer = torch.optim.SGD(prior.parameters())
    given = []
    optimizer.register_step_pre_hook(
        lambda *_: given.extend(p.grad.clone() for p in prior.parameters() if p.grad is not None)
    )
    result = _step(prior, optimizer, **options).run(0, [batch], 1)
    return torch.cat([torch.empty(0), *(gradient.flatten() for gradient in given)]), result


def test_gradients_are_scaled_to_the_norm_and_the_norm_from_before_is_told():
    whole, free = _first_step(_batch(), clip=Clipping(1e9))
    scaled, clipped = _first_step(_batch(), clip=Clipping(0.01))
    assert free.grad_norm.item() == pytest.approx(whole.double().norm().item(), rel=1e-4)
    assert clipped.grad_norm.item() == pytest.approx(free.grad_norm.item(), rel=1e-5)
    assert torch.allclose(scaled, whole * 0.01 / free.grad_norm, rtol=1e-4)


def test_gradients_are_cut_to_the_value_and_the_norm_from_before_is_told():
    whole, free = _first_step(_batch(), clip=Clipping(1e9))
    limit = whole.abs().max().item() / 10
    cut, clipped = _first_step(_batch(), clip=Clipping(1e-9, max_value=limit))
    assert clipped.grad_norm.item() == pytest.approx(free.grad_norm.item(), rel=1e-5)
    assert torch.equal(cut, whole.clamp(-limit, limit))
    assert not torch.equal(cut, whole)


def test_a_gradient_that_is_not_finite_skips_the_step_when_cut_by_value_too():
    bad = _batch()
    bad.latents[0, 0, 0, 0] = float("nan")
    given, result = _first_step(bad, clip=Clipping(1.0, max_value=0.1))
    assert not result.finite
    assert given.numel() == 0


def test_the_loss_type_reaches_the_step():
    _, l2 = _first_step(_batch())
    _, huber = _first_step(_batch(), loss=Loss("huber", 0.1))
    assert huber.loss < 0.5 * l2.loss


def test_input_noise_is_what_the_network_sees_and_noise_the_target():
    batch, weighting = _batch(), build_weighting("constant")
    other = torch.randn(batch.noise.shape, generator=torch.Generator().manual_seed(9))
    seen = []

    def predict(x_t, r, clip_text, pooled):
        seen.append(x_t)
        return batch.noise

    _, raw, _ = micro_batch_loss(predict, replace(batch, input_noise=other), weighting, Loss())
    micro_batch_loss(predict, replace(batch, noise=other), weighting, Loss())
    assert torch.equal(raw, torch.zeros(len(raw)))
    assert torch.equal(*seen)
