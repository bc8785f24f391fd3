"""What engine.tiny.build promises: the published layout, and a model that means something."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors import safe_open

from engine.config.fields import TrainingConfig
from engine.config.weight_files import locate_weights
from engine.models.effnet import load_effnet_encoder
from engine.models.previewer import load_previewer
from engine.models.text import TextEncoder
from engine.models.weights import load_prior
from engine.tiny.build import RECEIPT_NAME, BuildError, build
from engine.tiny.layout import ENCODED_SIDE_PX, PHOTOGRAPHS_NAME, SOURCE
from engine.tiny.photographs import centre_crops, load_photographs

GOLDEN = Path(__file__).parents[2] / "golden"


def tensors_of(path: Path) -> dict[str, tuple[list[int], str]]:
    with safe_open(path, "pt") as file:
        return {
            key: (list(value.shape), str(value.dtype).removeprefix("torch."))
            for key in file.keys()  # noqa: SIM118 - a safetensors file is no dict
            for value in (file.get_tensor(key),)
        }


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    loaded = load_photographs(SOURCE / PHOTOGRAPHS_NAME)
    return centre_crops(list(loaded.values()), ENCODED_SIDE_PX)


@pytest.fixture(scope="module")
def latents(tiny_model: Path, pictures: torch.Tensor) -> torch.Tensor:
    return load_effnet_encoder(tiny_model / "effnet_encoder.safetensors")(pictures)


def test_every_published_file_is_found_by_the_rules_for_real_weights(tiny_model: Path) -> None:
    config = TrainingConfig(
        model_flavour="stage-c-tiny",
        pretrained_model_name_or_path=str(tiny_model),
        pretrained_vae_model_name_or_path=str(tiny_model),
        stable_cascade_use_decoder_for_validation=True,
        stable_cascade_decoder_model_name_or_path=str(tiny_model),
    )
    files, problems = locate_weights(config)
    assert problems == ()
    assert files is not None
    assert files.vqgan == tiny_model / "vqgan"


def test_the_image_encoder_has_exactly_the_published_keys_shapes_and_dtypes(
    tiny_model: Path,
) -> None:
    golden = json.loads((GOLDEN / "keys_effnet_encoder.json").read_text())["keys"]
    expected = {key: (entry["shape"], entry["dtype"]) for key, entry in golden.items()}
    assert tensors_of(tiny_model / "effnet_encoder.safetensors") == expected


def test_the_previewer_has_exactly_the_published_keys(tiny_model: Path) -> None:
    golden = json.loads((GOLDEN / "keys_previewer.json").read_text())["keys"]
    assert tensors_of(tiny_model / "previewer.safetensors").keys() == golden.keys()


def test_diffusers_loads_prior_decoder_vqgan_and_scheduler_as_they_are(tiny_model: Path) -> None:
    from diffusers import DDPMWuerstchenScheduler, StableCascadeUNet
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    for folder, network in (
        ("prior", StableCascadeUNet),
        ("decoder", StableCascadeUNet),
        ("vqgan", PaellaVQModel),
    ):
        _, notes = network.from_pretrained(tiny_model / folder, output_loading_info=True)
        assert not any(notes.values()), (folder, notes)
    scheduler = DDPMWuerstchenScheduler.from_pretrained(tiny_model / "scheduler")
    assert scheduler.config.s == 0.008


def test_our_prior_and_that_of_diffusers_agree_on_the_shipped_weights(tiny_model: Path) -> None:
    from diffusers import StableCascadeUNet

    folder = tiny_model / "prior"
    ours = load_prior(folder / "config.json", [folder / "diffusion_pytorch_model.safetensors"])
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(1, 16, 9, 9, generator=generator)
    text = torch.randn(1, 77, 128, generator=generator)
    pooled = torch.randn(1, 1, 128, generator=generator)
    r = torch.tensor([0.5])
    no_image = torch.zeros(1, 1, 32)  # without one, diffusers leaves the text out as well
    with torch.no_grad():
        network = StableCascadeUNet.from_pretrained(folder)
        theirs = network(sample, r, pooled, text, no_image).sample
        mine = ours.eval()(sample, r, text, pooled)
    assert torch.allclose(mine, theirs, atol=3e-4)


def test_latents_of_the_photographs_are_normalised_and_far_apart(latents: torch.Tensor) -> None:
    assert latents.shape == (8, 16, 9, 9)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 1e-3
    assert (latents.std(dim=(0, 2, 3)) - 1).abs().max() < 1e-2
    flat = latents.flatten(1)
    distances = torch.cdist(flat, flat) / flat.norm(dim=1)
    assert distances.fill_diagonal_(torch.inf).min() > 0.8


def test_each_preview_looks_most_like_its_own_photograph(
    tiny_model: Path, latents: torch.Tensor, pictures: torch.Tensor
) -> None:
    previewer = load_previewer(tiny_model / "previewer.safetensors")
    previews = previewer(latents).clamp(0, 1)
    small = F.interpolate(pictures, previews.shape[2:], mode="bilinear", antialias=True)
    errors = (previews[:, None] - small[None]).square().mean(dim=(2, 3, 4))
    assert errors.argmin(dim=1).tolist() == list(range(8))
    assert errors.diagonal().mean() < 0.015


def test_captions_have_embeds_that_differ(tiny_model: Path) -> None:
    text = TextEncoder.load(tiny_model / "text_encoder", tiny_model / "tokenizer")
    embeds = text.encode([*load_photographs(SOURCE / PHOTOGRAPHS_NAME), ""])
    for flat in (embeds.clip_text_pooled.flatten(1), embeds.clip_text.flatten(1)):
        distances = torch.cdist(flat, flat) / flat.norm(dim=1)
        assert distances.fill_diagonal_(torch.inf).min() > 0.5


def test_the_text_encoder_names_its_special_tokens_as_the_published_config_does(
    tiny_model: Path,
) -> None:
    config = json.loads((tiny_model / "text_encoder" / "config.json").read_text())
    vocabulary = json.loads((tiny_model / "tokenizer" / "vocab.json").read_text())
    assert config["vocab_size"] == len(vocabulary)
    assert config["bos_token_id"] == vocabulary["<|startoftext|>"] == len(vocabulary) - 2
    assert config["eos_token_id"] == vocabulary["<|endoftext|>"] == len(vocabulary) - 1


def test_building_again_leaves_a_whole_model_alone(tiny_model: Path) -> None:
    before = (tiny_model / RECEIPT_NAME).stat().st_mtime_ns
    assert build(tiny_model) is False
    assert (tiny_model / RECEIPT_NAME).stat().st_mtime_ns == before


class Began(Exception):  # noqa: N818 - no error: the build got as far as its first line
    pass


def begin(_line: str) -> None:
    raise Began


def test_a_model_that_lost_a_file_is_built_again(tiny_model: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_model, tmp_path / "model")
    (copy / "previewer.safetensors").unlink()
    with pytest.raises(Began):
        build(copy, report=begin)


def test_a_folder_with_something_else_in_it_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(BuildError, match="something else"):
        build(tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_missing_weights_and_photographs_are_named(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="holds no"):
        build(tmp_path / "model", photographs=tmp_path)
    (tmp_path / "one.jpg").write_bytes(b"")
    with pytest.raises(BuildError, match=r"stage-c-tiny\.safetensors can't be read"):
        build(tmp_path / "model", source=tmp_path, photographs=tmp_path)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("most_bytes", [1000, 300_000], ids=["tokenizer", "weights"])
def test_a_disk_that_takes_no_more_is_told_in_one_line(tmp_path: Path, most_bytes: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))

    target = tmp_path / "model"
    done = subprocess.run(
        [sys.executable, "-m", "engine.tiny.build", str(target)],
        cwd=Path(__file__).parents[3],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(f"error: cannot write {target}: ")
    assert "Traceback" not in done.stderr
    assert not target.exists()
