"""The decoder's loop equals diffusers' pipeline on the same weights and noise."""

import json

import pytest
import torch

from engine.models.decoder import Decoder, paella_class
from engine.models.weights import WeightsError

_RES_TIME = ["SDCascadeResBlock", "SDCascadeTimestepBlock"]
STAGE_B = {
    "block_out_channels": [16, 32],
    "block_types_per_layer": [_RES_TIME, [*_RES_TIME, "SDCascadeAttnBlock"]],
    "clip_text_pooled_in_channels": 24,
    "conditioning_dim": 32,
    "down_blocks_repeat_mappers": [1, 1],
    "down_num_layers_per_block": [1, 1],
    "effnet_in_channels": 16,
    "in_channels": 4,
    "num_attention_heads": [0, 2],
    "out_channels": 4,
    "patch_size": 2,
    "pixel_mapper_in_channels": 3,
    "timestep_conditioning_type": ["sca"],
    "up_blocks_repeat_mappers": [2, 1],
    "up_num_layers_per_block": [1, 1],
}


def _randomise(network, std):
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
    return network.eval()


@pytest.fixture(scope="module")
def networks():
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet

    vqgan = _randomise(paella_class()(embed_dim=16, bottleneck_blocks=1, num_vq_embeddings=8), 0.2)
    with torch.no_grad():  # grey with a spread, so that little is clamped
        vqgan.out_block[0].weight.mul_(0.02)
        vqgan.out_block[0].bias.fill_(0.5)
    return _randomise(StableCascadeUNet(**STAGE_B), 0.1), vqgan


@pytest.fixture(scope="module")
def folders(networks, tmp_path_factory):
    root = tmp_path_factory.mktemp("decoder")
    networks[0].save_pretrained(root / "decoder")
    networks[1].save_pretrained(root / "vqgan")
    return root / "decoder", root / "vqgan"


@pytest.fixture(scope="module")
def inputs():
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(2, 16, 3, 6, generator=generator),
        torch.randn(2, 1, 24, generator=generator),
        torch.randn(2, 1, 24, generator=generator),
    )


def _pipeline_pictures(networks, inputs, guidance_scale):
    from diffusers import DDPMWuerstchenScheduler, StableCascadeDecoderPipeline

    unet, vqgan = networks
    pipeline = StableCascadeDecoderPipeline(unet, None, None, DDPMWuerstchenScheduler(), vqgan)
    pipeline.set_progress_bar_config(disable=True)
    latents, pooled, negative = inputs
    return pipeline(
        latents,
        prompt_embeds=torch.zeros(2, 77, 24),
        prompt_embeds_pooled=pooled,
        negative_prompt_embeds=torch.zeros(2, 77, 24),
        negative_prompt_embeds_pooled=negative,
        num_inference_steps=4,
        guidance_scale=guidance_scale,
        generator=[torch.Generator().manual_seed(9) for _ in range(2)],
        output_type="pt",
    ).images


@pytest.mark.parametrize("guidance_scale", [0.0, 1.0, 1.5])
def test_pictures_equal_those_of_diffusers_pipeline(networks, folders, inputs, guidance_scale):
    expected = _pipeline_pictures(networks, inputs, guidance_scale)
    decoder = Decoder.load(*folders)
    pictures = decoder.decode(*inputs, num_steps=4, guidance_scale=guidance_scale, seed=9)
    assert pictures.shape == (2, 3, 4 * 32, 4 * 64)
    inside = (expected > 0) & (expected < 1)
    assert inside.float().mean() > 0.5, "clamped pictures prove nothing"
    assert expected.std() > 0.1, "nor do flat ones"
    assert (pictures - expected).abs().max() < 1e-4
    unguided = decoder.decode(*inputs, num_steps=4, seed=9)
    assert ((pictures - unguided).abs().max() > 1e-2) == (guidance_scale > 1)


def test_a_grid_on_which_diffusers_fails_gives_a_picture_of_whole_patches(folders):
    decoder = Decoder.load(*folders)
    assert decoder.grid(24, 27) == (256, 288)
    assert decoder.grid(26, 23) == (276, 244)
    pictures = decoder.decode(torch.zeros(1, 16, 2, 3), *torch.zeros(2, 1, 1, 24), num_steps=1)
    assert pictures.shape == (1, 3, 4 * 20, 4 * 32)


def test_a_picture_does_not_depend_on_the_batch_but_on_the_seed(folders, inputs):
    decoder = Decoder.load(*folders)
    latents, pooled, negative = inputs
    both = decoder.decode(*inputs, num_steps=2, seed=3)
    alone = decoder.decode(latents[1:], pooled[1:], negative[1:], num_steps=2, seed=3)
    other = decoder.decode(latents[1:], pooled[1:], negative[1:], num_steps=2, seed=4)
    assert torch.allclose(both[1:], alone, atol=1e-5)
    assert not torch.allclose(other, alone, atol=1e-2)


def test_bfloat16_weights_give_nearly_the_same_pictures(folders, inputs):
    exact = Decoder.load(*folders).decode(*inputs, num_steps=2)
    short = Decoder.load(*folders, dtype=torch.bfloat16).decode(*inputs, num_steps=2)
    assert short.dtype == torch.float32
    assert (short - exact).abs().mean() < 0.02


def test_a_folder_without_weights_or_config_is_told(folders, tmp_path):
    with pytest.raises(WeightsError, match=r"config\.json cannot be read"):
        Decoder.load(tmp_path, folders[1])
    (tmp_path / "config.json").write_text(json.dumps(STAGE_B))
    with pytest.raises(WeightsError, match=r"holds neither diffusion_pytorch_model\.bf16"):
        Decoder.load(tmp_path, folders[1], variant="bf16")


def test_another_networks_weights_are_refused(folders):
    with pytest.raises(WeightsError, match="does not fit"):
        Decoder.load(folders[0], folders[0])
