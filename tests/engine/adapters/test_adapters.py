"""LoRA: attached, learnt, saved, loaded elsewhere, merged."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.adapters.adapter import Adapter, AdapterError
from engine.adapters.export import save_comfyui, save_full, save_peft, save_single_file
from engine.adapters.load import load_adapter
from engine.adapters.lora import (
    LoraSettings,
    adapter_state,
    attach_lora,
    attached_adapter,
    load_adapter_state,
)
from engine.adapters.merge import merge_adapter
from engine.adapters.names import from_flat, to_flat
from engine.adapters.quantize import quantize_base
from engine.adapters.targets import TARGETS, linear_layers
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.models.weights import load_prior, to_original

GOLDEN = Path(__file__).parents[2] / "golden"
SETTINGS = LoraSettings(rank=4, alpha=6)


def _run(network, io):
    keys = ("x", "r", "clip_text", "clip_text_pooled", "clip_img")
    return network(*(io[f"input.{key}"] for key in keys))


def _attach(prior, settings=SETTINGS):
    return attach_lora(prior, settings, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_fresh_adapter_changes_nothing_and_is_all_that_learns(prior, io, target):
    with torch.no_grad():
        before = _run(prior, io)
    trained = _attach(prior, LoraSettings(rank=4, alpha=4, target=target))
    after = _run(prior, io)
    assert torch.equal(after, before)
    after.square().mean().backward()
    assert all(".lora_" in name and p.dtype == torch.float32 for name, p in trained.items())
    for name, parameter in prior.named_parameters():
        assert (parameter.grad is not None) == (name in trained), name
    # A has no gradient while B is zero; every B must have one, or its adapter is dead.
    dead = [n for n, p in trained.items() if ".lora_B." in n and p.grad.abs().max() == 0]
    assert [name for name in dead if "to_k" not in name] == []


def test_the_same_seed_gives_the_same_adapter(prior):
    first = _attach(prior)
    other = load_prior(GOLDEN / "config.json", [GOLDEN / "unet_tiny_diffusers.safetensors"])
    second = _attach(other)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_rank_above_a_layers_size_is_refused_with_the_largest_that_fits(prior):
    with pytest.raises(AdapterError, match=r"lora_rank 65.*set it to 64 or less"):
        _attach(prior, LoraSettings(rank=65, alpha=1))


def test_gradients_of_the_adapter_equal_finite_differences(prior, io):
    inputs = {key: value.double() for key, value in io.items()}
    trained = _attach(prior)
    prior.double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trained.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    _run(prior, inputs).square().mean().backward()
    for name in list(trained)[:3]:
        parameter = trained[name]
        direction = parameter.grad / parameter.grad.norm()
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter.add_(sign * 1e-4 * direction)
                values.append(_run(prior, inputs).square().mean().item())
                parameter.sub_(sign * 1e-4 * direction)
        slope = (values[0] - values[1]) / 2e-4
        # The timestep embedding is float32 by design, so the slope is not exact to the last digit.
        assert slope == pytest.approx(parameter.grad.norm().item(), rel=1e-4), name


def test_comfyui_keys_equal_the_golden_list():
    config = PriorConfig.from_dict(
        json.loads((GOLDEN / "config.json").read_text())
        | {"down_num_layers_per_block": [2, 2], "up_num_layers_per_block": [2, 2]}
    )
    prior = StableCascadePrior(config)
    _attach(prior)
    keys = {
        (key, str(list(t.shape)), str(t.dtype).removeprefix("torch."))
        for key, t in to_flat(attached_adapter(prior, SETTINGS)).items()
    }
    lines = (GOLDEN / "lora_keys_comfyui.txt").read_text().splitlines()
    assert keys == {tuple(line.split("\t")) for line in lines if line and line[0] != "#"}


def test_comfyui_file_equals_the_golden_one_and_comes_back(prior):
    state = load_file(GOLDEN / "lora_peft.safetensors")
    golden = load_file(GOLDEN / "lora_comfyui.safetensors")
    ours = to_flat(Adapter.uniform(state, 1.5))
    assert ours.keys() == golden.keys()
    assert all(torch.equal(ours[key], golden[key]) for key in golden)
    back = from_flat(golden, linear_layers(prior))
    assert back.scale == 1.5
    assert back.state.keys() == state.keys()
    assert all(torch.equal(back.state[key], state[key]) for key in state)


def test_merging_equals_the_golden_weights_and_output(prior, io):
    golden = load_file(GOLDEN / "lora_merge.safetensors")
    adapter = load_file(GOLDEN / "lora_peft.safetensors")
    merged = merge_adapter(prior.state_dict(), Adapter.uniform(adapter, 1.5))
    for key, expected in golden.items():
        name = key.removeprefix("merged_diffusers.")
        if name != key:
            assert torch.allclose(merged[name], expected, atol=1e-6, rtol=0), name
    for key, tensor in to_original(merged).items():
        if (expected := golden.get(f"merged_original.{key}")) is not None:
            assert torch.allclose(tensor, expected, atol=1e-6, rtol=0), key
    prior.load_state_dict(merged)
    with torch.no_grad():
        assert torch.allclose(_run(prior, io), golden["output_merged"], atol=5e-5, rtol=0)
        wide = {k: v if k == "input.r" else v.double() for k, v in io.items()}
        exact = _run(prior.double(), wide)
    assert (exact - golden["output_merged_f64"]).abs().max() < 1e-5  # of float32 weights


def test_the_active_adapter_equals_the_merged_network(prior, io):
    golden = load_file(GOLDEN / "lora_merge.safetensors")
    _attach(prior)
    load_adapter_state(prior, load_file(GOLDEN / "lora_peft.safetensors"))
    with torch.no_grad():
        assert torch.allclose(_run(prior, io), golden["output_merged"], atol=5e-5, rtol=0)


def test_peft_loads_our_folder_onto_diffusers_network_with_the_same_output(prior, io, tmp_path):
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet
    from peft import PeftModel

    trained = _attach(prior, LoraSettings(rank=4, alpha=8, target="all-linear"))
    with torch.no_grad():
        generator = torch.Generator().manual_seed(2)
        for parameter in trained.values():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
        ours = _run(prior, io)
    settings = LoraSettings(rank=4, alpha=8, target="all-linear")
    save_peft(
        tmp_path / "peft", attached_adapter(prior, settings), settings, metadata={"step": "1"}
    )
    config = json.loads((GOLDEN / "config.json").read_text())
    unet = StableCascadeUNet.from_config(config).eval()
    unet.load_state_dict(load_file(GOLDEN / "unet_tiny_diffusers.safetensors"))
    theirs = PeftModel.from_pretrained(unet, tmp_path / "peft")
    with torch.no_grad():
        output = theirs(
            sample=io["input.x"],
            timestep_ratio=io["input.r"],
            clip_text=io["input.clip_text"],
            clip_text_pooled=io["input.clip_text_pooled"],
            clip_img=io["input.clip_img"],
        ).sample
    assert torch.allclose(output, ours, atol=1e-5, rtol=0)


def test_a_folder_that_peft_wrote_is_loaded(prior, io, tmp_path):
    shutil.copy(GOLDEN / "lora_peft.safetensors", tmp_path / "adapter_model.safetensors")
    shutil.copy(GOLDEN / "lora_peft_adapter_config.json", tmp_path / "adapter_config.json")
    loaded = load_adapter(tmp_path, prior)
    assert loaded.scale == 1.5
    _attach(prior)
    load_adapter_state(prior, loaded.state)
    golden = load_file(GOLDEN / "lora_merge.safetensors")
    with torch.no_grad():
        assert torch.allclose(_run(prior, io), golden["output_merged"], atol=5e-5, rtol=0)


@pytest.mark.parametrize(
    "change", [{"use_dora": True}, {"lora_bias": True}, {"peft_type": "LOHA"}, {"r": 0}]
)
def test_adapters_of_another_kind_are_refused(prior, tmp_path, change):
    shutil.copy(GOLDEN / "lora_peft.safetensors", tmp_path / "adapter_model.safetensors")
    config = json.loads((GOLDEN / "lora_peft_adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
    with pytest.raises(AdapterError, match=r"adapter_config\.json"):
        load_adapter(tmp_path, prior)


@pytest.mark.parametrize("kind", ["peft", "comfyui"])
def test_files_come_back_bit_for_bit_with_their_scale(prior, tmp_path, kind):
    settings = LoraSettings(rank=4, alpha=6, target="all-linear")
    _attach(prior, settings)
    state = adapter_state(prior)
    path = tmp_path / "adapter.safetensors"
    path = tmp_path / "peft" if kind == "peft" else path
    adapter, metadata = attached_adapter(prior, settings), {"step": "12"}
    if kind == "peft":
        save_peft(path, adapter, settings, metadata=metadata)
    else:
        save_comfyui(path, adapter, metadata=metadata)
    loaded = load_adapter(path, prior)
    assert loaded.scale == 1.5
    assert loaded.state.keys() == state.keys()
    assert all(torch.equal(loaded.state[key], state[key]) for key in state)
    with safe_open(next(path.glob("*.safetensors")) if path.is_dir() else path, "pt") as file:
        assert file.metadata() == {"format": "pt", "rank": "4", "alpha": "6", "step": "12"}


def test_all_linear_means_every_linear_layer(prior):
    layers = {n for n, m in prior.named_modules() if isinstance(m, torch.nn.Linear)}
    trained = _attach(prior, LoraSettings(rank=4, alpha=4, target="all-linear"))
    assert {name.split(".lora_")[0] for name in trained} == layers


def test_an_unknown_target_or_one_without_layers_is_refused(prior):
    with pytest.raises(AdapterError, match="none of attention, attention"):
        _attach(prior, LoraSettings(rank=4, alpha=4, target="everything"))
    with pytest.raises(AdapterError, match="no linear layer of this prior is called to_q"):
        _attach(torch.nn.Sequential(torch.nn.Linear(8, 8)))


def test_an_adapter_of_another_shape_is_refused(prior):
    _attach(prior, LoraSettings(rank=8, alpha=8))
    with pytest.raises(AdapterError, match="does not fit"):
        load_adapter_state(prior, load_file(GOLDEN / "lora_peft.safetensors"))


def test_foreign_keys_are_refused_by_name(prior, tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"lora_unet_input_blocks_1.lora_up.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(AdapterError, match="lora_unet_input_blocks_1"):
        load_adapter(path, prior)


def test_a_full_model_is_written_as_both_published_layouts(prior, io, tmp_path):
    save_full(tmp_path / "prior", prior)
    save_single_file(tmp_path / "stage_c.safetensors", prior)
    with torch.no_grad():
        expected = _run(prior, io)
        for weights in ("prior/diffusion_pytorch_model.safetensors", "stage_c.safetensors"):
            again = load_prior(tmp_path / "prior" / "config.json", [tmp_path / weights]).eval()
            assert torch.allclose(_run(again, io), expected, atol=1e-5, rtol=0)


def test_an_original_file_can_be_written_again(tmp_path):
    source = GOLDEN / "unet_tiny_original.safetensors"
    prior = load_prior(GOLDEN / "config.json", [source])
    save_full(tmp_path / "prior", prior)  # q, k and v are views of one tensor of the file
    save_single_file(tmp_path / "stage_c.safetensors", prior)
    written, original = load_file(tmp_path / "stage_c.safetensors"), load_file(source)
    assert written.keys() == original.keys()
    assert all(torch.equal(written[key], original[key]) for key in original)


@pytest.mark.parametrize("base", ["int8-torchao", "bf16"])
def test_a_smaller_base_trains_float32_adapters_under_autocast_with_recomputing(prior, io, base):
    if base == "bf16":
        prior.to(torch.bfloat16)
    else:
        quantize_base(prior, base)
    trained = _attach(prior, LoraSettings(rank=4, alpha=4, target="attention+mlp"))
    prior.train()
    prior.set_dropout(0.0)
    gradients = []
    for recompute in (False, True):
        prior.gradient_checkpointing = recompute
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = _run(prior, io).float().square().mean()
        loss.backward()
        gradients.append([parameter.grad for parameter in trained.values()])
        prior.zero_grad()
    assert all(parameter.dtype == torch.float32 for parameter in trained.values())
    for first, second in zip(*gradients, strict=True):
        assert torch.equal(first, second)
    assert max(gradient.abs().max() for gradient in gradients[0]) > 0


def test_an_int8_base_stays_close_and_carries_a_trainable_adapter(prior, io):
    with torch.no_grad():
        exact = _run(prior, io)
    prior.requires_grad_(False)
    quantize_base(prior, "int8-torchao")
    trained = _attach(prior, LoraSettings(rank=4, alpha=4, target="all-linear"))
    output = _run(prior, io)
    error = (output - exact).norm() / exact.norm()
    assert 0 < error < 0.05
    output.square().mean().backward()
    gradients = [p.grad for name, p in trained.items() if ".lora_B." in name]
    assert len(gradients) == len(trained) // 2
    assert all(gradient is not None for gradient in gradients)
