"""The prior equals the original network: outputs, gradients, names, shapes."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from engine.models.prior import StableCascadePrior, init_weights, timestep_embedding
from engine.models.prior_config import PriorConfig, PriorConfigError
from engine.models.weights import load_prior, load_strictly, to_diffusers, to_original

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture(scope="module")
def golden():
    return load_file(GOLDEN / "unet_tiny_io.safetensors")


@pytest.fixture
def prior():
    return load_prior(GOLDEN / "config.json", [GOLDEN / "unet_tiny_diffusers.safetensors"]).eval()


def _run(prior, golden, **changes):
    inputs = {
        "sample": golden["input.x"],
        "timestep_ratio": golden["input.r"],
        "clip_text": golden["input.clip_text"],
        "clip_text_pooled": golden["input.clip_text_pooled"],
        "clip_img": golden["input.clip_img"],
    }
    return prior(**{**inputs, **changes})


def test_the_timestep_embedding_equals_the_originals(golden):
    embedding = timestep_embedding(golden["input.r"], 64)
    assert torch.allclose(embedding, golden["inter.r_embed"][:, :64], atol=1e-6, rtol=0)


def test_the_clip_tokens_equal_the_originals(prior, golden):
    tokens = prior.embed_clip(
        golden["input.clip_text"], golden["input.clip_text_pooled"], golden["input.clip_img"]
    )
    assert torch.allclose(tokens, golden["inter.clip"], atol=1e-5, rtol=0)


def test_the_output_equals_the_originals(prior, golden):
    with torch.no_grad():
        output = _run(prior, golden)
    assert torch.allclose(output, golden["output"], atol=2e-5, rtol=0)


def test_original_and_diffusers_files_give_the_same_network(golden):
    original = load_prior(GOLDEN / "config.json", [GOLDEN / "unet_tiny_original.safetensors"])
    with torch.no_grad():
        output = _run(original.eval(), golden)
    assert torch.allclose(output, golden["output"], atol=2e-5, rtol=0)


def test_in_float64_it_equals_the_original_to_the_last_digits(prior, golden):
    inputs = {k: golden[f"input.{k}"].double() for k in ("x", "clip_text", "clip_text_pooled")}
    with torch.no_grad():
        output = prior.double()(
            inputs["x"],
            golden["input.r"],  # the embedding stays float32, as in the recording
            inputs["clip_text"],
            inputs["clip_text_pooled"],
            golden["input.clip_img"].double(),
        )
    assert (output - golden["output_f64"]).abs().max() < 1e-9


@pytest.mark.parametrize("recompute", [False, True])
def test_the_gradients_equal_the_originals(prior, golden, recompute):
    prior.gradient_checkpointing = recompute
    sample = golden["input.x"].clone().requires_grad_(True)
    _run(prior, golden, sample=sample).square().mean().backward()
    gradients = to_original({name: p.grad for name, p in prior.named_parameters()})
    expected = {key.removeprefix("grad."): v for key, v in golden.items() if key[:5] == "grad."}
    for name, value in expected.items():
        actual = sample.grad if name == "x" else gradients[name]
        assert (actual - value).abs().max() <= 2e-5 * value.abs().max(), name
    norms = json.loads((GOLDEN / "unet_tiny_original.json").read_text())["grad_norms"]["values"]
    assert gradients.keys() == norms.keys()
    for name, norm in norms.items():
        assert gradients[name].norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-7), name


def test_it_equals_diffusers_network_at_other_shapes(prior):
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet

    config = json.loads((GOLDEN / "config.json").read_text())
    oracle = StableCascadeUNet.from_config(config).eval()
    oracle.load_state_dict(load_file(GOLDEN / "unet_tiny_diffusers.safetensors"))
    generator = torch.Generator().manual_seed(3)
    for height, width in [(6, 6), (5, 11)]:
        inputs = {
            "sample": torch.randn(3, 16, height, width, generator=generator),
            "timestep_ratio": torch.rand(3, generator=generator),
            "clip_text": torch.randn(3, 77, 32, generator=generator),
            "clip_text_pooled": torch.randn(3, 1, 32, generator=generator),
        }
        with torch.no_grad():
            expected = oracle(**inputs, clip_img=torch.zeros(3, 1, 24)).sample
            assert torch.allclose(prior(**inputs), expected, atol=2e-5, rtol=0)


def test_recomputing_gives_the_same_gradients_with_the_same_dropout(prior, golden):
    prior.train()
    gradients = []
    for recompute in (False, True):
        prior.gradient_checkpointing = recompute
        prior.zero_grad()
        torch.manual_seed(5)
        _run(prior, golden).square().mean().backward()
        gradients.append({name: p.grad.clone() for name, p in prior.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.equal(gradients[1][name], gradient), name


def test_dropout_acts_in_training_only_and_can_be_set_to_zero(prior, golden):
    with torch.no_grad():
        still = _run(prior, golden)
        prior.train()
        assert not torch.equal(_run(prior, golden), still)
        prior.set_dropout(0.0)
        assert torch.equal(_run(prior, golden), still)


def test_under_autocast_the_output_and_the_residual_stream_stay_float32(prior, golden):
    seen = []
    for block in prior.down_blocks[0]:
        block.register_forward_hook(lambda _m, _i, output: seen.append(output.dtype))
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        output = _run(prior, golden)
    assert output.dtype == torch.float32
    assert set(seen) == {torch.float32}
    assert (output - golden["output"]).abs().max() < 0.2


@pytest.mark.parametrize("name", ["keys_stage_c", "keys_stage_c_lite"])
def test_the_full_networks_have_exactly_the_published_keys_and_shapes(name):
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    config = PriorConfig.from_dict(_published_config(lite=name.endswith("lite")))
    with torch.device("meta"):
        prior = StableCascadePrior(config)
    state = prior.state_dict()
    for naming, tensors in {"diffusers": state, "original": to_original(state)}.items():
        shapes = {key: list(tensor.shape) for key, tensor in tensors.items()}
        assert shapes == golden[naming]
        assert len(shapes) == golden[f"{naming}_tensors"]
    assert sum(tensor.numel() for tensor in state.values()) == golden["params"]
    assert to_diffusers(to_original(state)).keys() == state.keys()


def _published_config(*, lite: bool) -> dict:
    width, heads, layers = (1536, 24, [4, 12]) if lite else (2048, 32, [8, 24])
    return {
        "conditioning_dim": width,
        "block_out_channels": [width, width],
        "num_attention_heads": [heads, heads],
        "down_num_layers_per_block": layers,
        "up_num_layers_per_block": layers[::-1],
        "switch_level": [False],
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"switch_level": [True]}, "switch_level"),
        ({"patch_size": 2}, "patch_size is 2"),
        ({"effnet_in_channels": 16}, "effnet_in_channels is 16"),
        ({"timestep_conditioning_type": ["sca"]}, "decoder"),
        ({"block_types_per_layer": [["SDCascadeResBlock"]]}, "block_types_per_layer"),
        ({"conditioning_dim": None}, "not a Stage C config"),
        ({"num_attention_heads": [24]}, "num_attention_heads has 1 entries"),
        ({"num_attention_heads": [7, 24]}, "does not divide the width 1536"),
    ],
)
def test_configs_of_other_networks_are_refused_by_field(change, words):
    with pytest.raises(PriorConfigError, match=words):
        PriorConfig.from_dict({**_published_config(lite=True), **change})


def test_a_fresh_network_predicts_zero_and_learns(golden):
    prior = StableCascadePrior(PriorConfig.from_file(GOLDEN / "config.json"))
    init_weights(prior, torch.Generator().manual_seed(0))
    assert _run(prior, golden).abs().max() == 0
    optimizer = torch.optim.AdamW(prior.parameters(), lr=1e-3)
    for _ in range(3):
        loss = (_run(prior, golden) - golden["input.x"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (_run(prior, golden) - golden["input.x"]).square().mean() < loss


def test_a_fresh_network_has_the_originals_scales():
    prior = StableCascadePrior(PriorConfig.from_file(GOLDEN / "config.json"))
    init_weights(prior, torch.Generator().manual_seed(0))
    res, timestep, attention = prior.down_blocks[1][:3]
    limits = {
        prior.embedding[1]: 0.02 * (6 / (16 + 64)) ** 0.5,
        prior.down_downscalers[1][1].blocks[0]: (6 / 128) ** 0.5,
        attention.attention.to_k: (6 / (64 + 3 * 64)) ** 0.5,  # q, k, v were one matrix
        attention.attention.to_out[0]: (6 / 128) ** 0.5,
        attention.kv_mapper[1]: (6 / 128) ** 0.5,
        res.channelwise[0]: (6 / (64 + 256)) ** 0.5,
        res.channelwise[4]: (6 / (64 + 256)) ** 0.5 * (1 / 3) ** 0.5,  # 1 + 2 down layers
        timestep.mapper: 0.0,
        timestep.mapper_crp: 0.0,
    }
    for layer, limit in limits.items():
        assert layer.weight.abs().max() <= limit
        assert layer.weight.abs().max() >= 0.95 * limit
        assert layer.bias.abs().max() == 0
    assert prior.clip_img_mapper.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_the_config_survives_a_round_trip():
    config = PriorConfig.from_file(GOLDEN / "config.json")
    assert PriorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_bit_exact_round_trip_between_the_namings():
    original = load_file(GOLDEN / "unet_tiny_original.safetensors")
    back = to_original(to_diffusers(original))
    assert back.keys() == original.keys()
    assert all(torch.equal(back[key], original[key]) for key in original)


def test_a_strict_load_takes_the_tensors_themselves():
    tensors = load_file(GOLDEN / "unet_tiny_diffusers.safetensors")
    with torch.device("meta"):
        prior = StableCascadePrior(PriorConfig.from_file(GOLDEN / "config.json"))
    load_strictly(prior, tensors, "here")
    name, parameter = next(iter(prior.named_parameters()))
    assert parameter.data_ptr() == tensors[name].data_ptr()
