"""Where weights lie: folders, the hub cache, variants, shards; what is missing or cut off."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from config_project import write_safetensors, write_weights

from engine.config.environment import Environment
from engine.config.fields import TrainingConfig
from engine.config.loading import load_project
from engine.config.problems import Download
from engine.config.weight_files import locate_weights, why_damaged

PRIOR, IMAGES = "stabilityai/stable-cascade-prior", "stabilityai/stable-cascade"


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty hub cache."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_weights(tmp_path / "all")


def config_of(folder: Path | str, **options) -> TrainingConfig:
    keys = ("pretrained_model", "pretrained_vae_model", "stable_cascade_decoder_model")
    return TrainingConfig(**{f"{key}_name_or_path": str(folder) for key in keys}, **options)


def put_in_hub(hub: Path, repository: str, folder: Path, commit: str = "abc123") -> Path:
    """Lay `folder` down as the hub's client does: blobs, a snapshot of links, a reference."""
    base = hub / f"models--{repository.replace('/', '--')}"
    blobs = base / "blobs"
    shutil.copytree(folder, blobs)
    for blob in [path for path in blobs.rglob("*") if path.is_file()]:
        link = base / "snapshots" / commit / blob.relative_to(blobs)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    (base / "refs").mkdir()
    (base / "refs" / "main").write_text(commit)
    return base / "snapshots" / commit


def test_one_folder_may_hold_everything(folder):
    files, problems = locate_weights(
        config_of(folder, stable_cascade_use_decoder_for_validation=True)
    )
    assert problems == ()
    assert files is not None
    assert files.prior_config == folder / "prior" / "config.json"
    assert files.prior_weights == (folder / "prior" / "diffusion_pytorch_model.safetensors",)
    assert (files.text_encoder, files.tokenizer) == (folder / "text_encoder", folder / "tokenizer")
    assert files.effnet_encoder == folder / "effnet_encoder.safetensors"
    assert (files.decoder, files.vqgan) == (folder / "decoder", folder / "vqgan")


def test_the_lite_flavour_has_its_own_folder_and_no_decoder_is_looked_for_when_it_is_off(folder):
    shutil.rmtree(folder / "prior")
    shutil.rmtree(folder / "vqgan")
    files, problems = locate_weights(config_of(folder, model_flavour="stage-c-lite"))
    assert problems == ()
    assert files is not None
    assert files.prior_config.parent == folder / "prior_lite"
    assert files.decoder is None


def test_weights_are_found_in_the_hub_cache_by_its_references(hub, folder):
    snapshot = put_in_hub(hub, PRIOR, folder)
    put_in_hub(hub, IMAGES, folder)
    files, problems = locate_weights(TrainingConfig())
    assert problems == ()
    assert files is not None
    assert files.prior_config == snapshot / "prior" / "config.json"


@pytest.mark.parametrize(("revision", "is_there"), [("abc123", True), ("def456", False)])
def test_a_revision_is_the_prior_s_alone(hub, folder, revision, is_there):
    put_in_hub(hub, PRIOR, folder)
    put_in_hub(hub, IMAGES, folder)
    files, problems = locate_weights(TrainingConfig(revision=revision))
    assert (files is not None) == is_there
    assert all("--revision def456" in problem.details[-1] for problem in problems)
    assert len(problems) == (0 if is_there else 1)


def test_a_download_that_was_cut_short_leaves_links_to_nothing_and_counts_as_missing(hub, folder):
    snapshot = put_in_hub(hub, PRIOR, folder)
    put_in_hub(hub, IMAGES, folder)
    (snapshot / "text_encoder" / "model.safetensors").resolve().unlink()
    _, [problem] = locate_weights(TrainingConfig())
    assert "text_encoder/model" in problem.message
    assert "prior/config.json" not in problem.message


def test_what_is_missing_is_one_short_error_a_repository_with_the_command_and_names_below(hub):
    config = TrainingConfig(stable_cascade_use_decoder_for_validation=True)
    files, problems = locate_weights(config, "my-run.toml")
    assert files is None
    prior, images = problems
    assert prior.key == "pretrained_model_name_or_path"
    assert prior.message == f"8 files, 8.57 GB, of {PRIOR} are not on this machine"
    assert prior.fix.startswith("cascade-tui models my-run.toml --fetch   (or set pretrained_model")
    assert prior.details[1] == "prior/diffusion_pytorch_model.bf16.safetensors (7.18 GB)"
    assert "text_encoder/model.bf16.safetensors (1.39 GB)" in prior.details
    assert prior.details[-1].startswith(f"or by hand: hf download {PRIOR} prior/config.json prior")
    assert prior.download == Download(PRIOR, 8_570_000_000)
    assert images.key == "pretrained_vae_model_name_or_path"
    for name in ("effnet_encoder.safetensors (82 MB)", "decoder/config.json", "vqgan/config.json"):
        assert name in images.details
    assert "green noise" in images.message
    assert "stable_cascade_use_decoder_for_validation to false" in images.fix


def test_without_the_hub_the_fix_says_what_forbids_to_fetch(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    _, problems = locate_weights(TrainingConfig(), "my-run.toml")
    for problem in problems:
        told = "unset HF_HUB_OFFLINE, then: cascade-tui models my-run.toml --fetch"
        assert problem.fix.startswith(told)


def test_the_command_that_fetches_gets_the_overrides_that_say_which_weights(hub, tmp_path):
    path = tmp_path / "my run.toml"
    path.write_text("seed = 1\n")
    overrides = ("seed=2", "model_flavour=stage-c-lite")
    project = load_project(path, overrides, environment=Environment((), frozenset()))
    [fix, _] = [problem.fix for problem in project.problems if problem.download]
    assert f"models '{path}' --set model_flavour=stage-c-lite --fetch " in fix


def test_a_decoder_elsewhere_that_is_missing_is_an_error_of_its_own_that_says_what_one_would_see(
    hub, folder
):
    config = TrainingConfig(
        pretrained_model_name_or_path=str(folder),
        pretrained_vae_model_name_or_path=str(folder),
        stable_cascade_use_decoder_for_validation=True,
        stable_cascade_decoder_subfolder="decoder_lite",
    )
    _, [problem] = locate_weights(config)
    assert problem.key == "stable_cascade_decoder_model_name_or_path"
    assert "green noise" in problem.message
    assert "decoder_lite/config.json" in problem.details
    assert "effnet" not in str(problem)


def test_a_decoder_may_be_a_folder_of_its_own(hub, folder, tmp_path):
    own = tmp_path / "mine" / "stage_b"
    shutil.copytree(folder / "decoder", own)
    config = config_of(
        folder,
        stable_cascade_use_decoder_for_validation=True,
        stable_cascade_decoder_subfolder=str(own),
    )
    files, problems = locate_weights(config)
    assert problems == ()
    assert files is not None
    assert (files.decoder, files.vqgan) == (own, folder / "vqgan")


def test_bf16_files_do_where_only_they_lie_and_full_precision_goes_first(folder):
    full = folder / "prior" / "diffusion_pytorch_model.safetensors"
    half = folder / "prior" / "diffusion_pytorch_model.bf16.safetensors"
    shutil.copy(full, half)
    files, _ = locate_weights(config_of(folder))
    assert files is not None
    assert files.prior_weights == (full,)
    full.unlink()
    files, _ = locate_weights(config_of(folder))
    assert files is not None
    assert files.prior_weights == (half,)


def test_shards_are_those_of_the_index_and_a_missing_one_is_named(folder):
    whole = folder / "prior" / "diffusion_pytorch_model.safetensors"
    names = [f"diffusion_pytorch_model-0000{part}-of-00002.safetensors" for part in (1, 2)]
    for name in names:
        shutil.copy(whole, whole.with_name(name))
    whole.unlink()
    index = whole.with_name("diffusion_pytorch_model.safetensors.index.json")
    index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1], "c": names[0]}}))
    files, _ = locate_weights(config_of(folder))
    assert files is not None
    assert [path.name for path in files.prior_weights] == names
    whole.with_name(names[1]).unlink()
    _, [problem] = locate_weights(config_of(folder))
    assert names[1] in problem.message
    index.write_text("{}")
    _, [problem] = locate_weights(config_of(folder))
    assert "is no index of shards" in problem.message


def test_a_folder_that_does_not_exist_is_told_as_such(hub):
    _, problems = locate_weights(config_of("/nowhere/at/all"))
    assert [problem.message for problem in problems] == [
        "the folder /nowhere/at/all does not exist"
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cut off"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\xff" * 100, "is no safetensors file"),
        (b"\x02" + bytes(7) + b"[]", "is no safetensors file"),
        (b"PK\x03\x04" + bytes(100), "is no safetensors file"),
    ],
)
def test_a_file_that_cannot_be_whole_is_told_before_the_run(folder, content, why):
    (folder / "previewer.safetensors").write_bytes(content)
    files, [problem] = locate_weights(config_of(folder))
    assert files is None
    assert "previewer.safetensors" in problem.message
    assert why in problem.message


def test_a_cut_off_file_says_how_much_of_it_is_there(tmp_path):
    path = tmp_path / "x.safetensors"
    write_safetensors(path, 1000)
    assert why_damaged(path) == ""
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-1])
    assert why_damaged(path) == f"is cut off: {size - 1} of {size} bytes"
