"""What the committed weights promise, and the command that makes them."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from engine.models.previewer import Previewer
from engine.models.prior import PriorConfig, StableCascadePrior
from engine.models.text import TextEmbeds
from engine.tiny.layout import (
    ENGLISH_NAME,
    PHOTOGRAPHS_NAME,
    PRETRAINED_NAME,
    PREVIEWER_WIDTH,
    PRIOR,
    SOURCE,
)
from engine.tiny.photographs import load_photographs
from engine.tiny.pretrain import Pairs, pretrain_prior, scrambled_captions


def test_the_committed_file_holds_all_of_prior_and_previewer_in_a_few_megabytes() -> None:
    path = SOURCE / PRETRAINED_NAME
    assert path.stat().st_size < 5_000_000
    with torch.device("meta"):
        prior = StableCascadePrior(PriorConfig.from_dict(PRIOR)).state_dict()
        previewer = Previewer(PREVIEWER_WIDTH).state_dict()
    expected = {f"prior.{key}": value.shape for key, value in prior.items()}
    expected |= {f"previewer.{key}": value.shape for key, value in previewer.items()}
    assert {key: value.shape for key, value in load_file(path).items()} == expected


def test_no_caption_of_a_photograph_is_among_those_the_base_has_learned() -> None:
    learned = scrambled_captions((SOURCE / ENGLISH_NAME).read_text(), 64)
    photographs = SOURCE / PHOTOGRAPHS_NAME
    captions = [*load_photographs(photographs)]
    captions += [path.read_text().strip() for path in photographs.glob("*.txt")]
    assert len(set(learned)) == 64
    assert not set(learned) & set(captions)


def test_pretraining_is_the_same_every_time_and_changes_every_kind_of_layer() -> None:
    generator = torch.Generator().manual_seed(0)

    def embeds(count: int) -> TextEmbeds:
        text = torch.randn(count, 77, 128, generator=generator)
        pooled = torch.randn(count, 1, 128, generator=generator)
        return TextEmbeds(text, pooled, (3,) * count)

    latents = torch.randn(4, 16, 3, 3, generator=generator)
    pairs = Pairs(latents, embeds(4), embeds(1))
    first, second, third = (
        pretrain_prior(pairs, num_steps=steps, device="cpu").state_dict() for steps in (2, 2, 3)
    )
    assert all(first[name].equal(second[name]) for name in first)
    for name in ("clf.1.weight", "down_blocks.0.2.attention.to_q.weight", "clip_txt_mapper.weight"):
        assert not first[name].equal(third[name]), name
