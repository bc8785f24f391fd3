"""The full-size folders have the published keys and shapes: told on the meta device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from engine.fullsize.__main__ import write_prior
from engine.fullsize.layout import DECODERS, PRIORS, TEXT_ENCODER, VQGAN
from engine.models.decoder import paella_class
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.models.weights import load_prior, to_original

GOLDEN = Path(__file__).parents[2] / "golden"
# Parameters, as counted on the published networks (their files' bytes over the type's size).
NUM_PARAMETERS = {"stage-c": 1.562e9, "stage-c-lite": 0.7e9}


@pytest.mark.parametrize(
    ("flavour", "golden"), [("stage-c", "keys_stage_c"), ("stage-c-lite", "keys_stage_c_lite")]
)
def test_the_priors_are_the_published_ones_in_both_namings(flavour, golden):
    manifest = json.loads((GOLDEN / f"{golden}.json").read_text())
    with torch.device("meta"):
        state = StableCascadePrior(PRIORS[flavour]).state_dict()
    assert {k: list(v.shape) for k, v in state.items()} == manifest["diffusers"]
    original = {k: list(v.shape) for k, v in to_original(state).items()}
    assert original == manifest["original"]


@pytest.mark.parametrize("flavour", DECODERS)
def test_the_decoders_have_the_published_size(flavour):
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet

    with torch.device("meta"):
        network = StableCascadeUNet.from_config(DECODERS[flavour])
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == pytest.approx(NUM_PARAMETERS[flavour], rel=0.01)


def test_text_encoder_and_vqgan_have_the_published_size():
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    with torch.device("meta"):
        text = CLIPTextModelWithProjection(CLIPTextConfig(**TEXT_ENCODER))
        vqgan = paella_class().from_config(VQGAN)
    assert sum(p.numel() for p in text.parameters()) == pytest.approx(2.78e9 / 4, rel=0.01)
    assert sum(t.numel() for t in vqgan.state_dict().values()) == pytest.approx(
        73.7e6 / 4, rel=0.01
    )


@pytest.mark.parametrize("single_file", [False, True])
def test_a_folder_that_is_written_is_loaded_as_the_real_one(tmp_path, monkeypatch, single_file):
    """With a small shape in the published one's place: 3.6B would take minutes here."""
    small = PriorConfig(
        conditioning_dim=64,
        block_out_channels=(64, 64),
        num_attention_heads=(1, 1),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
    )
    monkeypatch.setitem(PRIORS, "stage-c", small)
    written = write_prior(
        tmp_path,
        "stage-c",
        device=torch.device("cpu"),
        dtype=torch.bfloat16,
        single_file=single_file,
    )
    weights = written if single_file else written / "diffusion_pytorch_model.bf16.safetensors"
    with safe_open(weights, framework="pt") as file:
        assert all(file.get_tensor(key).dtype == torch.bfloat16 for key in file.keys())  # noqa: SIM118
    config = tmp_path / "config.json"
    config.write_text(json.dumps(small.to_dict()))
    prior = load_prior(config, [weights])
    assert all(p.dtype == torch.float32 and p.abs().max() > 0 for p in prior.parameters())
