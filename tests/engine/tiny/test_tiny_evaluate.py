"""What the evaluation promises: it measures, and the shipped base is at chance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.models.effnet import load_effnet_encoder
from engine.models.text import TextEncoder
from engine.models.weights import load_prior
from engine.tiny.evaluate import Evaluation, Photographs, evaluate_prior, report
from engine.tiny.layout import ENCODED_SIDE_PX, PHOTOGRAPHS_NAME, SOURCE
from engine.tiny.photographs import centre_crops, load_photographs


def test_a_caption_is_right_when_its_own_photograph_is_the_nearest() -> None:
    distances = torch.tensor([[0.1, 0.9, 0.8], [0.7, 0.5, 0.6], [0.2, 0.9, 0.3]])
    evaluation = Evaluation(("a cat", "a cup", "an eye"), distances)
    assert evaluation.nearest == (0, 1, 0)
    assert evaluation.num_right == 2
    assert evaluation.relative_error == pytest.approx(0.3)
    text = report("base", evaluation)
    assert "2 of 3 captions right, relative error 0.300" in text
    assert "0.20* 0.90  0.30   an eye" in text


def test_the_shipped_base_draws_no_photograph_from_its_caption(tiny_model: Path) -> None:
    pictures = load_photographs(SOURCE / PHOTOGRAPHS_NAME)
    encoder = load_effnet_encoder(tiny_model / "effnet_encoder.safetensors")
    text = TextEncoder.load(tiny_model / "text_encoder", tiny_model / "tokenizer")
    embeds = text.encode([*pictures, ""])
    photographs = Photographs(
        tuple(pictures),
        encoder(centre_crops(list(pictures.values()), ENCODED_SIDE_PX)),
        embeds.clip_text,
        embeds.clip_text_pooled,
    )
    folder = tiny_model / "prior"
    prior = load_prior(folder / "config.json", [folder / "diffusion_pytorch_model.safetensors"])
    evaluation = evaluate_prior(prior, photographs)
    assert evaluation.num_right <= 3  # one of eight is chance
    assert evaluation.relative_error > 0.8
