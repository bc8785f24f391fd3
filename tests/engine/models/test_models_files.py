"""Weight files are read strictly, or refused with what is wrong and where."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.models.previewer import Previewer, load_previewer
from engine.models.weights import WeightsError, hash_weights, load_prior, read_tensors, shard_paths

GOLDEN = Path(__file__).parents[2] / "golden"
CONFIG = GOLDEN / "config.json"


@pytest.fixture
def tensors():
    return load_file(GOLDEN / "unet_tiny_diffusers.safetensors")


def _load(tmp_path, tensors):
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    save_file(tensors, path)
    return load_prior(CONFIG, [path])


def test_a_missing_key_is_named(tmp_path, tensors):
    del tensors["clf.1.weight"]
    with pytest.raises(WeightsError, match=r"1 missing \(clf\.1\.weight\)"):
        _load(tmp_path, tensors)


def test_an_unexpected_key_is_named(tmp_path, tensors):
    tensors["controlnet.0.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"1 unexpected \(controlnet\.0\.weight\)"):
        _load(tmp_path, tensors)


def test_a_misshapen_key_is_named_with_both_shapes(tmp_path, tensors):
    tensors["clf.1.bias"] = torch.zeros(4)
    with pytest.raises(WeightsError, match=r"clf\.1\.bias is \[4\], expected \[16\]"):
        _load(tmp_path, tensors)


def test_all_faults_are_told_at_once(tmp_path, tensors):
    del tensors["clf.1.weight"]
    tensors["clf.1.bias"] = torch.zeros(4)
    with pytest.raises(WeightsError, match=r"1 missing.*1 of another shape"):
        _load(tmp_path, tensors)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".bin"])
def test_a_pickle_is_refused_unread(tmp_path, suffix):
    path = tmp_path / f"stage_c{suffix}"
    path.write_bytes(b"not read")
    with pytest.raises(WeightsError, match="is a pickle"):
        read_tensors([path])


@pytest.mark.parametrize("keep", [0, 7, 200_000])
def test_a_file_cut_short_is_told(tmp_path, keep):
    path = tmp_path / "prior.safetensors"
    path.write_bytes((GOLDEN / "unet_tiny_diffusers.safetensors").read_bytes()[:keep])
    with pytest.raises(WeightsError, match=r"prior\.safetensors cannot be read"):
        load_prior(CONFIG, [path])


def test_shards_are_found_through_their_index_and_a_missing_one_is_named(tmp_path, tensors):
    names = sorted(tensors)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, keys in shards.items():
        save_file({key: tensors[key] for key in keys}, tmp_path / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    paths = shard_paths(tmp_path, "diffusion_pytorch_model")
    loaded = load_prior(CONFIG, paths).state_dict()
    assert all(torch.equal(loaded[key], tensors[key]) for key in names)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"model-2\.safetensors"):
        shard_paths(tmp_path, "diffusion_pytorch_model")


def test_an_empty_folder_says_which_files_it_lacks(tmp_path):
    with pytest.raises(WeightsError, match=r"holds neither model\.safetensors nor"):
        shard_paths(tmp_path, "model")


def test_the_hash_follows_the_contents(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"weights")
    second.write_bytes(b"weights")
    assert hash_weights([first]) == hash_weights([second])
    second.write_bytes(b"weightz")
    assert hash_weights([first]) != hash_weights([second])
    assert hash_weights([first, second]) != hash_weights([second, first])


def test_a_remembered_hash_is_not_computed_again_until_the_file_changes(tmp_path):
    path, memory = tmp_path / "weights", tmp_path / "cache" / "hashes.json"
    path.write_bytes(b"weights")
    first = hash_weights([path], memory=memory)
    before = path.stat()
    path.write_bytes(b"WEIGHTS")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert hash_weights([path], memory=memory) == first, "same size and time: taken as unread"
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert hash_weights([path], memory=memory) == hash_weights([path]) != first
    memory.write_text("{damaged")
    assert hash_weights([path], memory=memory) == hash_weights([path])


def test_a_fused_projection_of_a_strange_size_is_misshapen_not_a_crash(tmp_path):
    tensors = load_file(GOLDEN / "unet_tiny_original.safetensors")
    key = "down_blocks.0.2.attention.attn.in_proj_weight"
    tensors[key] = tensors[key][:100].clone()
    with pytest.raises(
        WeightsError, match=r"down_blocks\.0\.2\.attention\.to_k\.weight is \[33, 64\]"
    ):
        _load(tmp_path, tensors)


def test_a_damaged_index_of_shards_is_told(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(WeightsError, match="no index of shards"):
        shard_paths(tmp_path, "model")


def test_the_bf16_file_is_taken_where_only_that_lies_or_when_asked_for(tmp_path):
    short = tmp_path / "model.bf16.safetensors"
    short.write_bytes(b"")
    assert shard_paths(tmp_path, "model") == (short,)
    full = tmp_path / "model.safetensors"
    full.write_bytes(b"")
    assert shard_paths(tmp_path, "model") == (full,)
    assert shard_paths(tmp_path, "model", "bf16") == (short,)


def test_a_previewer_of_any_width_is_loaded_and_a_foreign_file_refused(tmp_path):
    path = tmp_path / "previewer.safetensors"
    torch.manual_seed(0)
    previewer = Previewer(hidden=64).eval()
    save_file(previewer.state_dict(), path)
    latents = torch.randn(1, 16, 3, 4)
    with torch.no_grad():
        assert torch.equal(load_previewer(path)(latents), previewer(latents))
    save_file({"something": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="no Stage C previewer"):
        load_previewer(path)
