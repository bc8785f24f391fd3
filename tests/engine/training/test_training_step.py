"""The step is the published recipe, however its batch is split; a bad step changes nothing."""

import pytest
import torch
from accelerate import Accelerator

from engine.data.loader import Batch
from engine.models.prior import PriorConfig, StableCascadePrior, init_weights
from engine.objective.schedule import alpha_bar, noise_condition, training_t
from engine.objective.weighting import build_weighting
from engine.optim.adamw_bf16 import AdamWBF16
from engine.optim.schedules import Schedule
from engine.training.step import TrainStep, micro_batch_loss

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


def _step(prior, optimizer=None, *, weighting="p2"):
    parameters = dict(prior.named_parameters())
    optimizer = optimizer or torch.optim.AdamW(parameters.values(), fused=True)
    return TrainStep(
        Accelerator(cpu=True),
        prior,
        parameters,
        optimizer,
        Schedule("constant", 1e-3, 10),
        build_weighting(weighting),
        max_grad_norm=1.0,
        seed=0,
    )


def test_the_loss_is_the_published_formula():
    prior, batch = _prior(), _batch()
    weighted, raw, _ = micro_batch_loss(prior, batch, build_weighting("p2"))
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


@pytest.mark.parametrize("make", [lambda p: torch.optim.AdamW(p, fused=True), AdamWBF16])
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
