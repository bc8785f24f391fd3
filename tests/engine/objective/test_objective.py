"""Schedule, weighting and sampler equal the original's recorded numbers."""

import json
import math
from pathlib import Path

import pytest
import torch

from engine.objective.sampler import Conditioning, guide, sample_ddpm, sample_latents
from engine.objective.schedule import (
    alpha_bar,
    diffuse,
    log_snr_of,
    noise_condition,
    training_t,
)
from engine.objective.weighting import AdaptiveWeight, WeightingStateError, build_weighting

GOLDEN = Path(__file__).parents[2] / "golden"


def _read(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def _column(rows, key):
    return torch.tensor([row[key] for row in rows], dtype=torch.float64)


def test_the_schedule_equals_the_original():
    rows = _read("schedule")["rows"]
    t = _column(rows, "t")
    for shift, suffix in ((1.0, ""), (2.0, "_shift2")):
        abar = alpha_bar(t, shift)
        assert (log_snr_of(abar) - _column(rows, f"logSNR{suffix}")).abs().max() < 1e-9
        assert (noise_condition(abar) - _column(rows, f"r{suffix}")).abs().max() < 1e-10
    abar = alpha_bar(t)
    assert (abar - _column(rows, "alpha_bar")).abs().max() < 1e-12
    assert (abar.sqrt() - _column(rows, "a")).abs().max() < 1e-12
    assert ((1 - abar).sqrt() - _column(rows, "b")).abs().max() < 1e-12


def test_p2_weights_equal_the_original():
    rows = _read("schedule")["rows"]
    abar = alpha_bar(_column(rows, "t"))
    weights = build_weighting("p2")(abar, log_snr_of(abar))
    assert (weights - _column(rows, "p2_weight")).abs().max() < 1e-12


def test_float32_stays_within_the_originals_rounding():
    golden = _read("schedule")
    t = _column(golden["rows"], "t").float()
    limits = golden["tolerance"]["float32_vs_float64_max_abs"]
    abar = alpha_bar(t)
    assert (abar - _column(golden["rows"], "alpha_bar")).abs().max() < 2 * limits["alpha_bar"]
    assert (noise_condition(abar) - _column(golden["rows"], "r")).abs().max() < 4 * limits["r"]


def test_training_times_equal_the_original():
    golden = _read("schedule")["train_t"]
    u = torch.tensor(golden["u"], dtype=torch.float64)
    t = training_t(u)
    abar = alpha_bar(t)
    assert torch.allclose(t, torch.tensor(golden["t"], dtype=torch.float64), atol=1e-12)
    assert torch.allclose(
        noise_condition(abar), torch.tensor(golden["r"], dtype=torch.float64), atol=1e-10
    )
    assert torch.allclose(
        1 - abar, torch.tensor(golden["p2_weight"], dtype=torch.float64), atol=1e-12
    )


def test_diffusing_keeps_the_variance_and_tells_the_network_its_noise():
    generator = torch.Generator().manual_seed(0)
    x0 = torch.randn(3, 16, 64, 64, generator=generator)
    noise = torch.randn(x0.shape, generator=generator)
    x_t, r, abar = diffuse(x0, noise, torch.tensor([0.001, 0.5, 1.0]))
    assert torch.allclose(x_t.flatten(1).std(dim=1), torch.ones(3), atol=0.02)
    assert r[1].item() == pytest.approx(0.5, abs=1e-5)
    assert r[2].item() == pytest.approx(0.993583, abs=1e-5)
    assert abar[2].item() == pytest.approx(1e-4)


def test_adaptive_weights_follow_the_originals_trace():
    golden = _read("adaptive_loss")
    weighting = AdaptiveWeight()
    for step in golden["steps"]:
        log_snr = torch.tensor(step["logSNR"])
        weights = weighting(log_snr, log_snr)
        assert torch.allclose(weights, torch.tensor(step["weight"]), rtol=2e-6, atol=0)
        assert weighting._index(log_snr).tolist() == step["bucket_index"]
        weighting.observe(log_snr, torch.tensor(step["raw_loss"]))
    assert torch.allclose(weighting.buckets, torch.tensor(golden["final_buckets"]), atol=2e-6)


def test_adaptive_bucket_edges_and_limits_equal_the_original():
    golden = _read("adaptive_loss")
    weighting = AdaptiveWeight()
    edges = golden["edge_cases"]
    assert weighting._index(torch.tensor(edges["logSNR"])).tolist() == edges["bucket_index"]
    clamps = golden["clamp_cases"]
    for index, value in zip(clamps["bucket_index"], clamps["bucket_value"], strict=True):
        weighting.buckets[index] = value
    log_snr = torch.tensor(clamps["logSNR"])
    assert torch.allclose(weighting(log_snr, log_snr), torch.tensor(clamps["weight"]), rtol=2e-6)


def test_adaptive_state_survives_a_checkpoint_and_another_weighting_is_refused():
    weighting = AdaptiveWeight()
    weighting.observe(torch.tensor([0.0]), torch.tensor([5.0]))
    weighting.observe(torch.tensor([0.0]), torch.tensor([math.nan]))
    restored = AdaptiveWeight()
    restored.load_state(json.loads(json.dumps(weighting.state())))
    assert torch.equal(restored.buckets, weighting.buckets)
    assert torch.isfinite(restored.buckets).all()
    with pytest.raises(WeightingStateError, match="adaptive"):
        build_weighting("p2").load_state(weighting.state())


@pytest.mark.parametrize(
    ("trace", "shift", "convention"),
    [
        ("gdf_shift1", 1.0, "original"),
        ("gdf_shift2", 2.0, "original"),
        ("diffusers", 1.0, "diffusers"),
    ],
)
def test_the_sampler_equals_the_recorded_traces(trace, shift, convention):
    golden = _read("sampler_trace")
    fake, recorded = golden["fake_network"], golden["traces"][trace]
    noise = torch.tensor(golden["z"], dtype=torch.float64)
    seen = []

    def predict(x, r):
        seen.append((x, r))
        return fake["kx"] * x + fake["ks"] * torch.sin(fake["w"] * r)

    last = sample_ddpm(
        predict,
        torch.tensor(golden["x_init"], dtype=torch.float64),
        lambda step: noise[step],
        num_steps=golden["steps"],
        shift=shift,
        convention=convention,
    )
    expected = torch.tensor(recorded["x"], dtype=torch.float64)
    told = recorded["t"] if convention == "diffusers" else recorded["r"]
    for step, (x, r) in enumerate(seen):
        assert (x - expected[step]).abs().max() < 1e-9
        assert r.item() == pytest.approx(told[step], abs=1e-10)
    assert (last - expected[-1]).abs().max() < 1e-9


def test_guidance_with_rescale_equals_the_originals_trace():
    golden = _read("sampler_trace")
    fake, case = golden["fake_network"], golden["cfg_trace"]
    condition = torch.tensor(case["c"], dtype=torch.float64).view(-1, 1, 1, 1)
    noise = torch.tensor(case["z"], dtype=torch.float64)
    expected = torch.tensor(case["trace"]["x"], dtype=torch.float64)
    seen = []

    def predict(x, r):
        seen.append(x)
        unconditional = fake["kx"] * x + fake["ks"] * torch.sin(fake["w"] * r)
        conditional = unconditional + fake["kc"] * condition
        return guide(conditional, unconditional, case["cfg"], rescale=case["cfg_rho"])

    last = sample_ddpm(
        predict,
        torch.tensor(case["x_init"], dtype=torch.float64),
        lambda step: noise[step],
        num_steps=len(noise),
        shift=case["trace"]["shift"],
    )
    assert (torch.stack([*seen, last]) - expected).abs().max() < 1e-9


class _Recorder(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.batches = []

    def forward(self, x, r, clip_text, pooled):
        self.batches.append(len(x))
        return 0.1 * x + clip_text.mean(dim=(1, 2)).view(-1, 1, 1, 1)


def _conditioning(count, value):
    return Conditioning(torch.full((count, 77, 8), value), torch.full((count, 1, 8), value))


def test_guidance_runs_both_prompts_as_one_batch_and_none_when_it_is_one():
    prior = _Recorder()
    arguments = {"grid": (3, 4), "num_steps": 2}
    prompt, negative = _conditioning(2, 0.5), _conditioning(1, 0.0)
    guided = sample_latents(prior, prompt, negative, seeds=[1, 2], guidance_scale=4.0, **arguments)
    assert guided.shape == (2, 16, 3, 4)
    assert prior.batches == [4, 4]
    prior.batches.clear()
    sample_latents(prior, prompt, negative, seeds=[1, 2], guidance_scale=1.0, **arguments)
    assert prior.batches == [2, 2]


def test_a_picture_depends_on_its_own_seed_only():
    prior = _Recorder()
    arguments = {"grid": (3, 4), "num_steps": 3, "guidance_scale": 1.0}
    negative = _conditioning(1, 0.0)
    both = sample_latents(prior, _conditioning(2, 0.5), negative, seeds=[7, 8], **arguments)
    alone = sample_latents(prior, _conditioning(1, 0.5), negative, seeds=[8], **arguments)
    assert torch.equal(both[1:], alone)
    assert not torch.equal(both[0], both[1])
