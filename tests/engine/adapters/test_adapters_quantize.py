"""A frozen base in a shorter format: close to the full one, smaller, and trained through."""

from __future__ import annotations

import copy
import weakref

import pytest
import torch
from torch import nn

from engine.adapters import quantize
from engine.adapters.lora import LoraSettings, attach_lora
from engine.adapters.quantize import FrozenLinear, quantize_base
from engine.models.prior import StableCascadePrior, init_weights
from engine.models.prior_config import PriorConfig

# Relative error of a normal weight, and bytes a weight at most (with scales).
FORMATS = {
    "bf16": (0.003, 2),
    "int8-torchao": (0.02, 1.1),
    "fp8-torchao": (0.04, 1.1),
    "int4-torchao": (0.12, 0.57),
    "nf4-bnb": (0.12, 0.57),
}
CONFIG = PriorConfig(
    conditioning_dim=64,
    block_out_channels=(64, 64),
    num_attention_heads=(1, 1),
    down_num_layers_per_block=(1, 1),
    up_num_layers_per_block=(1, 1),
    clip_text_in_channels=64,
    clip_text_pooled_in_channels=64,
    clip_image_in_channels=64,
)


@pytest.fixture(scope="module")
def dense() -> StableCascadePrior:
    prior = StableCascadePrior(CONFIG)
    init_weights(prior, torch.Generator().manual_seed(0))
    nn.init.normal_(prior.clf[1].weight, generator=torch.Generator().manual_seed(1))
    prior.requires_grad_(False)
    prior.set_dropout(0.0)
    return prior


@pytest.fixture
def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    return {
        "sample": torch.randn(2, 16, 3, 3, generator=generator),
        "timestep_ratio": torch.tensor([0.3, 0.7]),
        "clip_text": torch.randn(2, 77, 64, generator=generator),
        "clip_text_pooled": torch.randn(2, 1, 64, generator=generator),
    }


@pytest.mark.parametrize("precision", FORMATS)
def test_a_packed_weight_is_close_and_small(precision):
    linear = nn.Linear(256, 128)
    nn.init.normal_(linear.weight, std=0.02, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(copy.deepcopy(linear))
    quantize_base(network, precision)
    error, bytes_per_weight = FORMATS[precision]
    packed = network[0]
    assert isinstance(packed, FrozenLinear)
    assert 0 < (packed.weight - linear.weight).norm() / linear.weight.norm() < error
    stored = sum(
        p.numel() * p.element_size() for name, p in packed.named_parameters() if name != "bias"
    )
    assert stored <= bytes_per_weight * linear.weight.numel()


@pytest.mark.parametrize("precision", FORMATS)
def test_only_the_packed_form_is_kept_for_the_backward_pass(precision):
    network = nn.Sequential(nn.Linear(128, 64))
    network.requires_grad_(False)
    quantize_base(network, precision)
    kept: list[torch.Size] = []
    x = torch.randn(3, 128, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda tensor: (kept.append(tensor.shape), tensor)[1], lambda tensor: tensor
    ):
        y = network(x)
    assert kept == []
    y.sum().backward()
    assert torch.allclose(x.grad, network[0].weight.sum(dim=0).expand(3, -1), atol=1e-5)


@pytest.mark.parametrize("precision", FORMATS)
@pytest.mark.parametrize("autocast", [False, True])
def test_a_packed_base_predicts_nearly_the_same_and_its_adapter_gets_every_gradient(
    dense, inputs, precision, autocast
):
    with torch.no_grad():
        expected = dense(**inputs)
    prior = copy.deepcopy(dense)
    quantize_base(prior, precision)
    settings = LoraSettings(rank=4, alpha=4, target="all-linear")
    trained = attach_lora(prior, settings, generator=torch.Generator().manual_seed(0))
    gradients = []
    for recompute in (False, True):
        prior.gradient_checkpointing = recompute
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            output = prior(**inputs)
        assert output.dtype == torch.float32
        assert 0 < (output - expected).norm() / expected.norm() < 2 * FORMATS[precision][0] + 0.02
        output.square().mean().backward()
        gradients.append({name: parameter.grad for name, parameter in trained.items()})
        prior.zero_grad()
    for name, gradient in gradients[0].items():
        assert gradient is not None
        assert torch.equal(gradient, gradients[1][name])
        if ".lora_B." in name and "clip_img_mapper" not in name:  # its input is zeros
            assert gradient.abs().max() > 0, name


@pytest.mark.parametrize("precision", ["int8-torchao", "fp8-torchao"])
def test_a_packed_weight_is_the_one_that_torchao_makes(precision):
    from torchao.quantization import Float8WeightOnlyConfig, Int8WeightOnlyConfig, quantize_

    ours = nn.Sequential(nn.Linear(128, 64))
    theirs = copy.deepcopy(ours)
    quantize_base(ours, precision)
    config = Int8WeightOnlyConfig() if precision.startswith("int8") else Float8WeightOnlyConfig()
    quantize_(theirs, config)
    assert torch.allclose(ours[0].weight, theirs[0].weight.dequantize(), rtol=1e-5, atol=1e-7)


def test_int4_is_unpacked_as_torchao_would():
    from torchao.quantization.quant_primitives import dequantize_affine

    network = nn.Sequential(nn.Linear(128, 64))
    quantize_base(network, "int4-torchao")
    layer = network[0]
    codes = torch.stack([layer.packed & 15, layer.packed >> 4], dim=-1).flatten(1)
    zero = layer.group_zero.to(torch.int32)
    theirs = dequantize_affine(codes, (1, 64), layer.group_scale.float(), zero, torch.uint8, 0, 15)
    assert torch.equal(layer.weight, theirs)


def test_packing_is_the_same_each_time(dense):
    """A resumed run packs the base again: it must be the base that it was."""
    for precision in FORMATS:
        first, second = copy.deepcopy(dense), copy.deepcopy(dense)
        quantize_base(first, precision)
        quantize_base(second, precision)
        pairs = zip(first.modules(), second.modules(), strict=True)
        assert all(torch.equal(a.weight, b.weight) for a, b in pairs if type(a) is FrozenLinear)


def test_each_layer_is_freed_as_soon_as_it_is_packed(dense, monkeypatch):
    """Or the whole network lies on the GPU in float32 once more: 14 GB of the 3.6B prior."""
    alive: list[weakref.ref[nn.Linear]] = []
    most = 0

    def pack(linear: nn.Linear) -> FrozenLinear:
        nonlocal most
        alive.append(weakref.ref(linear))
        most = max(most, sum(reference() is not None for reference in alive))
        return packer(linear)

    packer = quantize._PACKERS["bf16"]
    monkeypatch.setitem(quantize._PACKERS, "bf16", pack)
    quantize_base(copy.deepcopy(dense), "bf16")
    assert len(alive) > 10
    assert most <= 2  # the one at hand, and the one whose slot was just taken
