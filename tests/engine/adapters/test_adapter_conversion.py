"""Adapter files of every naming: converted without weights, read back, refused where unknown."""

import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engine.adapters.adapter import Adapter, AdapterError, with_dora_norm
from engine.adapters.convert import FORMATS, convert_adapter
from engine.adapters.export import save_comfyui, save_kohya, save_peft
from engine.adapters.load import load_adapter
from engine.adapters.lora import base_weights
from engine.models.prior_config import PriorConfig
from tests.engine.adapters.learnt_adapters import GOLDEN, KINDS, golden_prior, learnt

CONFIG = PriorConfig.from_file(GOLDEN / "config.json")
SAVE = {"peft": save_peft, "comfyui": save_comfyui, "kohya": save_kohya}
HOLDS = {
    "peft": ("lora", "rslora", "ranks", "patterns", "dora"),
    "comfyui": ("lora", "rslora", "ranks", "patterns", "lokr", "lokr-4", "lokr-whole", "loha"),
    "kohya": tuple(KINDS),
}


@pytest.fixture(scope="module")
def adapters():
    return {kind: learnt(settings)[1] for kind, settings in KINDS.items()}


def _equal(first: Adapter, second: Adapter):
    assert first.state.keys() == second.state.keys()
    assert all(torch.equal(first.state[key], second.state[key]) for key in first.state)
    assert first.scales == pytest.approx(second.scales, rel=1e-6)


@pytest.mark.parametrize("source", FORMATS)
@pytest.mark.parametrize("target", FORMATS)
def test_every_kind_goes_from_every_format_to_every_other_bit_for_bit(
    adapters, tmp_path, source, target
):
    prior = golden_prior()
    for kind in sorted(set(HOLDS[source]) & set(HOLDS[target])):
        first, second, third = (tmp_path / f"{kind}-{n}" for n in "123")
        SAVE[source](first, adapters[kind], metadata={})
        convert_adapter(first, second, target, CONFIG)
        _equal(load_adapter(second, prior), adapters[kind])
        convert_adapter(second, third, source, CONFIG)
        _equal(load_adapter(third, prior), adapters[kind])


def test_dora_reaches_comfyui_and_back_with_the_priors_weights(adapters, tmp_path):
    prior = golden_prior()
    save_peft(tmp_path / "peft", adapters["dora"], KINDS["dora"], metadata={})
    with pytest.raises(AdapterError, match="give the prior's weights"):
        convert_adapter(tmp_path / "peft", tmp_path / "comfyui", "comfyui", CONFIG)
    assert not (tmp_path / "comfyui").exists()
    base = prior.state_dict()
    convert_adapter(tmp_path / "peft", tmp_path / "comfyui", "comfyui", CONFIG, base=base)
    assert load_adapter(tmp_path / "comfyui", prior).dora_norm == "base"
    convert_adapter(tmp_path / "comfyui", tmp_path / "back", "peft", CONFIG, base=base)
    back = load_adapter(tmp_path / "back", prior)
    for key, tensor in adapters["dora"].state.items():
        assert torch.allclose(back.state[key], tensor, rtol=1e-6), key
    again = with_dora_norm(load_adapter(tmp_path / "comfyui", prior), "merged", base)
    assert all(torch.equal(again.state[key], back.state[key]) for key in back.state)


def test_a_kohya_file_has_its_keys_and_metadata(adapters, tmp_path):
    for kind, module in (("lora", "networks.lora"), ("lokr", "lycoris.kohya")):
        path = tmp_path / f"{kind}.safetensors"
        save_kohya(path, adapters[kind], metadata={"step": "12"})
        with safe_open(path, "pt") as file:
            metadata, keys = file.metadata(), set(file.keys())
        assert metadata["ss_network_module"] == module
        assert metadata["ss_network_dim"] == str(KINDS[kind].rank)
        assert metadata["ss_network_alpha"] == f"{KINDS[kind].alpha:g}"
        assert metadata["ss_base_model_version"] == "stable_cascade"
        assert not any("/" in value for value in metadata.values())
        stem = "lora_unet_down_blocks_0_2_attention_attn_"
        parts = {key.partition(".")[2] for key in keys if key.startswith(stem + "out_proj.")}
        expected = {
            "lora": {"lora_down.weight", "lora_up.weight", "alpha"},
            "lokr": {"lokr_w1", "lokr_w2_a", "lokr_w2_b", "alpha"},
        }
        assert parts == expected[kind]
        assert all(key.startswith("lora_unet_") for key in keys)


def test_names_that_other_trainers_write_are_read(adapters, tmp_path):
    save_comfyui(tmp_path / "ours", adapters["lora"], metadata={})
    ours, prior = load_file(tmp_path / "ours"), golden_prior()
    namings = {
        "onetrainer": lambda key: key,
        "kohya": lambda key: key.replace("lora_prior_unet_", "lora_unet_"),
        "lycoris": lambda key: key.replace("lora_prior_unet_", "lycoris_"),
        "flat-diffusers": lambda key: re.sub(
            "attention_attn_out_proj", "attention_to_out_0", key
        ).replace("attention_attn_", "attention_"),
    }
    for naming, rename in namings.items():
        save_file({rename(key): tensor for key, tensor in ours.items()}, tmp_path / naming)
        _equal(load_adapter(tmp_path / naming, prior), adapters["lora"])
    without_alpha = {key: t for key, t in ours.items() if not key.endswith(".alpha")}
    save_file(without_alpha, tmp_path / "bare")
    assert load_adapter(tmp_path / "bare", prior).scale == 1.0


def test_onetrainers_dotted_names_with_lora_a_and_b_are_read(adapters, tmp_path):
    prior = golden_prior()
    dotted = {
        key.replace("base_model.model.", "prior."): tensor
        for key, tensor in adapters["lora"].state.items()
    }
    save_file(dotted, tmp_path / "diffusers")
    loaded = load_adapter(tmp_path / "diffusers", prior)
    assert loaded.scale == 1.0  # alpha is folded into the weights there
    assert all(torch.equal(loaded.state[key], t) for key, t in adapters["lora"].state.items())


def test_what_cannot_be_converted_is_refused(adapters, tmp_path):
    source = tmp_path / "loha"
    save_kohya(source, adapters["loha"], metadata={})
    with pytest.raises(AdapterError, match="none of peft, comfyui, kohya"):
        convert_adapter(source, tmp_path / "new", "onnx", CONFIG)
    with pytest.raises(AdapterError, match="not loha"):
        convert_adapter(source, tmp_path / "new", "peft", CONFIG)
    with pytest.raises(AdapterError, match="exists already"):
        convert_adapter(source, source, "comfyui", CONFIG)
    columns = load_file(source)
    columns["lora_unet_clip_txt_mapper.dora_scale"] = torch.ones(1, 32)
    save_file(columns, tmp_path / "columns")
    with pytest.raises(AdapterError, match="scales columns"):
        load_adapter(tmp_path / "columns", golden_prior())


def test_an_adapter_of_a_larger_prior_is_refused_by_the_layer(adapters, tmp_path):
    state = dict(adapters["lora"].state)
    key = "base_model.model.up_blocks.0.2.attention.to_q.lora_A.weight"
    state[key] = torch.zeros(4, 96)
    save_peft(tmp_path / "peft", Adapter(state, adapters["lora"].alphas), metadata={})
    with pytest.raises(AdapterError, match=r"\[64, 96\], but this prior's is \[64, 64\]"):
        load_adapter(tmp_path / "peft", golden_prior())


def test_a_peft_config_that_is_not_the_weights_is_refused(adapters, tmp_path):
    save_peft(tmp_path / "peft", adapters["ranks"], KINDS["ranks"], metadata={})
    path = tmp_path / "peft" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"rank_pattern": {}}))
    with pytest.raises(AdapterError, match="has rank 4, its weights"):
        load_adapter(tmp_path / "peft", golden_prior())
    path.write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(AdapterError, match="use_dora is True, the weights differ"):
        load_adapter(tmp_path / "peft", golden_prior())


def test_base_weights_are_those_under_the_adapter():
    prior, adapter = learnt(KINDS["dora"])
    expected = golden_prior().state_dict()
    weights = base_weights(prior, adapter.modules)
    assert weights
    assert all(torch.equal(weight, expected[key]) for key, weight in weights.items())
