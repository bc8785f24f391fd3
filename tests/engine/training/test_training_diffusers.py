"""What a run exports, in the pipeline that diffusers has for it."""

from __future__ import annotations

import pytest
import torch

from engine.adapters.export import save_full
from engine.models.text import TextEncoder
from engine.models.weights import load_prior
from engine.objective.sampler import guide, sample_ddpm

NUM_STEPS, GUIDANCE, SEED = 5, 3.0, 7


@pytest.mark.slow
def test_diffusers_prior_pipeline_on_an_export_gives_our_sampler_s_latents(small_model, tmp_path):
    from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet
    from diffusers.pipelines.stable_cascade import StableCascadePriorPipeline
    from diffusers.schedulers.scheduling_ddpm_wuerstchen import DDPMWuerstchenScheduler

    source = small_model / "prior"
    prior = load_prior(source / "config.json", [source / "diffusion_pytorch_model.safetensors"])
    prior.eval()
    save_full(tmp_path / "prior", prior)
    encoder = TextEncoder.load(small_model / "text_encoder", small_model / "tokenizer")
    embeds = encoder.encode(["a red fox in the snow", ""])
    text, pooled = embeds.clip_text.float(), embeds.clip_text_pooled.float()

    pipeline = StableCascadePriorPipeline(
        tokenizer=encoder.tokenizer,
        text_encoder=encoder.network,
        prior=StableCascadeUNet.from_pretrained(tmp_path / "prior"),
        scheduler=DDPMWuerstchenScheduler(),
    )
    pipeline.set_progress_bar_config(disable=True)
    theirs = pipeline(
        prompt_embeds=text[:1],
        prompt_embeds_pooled=pooled[:1],
        negative_prompt_embeds=text[1:],
        negative_prompt_embeds_pooled=pooled[1:],
        height=896,
        width=1152,
        num_inference_steps=NUM_STEPS,
        guidance_scale=GUIDANCE,
        generator=torch.Generator().manual_seed(SEED),
    ).image_embeddings

    generator = torch.Generator().manual_seed(SEED)
    shape = (1, 16, 21, 27)  # ceil(pixels / 42.67)

    @torch.no_grad()
    def predict(x: torch.Tensor, r: torch.Tensor) -> torch.Tensor:
        estimate = prior(torch.cat([x, x]), r.expand(2), text, pooled)
        return guide(*estimate.chunk(2), GUIDANCE)

    ours = sample_ddpm(
        predict,
        torch.randn(shape, generator=generator),
        lambda _step: torch.randn(shape, generator=generator),
        num_steps=NUM_STEPS,
        convention="diffusers",
    )
    assert theirs.shape == shape
    assert (theirs - ours).abs().max() < 1e-4 * theirs.abs().max()
