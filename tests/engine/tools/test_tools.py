"""Priors and adapters from one format to another, merged, and exported from a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.adapters.adapter import AdapterError
from engine.models.weights import WeightsError
from engine.tools.convert import convert
from engine.tools.full_models import published_config, read_full_model
from engine.tools.merge import merge

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def hub(tmp_path) -> Path:
    folder = tmp_path / "hub"
    folder.mkdir()
    shutil.copy(GOLDEN / "config.json", folder)
    shutil.copy(
        GOLDEN / "unet_tiny_diffusers.safetensors",
        folder / "diffusion_pytorch_model.safetensors",
    )
    return folder


@pytest.fixture
def adapter(tmp_path) -> Path:
    folder = tmp_path / "peft"
    folder.mkdir()
    shutil.copy(GOLDEN / "lora_peft.safetensors", folder / "adapter_model.safetensors")
    shutil.copy(GOLDEN / "lora_peft_adapter_config.json", folder / "adapter_config.json")
    return folder


def asked(source: Path, target: Path, fmt: str | None = None, **further: str | None) -> dict:
    request = {"source": str(source), "target": str(target), "format": fmt}
    return request | {"prior": None, "base": None} | further


def same(first: Path, second: Path) -> bool:
    one, two = load_file(first), load_file(second)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_prior_goes_to_one_file_and_back_bit_for_bit(hub, tmp_path):
    single, again = tmp_path / "stage_c.safetensors", tmp_path / "again"
    convert(asked(hub, single))
    assert same(single, GOLDEN / "unet_tiny_original.safetensors")
    convert(asked(single, again, prior=str(hub)))
    weights = "diffusion_pytorch_model.safetensors"
    assert same(again / weights, hub / weights)
    assert json.loads((again / "config.json").read_text())["block_out_channels"] == [64, 64]


def test_bf16_stays_bf16_under_the_published_name(hub, tmp_path):
    path = hub / "diffusion_pytorch_model.safetensors"
    save_file({key: value.bfloat16() for key, value in load_file(path).items()}, path)
    convert(asked(hub, tmp_path / "c.safetensors"))
    convert(asked(tmp_path / "c.safetensors", tmp_path / "d", prior=str(hub)))
    assert same(tmp_path / "d" / "diffusion_pytorch_model.bf16.safetensors", path)


def test_a_published_shape_is_recognised_without_its_config(tmp_path):
    manifest = json.loads((GOLDEN / "keys_stage_c_lite.json").read_text())["diffusers"]
    tensors = {key: torch.empty(shape, device="meta") for key, shape in manifest.items()}
    assert published_config(tensors, tmp_path).block_out_channels == (1536, 1536)
    with pytest.raises(WeightsError, match=r"give its config\.json with --prior"):
        published_config(dict(list(tensors.items())[1:]), tmp_path)


def test_a_prior_with_a_tensor_too_few_is_refused(hub, tmp_path):
    path = hub / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    del tensors["clip_txt_mapper.bias"]
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"clip_txt_mapper\.bias"):
        convert(asked(hub, tmp_path / "c.safetensors"))


def test_an_adapter_goes_to_comfyui_and_back(hub, adapter, tmp_path):
    convert(asked(adapter, tmp_path / "a.safetensors", "comfyui", prior=str(hub)))
    assert same(tmp_path / "a.safetensors", GOLDEN / "lora_comfyui.safetensors")
    convert(asked(tmp_path / "a.safetensors", tmp_path / "back", "peft", prior=str(hub)))
    weights = "adapter_model.safetensors"
    assert same(tmp_path / "back" / weights, adapter / weights)


def test_an_adapter_needs_a_format_and_its_own_prior(adapter, tmp_path):
    with pytest.raises(AdapterError, match="say --to peft, comfyui, kohya"):
        convert(asked(adapter, tmp_path / "a"))
    with pytest.raises(AdapterError):
        convert(asked(adapter, tmp_path / "a", "comfyui"))
    assert not (tmp_path / "a").exists()


def test_what_is_there_is_not_written_over(hub, tmp_path):
    (tmp_path / "c").write_text("mine")
    with pytest.raises(WeightsError, match="exists already"):
        convert(asked(hub, tmp_path / "c"))
    assert (tmp_path / "c").read_text() == "mine"


def test_merging_writes_the_golden_weights_and_weighs_each_adapter(hub, adapter, tmp_path):
    request = {"base": str(hub), "format": "hub", "prior": None}
    pairs = [[str(adapter), 0.25], [str(adapter), 0.75]]
    merge(request | {"target": str(tmp_path / "merged"), "adapters": pairs})
    golden = load_file(GOLDEN / "lora_merge.safetensors")
    merged = read_full_model(tmp_path / "merged").tensors
    compared = 0
    for key, expected in golden.items():
        name = key.removeprefix("merged_diffusers.")
        if name != key:
            assert torch.allclose(merged[name], expected, atol=1e-6, rtol=0), name
            compared += 1
    assert compared


def test_diffusers_loads_a_merged_single_file_as_the_original(hub, adapter, tmp_path):
    from diffusers.loaders.single_file_utils import (
        convert_stable_cascade_unet_single_file_to_diffusers,
    )

    target = tmp_path / "stage_c.safetensors"
    pairs = [[str(adapter), 1.0]]
    request = {"base": str(hub), "format": "single-file", "prior": None}
    merge(request | {"target": str(target), "adapters": pairs})
    converted = convert_stable_cascade_unet_single_file_to_diffusers(load_file(target))
    golden = load_file(GOLDEN / "lora_merge.safetensors")
    for key, expected in golden.items():
        name = key.removeprefix("merged_diffusers.")
        if name != key:
            assert torch.allclose(converted[name], expected, atol=1e-6, rtol=0), name


def test_a_file_that_is_no_safetensors_is_said_to_be_none(tmp_path):
    (tmp_path / "notes.txt").write_text("not weights at all, whatever the name says")
    with pytest.raises(WeightsError, match=r"notes\.txt cannot be read as safetensors"):
        convert(asked(tmp_path / "notes.txt", tmp_path / "x", "peft"))


def test_a_fault_is_one_line_and_exit_code_2(tmp_path):
    request = asked(tmp_path / "absent.safetensors", tmp_path / "x", "peft")
    command = [sys.executable, "-m", "engine.tools.convert", json.dumps(request)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "absent.safetensors" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_folder_without_weights_is_no_adapter(tmp_path):
    with pytest.raises(AdapterError, match="neither a prior nor an adapter"):
        convert(asked(tmp_path, tmp_path / "target", "kohya"))


def test_an_adapter_of_a_prior_of_no_published_shape_asks_for_its_config(adapter, tmp_path):
    with pytest.raises(AdapterError, match=r"config\.json with --prior"):
        convert(asked(adapter, tmp_path / "target.safetensors", "kohya"))
