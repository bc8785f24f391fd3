"""Starting points: the options that a kind of run sets otherwise than by default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set of options; what it does not set stays as it is.

    ``card_gb`` is the memory of the GPU that it is for, in GB as cards are sold; 0 is any.
    """

    name: str
    summary: str
    values: Mapping[str, Any]
    card_gb: int = 0


def _preset(name: str, card_gb: int, summary: str, **values: Any) -> Preset:
    return Preset(name, summary, MappingProxyType(values), card_gb)


_LORA: dict[str, Any] = {
    "model_type": "lora",
    "lora_rank": 16,
    "lora_alpha": 16.0,
    "learning_rate": 1e-4,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 100,
    "max_train_steps": 3000,
    "use_ema": True,
    "checkpoint_step_interval": 250,
}
_FULL: dict[str, Any] = {
    "model_type": "full",
    "base_model_precision": "no_change",
    "snr_weighting": "adaptive",
    "learning_rate": 1e-5,
    "lr_scheduler": "constant_with_warmup",
    "lr_warmup_steps": 500,
    "max_train_steps": 10_000,
    "gradient_checkpointing": True,
    "use_ema": False,
    "checkpoint_step_interval": 1000,
    "checkpoints_total_limit": 2,
}


_ALL = (
    _preset(
        "lora-12gb-lite",
        12,
        "A LoRA of the 1B prior on a card of 12 GB, or for quick tries on a larger one.",
        **_LORA,
        model_flavour="stage-c-lite",
        base_model_precision="int8-torchao",
        train_batch_size=2,
        gradient_accumulation_steps=4,
        gradient_checkpointing=True,
        stable_cascade_decoder_subfolder="decoder_lite",
    ),
    _preset(
        "lora-16gb",
        16,
        "A LoRA of the 3.6B prior on a card of 16 GB: one image at a time, eight to a step.",
        **_LORA,
        model_flavour="stage-c",
        base_model_precision="int8-torchao",
        train_batch_size=1,
        gradient_accumulation_steps=8,
        gradient_checkpointing=True,
    ),
    _preset(
        "lora-24gb",
        24,
        "A LoRA of the 3.6B prior on one card of 24 GB.",
        **_LORA,
        model_flavour="stage-c",
        base_model_precision="int8-torchao",
        train_batch_size=4,
        gradient_accumulation_steps=2,
        gradient_checkpointing=True,
    ),
    _preset(
        "lora-80gb",
        80,
        "A LoRA of the 3.6B prior on a card of 80 GB: nothing quantised, nothing recomputed.",
        **_LORA,
        model_flavour="stage-c",
        base_model_precision="no_change",
        train_batch_size=8,
        gradient_accumulation_steps=1,
        gradient_checkpointing=False,
    ),
    _preset(
        "full-24gb-lite",
        24,
        "Every weight of the 1B prior on a card of 24 GB.",
        **_FULL,
        model_flavour="stage-c-lite",
        train_batch_size=2,
        gradient_accumulation_steps=16,
        stable_cascade_decoder_subfolder="decoder_lite",
    ),
    _preset(
        "full-48gb",
        48,
        "Every weight of the 3.6B prior on a card of 48 GB: moments in 8 bits, two images at once.",
        **_FULL,
        model_flavour="stage-c",
        optimizer="adamw-8bit",
        train_batch_size=2,
        gradient_accumulation_steps=16,
    ),
    _preset(
        "full-80gb",
        80,
        "Every weight of the 3.6B prior on a card of 80 GB, as the published fine-tune weighs it.",
        **_FULL,
        model_flavour="stage-c",
        train_batch_size=4,
        gradient_accumulation_steps=8,
    ),
    _preset(
        "quick-look",
        0,
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
