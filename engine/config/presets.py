"""Starting points: the options that a kind of run sets otherwise than by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of options; what it does not set stays as it is."""

    name: str
    summary: str
    values: Mapping[str, Any]


def _preset(name: str, summary: str, **values: Any) -> Preset:
    return Preset(name, summary, MappingProxyType(values))


_ALL = (
    _preset(
        "lora-24gb",
        "A LoRA of the 3.6B prior on one card of 24 GB.",
        model_flavour="stage-c",
        model_type="lora",
        base_model_precision="int8-torchao",
        lora_rank=16,
        lora_alpha=16.0,
        learning_rate=1e-4,
        lr_scheduler="cosine",
        lr_warmup_steps=100,
        max_train_steps=3000,
        train_batch_size=4,
        gradient_accumulation_steps=2,
        gradient_checkpointing=True,
        use_ema=True,
        checkpoint_step_interval=250,
    ),
    _preset(
        "lora-12gb-lite",
        "A LoRA of the 1B prior on a card of 12 GB, or for quick tries on a larger one.",
        model_flavour="stage-c-lite",
        model_type="lora",
        base_model_precision="int8-torchao",
        lora_rank=16,
        lora_alpha=16.0,
        learning_rate=1e-4,
        lr_scheduler="cosine",
        lr_warmup_steps=100,
        max_train_steps=3000,
        train_batch_size=2,
        gradient_accumulation_steps=4,
        gradient_checkpointing=True,
        use_ema=True,
        checkpoint_step_interval=250,
        stable_cascade_decoder_subfolder="decoder_lite",
    ),
    _preset(
        "full-80gb",
        "Every weight of the 3.6B prior on a card of 80 GB, as the published fine-tune weighs it.",
        model_flavour="stage-c",
        model_type="full",
        base_model_precision="no_change",
        snr_weighting="adaptive",
        learning_rate=1e-5,
        lr_scheduler="constant_with_warmup",
        lr_warmup_steps=500,
        max_train_steps=10_000,
        train_batch_size=4,
        gradient_accumulation_steps=8,
        gradient_checkpointing=True,
        use_ema=False,
        checkpoint_step_interval=1000,
        checkpoints_total_limit=2,
    ),
    _preset(
        "quick-look",
        "A short run with fast previews: does the data teach what it should?",
        max_train_steps=500,
        lr_scheduler="constant_with_warmup",
        lr_warmup_steps=20,
        checkpoint_step_interval=100,
        checkpoints_total_limit=2,
        stable_cascade_use_decoder_for_validation=False,
        stable_cascade_validation_prior_num_inference_steps=12,
        validation_num_inference_steps=20,
    ),
)

PRESETS: Mapping[str, Preset] = MappingProxyType({preset.name: preset for preset in _ALL})
