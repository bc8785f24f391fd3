"""A first config from four answers: the folder, what for, on which card, for how long.

Knows nothing of screens, and looks at nothing: what it needs to know is in the answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from engine.config.fields import TrainingConfig
from engine.config.forecast import card_rate, cells_of, step_seconds
from engine.config.presets import PRESETS, Preset
from engine.config.resolution import Resolution

Purpose = Literal["style", "subject", "concept", "full"]
PURPOSES: Mapping[Purpose, str] = MappingProxyType(
    {
        "style": "a style: how pictures look",
        "subject": "a subject: one person, animal or thing",
        "concept": "a concept: a kind of thing or scene",
        "full": "a full fine-tune: every weight, many pictures",
    }
)
CARDS_GB = (12, 16, 24, 48, 80)
DEFAULT_STEPS: Mapping[Purpose, int] = MappingProxyType(
    {"style": 3000, "subject": 1500, "concept": 4000, "full": 10_000}
)
MAX_STEPS = 1_000_000

_SOLD_SHARE = 0.97
_LITE_UNQUANTISED_BELOW_GB = 18
_LORA: Mapping[Purpose, tuple[int, str, str]] = MappingProxyType(
    {
        "style": (16, "attention", "a style lives in the attention layers"),
        "subject": (32, "attention", "a subject has details to remember"),
        "concept": (32, "attention+mlp", "a concept is new content as well as a new look"),
    }
)
_PROMPTS: Mapping[Purpose, Mapping[str, str]] = MappingProxyType(
    {
        "style": {
            "portrait": "a portrait of a woman by a window",
            "landscape": "a wide landscape with a river",
        },
        "subject": {
            "studio": "a studio photograph on a plain background",
            "outdoors": "a photograph outdoors in the evening sun",
        },
        "concept": {
            "close": "a close-up photograph with fine detail",
            "scene": "a whole scene seen from afar",
        },
        "full": {
            "portrait": "a cinematic portrait photograph lit by studio strobes",
            "landscape": "a wide landscape with volumetric light",
        },
    }
)
_LENGTH = re.compile(r"(\d+(?:[.,]\d+)?|\.\d+)\s*([a-z]*)")
_UNITS = {"s": "steps", "m": "minutes", "h": "hours"}


class GuideError(ValueError):
    """An answer that no config can be made of; says what to answer instead."""


@dataclass(frozen=True, slots=True)
class Length:
    """How long to train: a number of optimizer steps, or else of seconds."""

    steps: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class FolderCount:
    """Pictures below a folder, those with a .txt beside them, and whether that is all of them."""

    num_images: int
    num_captions: int
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class Answers:
    """The four answers, and which of the packages that presets use are installed.

    ``card_gb`` is the memory of the GPU in GB as cards are sold.
    """

    folder: Path
    count: FolderCount
    purpose: Purpose
    card_gb: float
    length: Length
    packages: frozenset[str] = field(default_factory=lambda: frozenset({"torchao", "bitsandbytes"}))


@dataclass(frozen=True, slots=True)
class Guided:
    """What the guide chose: the text of the config, and the reasons in plain words."""

    text: str
    reasons: tuple[str, ...]
    steps: int


def parse_length(text: str) -> Length:
    """A length as people write it: ``3000``, ``3000 steps``, ``90 min``, ``2 h``.

    Raises:
        GuideError: it is none, or out of range.
    """
    found = _LENGTH.fullmatch(text.strip().lower())
    unit = _UNITS.get((found[2] or "s")[0]) if found else None
    if found is None or unit is None or not _is_word(found[2], unit):
        raise GuideError("give a number of steps, minutes or hours: 3000 steps, 90 min, 2 h")
    number = float(found[1].replace(",", "."))
    if unit == "steps":
        if not 1 <= number <= MAX_STEPS or number != int(number):  # so many digits are infinity
            raise GuideError(f"give a whole number of steps from 1 to {MAX_STEPS:,}")
        return Length(steps=int(number))
    seconds = number * (60 if unit == "minutes" else 3600)
    if not 60 <= seconds <= 365 * 86_400:
        raise GuideError("give a time from 1 minute to a year")
    return Length(seconds=seconds)


def _is_word(word: str, unit: str) -> bool:
    return word in {"", "min", "mins", "hr", "hrs", unit, unit[:-1], unit[0]}


def guide(answers: Answers) -> Guided:
    """Choose a preset and what goes with it, and write the config with comments.

    Raises:
        GuideError: the folder has no picture, or a name that TOML cannot hold.
    """
    if not answers.count.num_images:
        raise GuideError("this folder holds no pictures: give one that does")
    try:
        str(answers.folder).encode()
    except UnicodeEncodeError as failure:
        raise GuideError("the folder's name is not valid UTF-8: rename it") from failure
    preset, reasons = _choose_preset(answers)
    values = dict(preset.values)
    if values.get("base_model_precision") == "int8-torchao" and "torchao" not in answers.packages:
        values["base_model_precision"] = "no_change"
        why = "torchao is not installed, so the frozen base is not quantised"
        if answers.card_gb < _LITE_UNQUANTISED_BELOW_GB:
            values["model_flavour"] = "stage-c-lite"
            values["stable_cascade_decoder_subfolder"] = "decoder_lite"
            why += ", and the 1B prior is used"
        reasons.append(why)
    if values["model_type"] == "lora":
        purpose: Purpose = answers.purpose if answers.purpose in _LORA else "concept"
        rank, target, why = _LORA[purpose]
        values |= {"lora_rank": rank, "lora_alpha": float(rank), "lora_target": target}
        reasons.append(f"rank {rank} on {target}: {why}")
    steps, why = _steps_of(answers, values)
    values |= _within(values, steps)
    reasons += [why, _captions(answers.count)]
    return Guided(_config_text(answers, values, reasons), tuple(reasons), steps)


def _choose_preset(answers: Answers) -> tuple[Preset, list[str]]:
    wanted = "full" if answers.purpose == "full" else "lora"
    usable = [
        preset
        for preset in PRESETS.values()
        if preset.card_gb
        and answers.card_gb >= preset.card_gb * _SOLD_SHARE
        and ("8bit" not in preset.values.get("optimizer", "") or "bitsandbytes" in answers.packages)
    ]
    fitting = [preset for preset in usable if preset.values["model_type"] == wanted]
    has = f"{answers.card_gb:.0f} GB"
    if fitting:
        best = max(fitting, key=lambda preset: preset.card_gb)
        return best, [f"preset {best.name} for {has}: {best.summary}"]
    reasons = []
    if wanted == "full":
        reasons.append(f"a full fine-tune needs 24 GB or more, so with {has} this is a LoRA")
        loras = [preset for preset in usable if preset.values["model_type"] == "lora"]
        if loras:
            best = max(loras, key=lambda preset: preset.card_gb)
            return best, [*reasons, f"preset {best.name}: {best.summary}"]
    smallest = PRESETS["lora-12gb-lite"]
    reasons.append(f"{has} is less than any preset is made for: {smallest.name} may not fit")
    return smallest, reasons


def _steps_of(answers: Answers, values: Mapping[str, Any]) -> tuple[int, str]:
    images_per_step = values["train_batch_size"] * values["gradient_accumulation_steps"]
    length = answers.length
    if length.steps is not None:
        return length.steps, f"{length.steps:,} steps of {images_per_step} pictures, as you say"
    assert length.seconds is not None
    config = TrainingConfig(**values)
    rate = card_rate("", answers.card_gb)
    seconds = step_seconds(config, cells=cells_of(Resolution(1024, 1024)), rate=rate)
    assert seconds is not None, "the guide knows the published flavours only"
    steps = max(1, min(MAX_STEPS, int(length.seconds / seconds)))
    scaled = "" if rate == 1 else f", a card of {answers.card_gb:.0f} GB taken for {rate:g} of one"
    return steps, (
        f"about {steps:,} steps of {images_per_step} pictures, {seconds:.2g} s each. This is an "
        f"estimate, measured on an H100{scaled}; Monitor tells the true time"
    )


def _within(values: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """What has to fit into the length of the run."""
    interval = max(1, min(values["checkpoint_step_interval"], steps // 4))
    return {
        "max_train_steps": steps,
        "lr_warmup_steps": min(values["lr_warmup_steps"], steps // 10),
        "checkpoint_step_interval": interval,
        "validation_step_interval": interval,
        "use_ema": values["use_ema"] and steps >= 500,
    }


def _strategy(count: FolderCount) -> str:
    return "textfile" if 2 * count.num_captions >= count.num_images else "filename"


def _captions(count: FolderCount) -> str:
    if _strategy(count) == "filename":
        few = f"only {count.num_captions:,} .txt files" if count.num_captions else "no .txt files"
        return f"{few} beside the pictures: their names are the captions"
    without = count.num_images - count.num_captions
    left_out = f"; {without:,} without one are left out" if without else ""
    return f"captions from the .txt files beside the pictures{left_out}"


_SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "what is trained",
        ("model_flavour", "model_type", "base_model_precision", "lora_rank", "lora_alpha",
         "lora_target", "snr_weighting"),
    ),
    (
        "how long, how fast",
        ("max_train_steps", "train_batch_size", "gradient_accumulation_steps", "learning_rate",
         "lr_scheduler", "lr_warmup_steps", "optimizer", "gradient_checkpointing", "use_ema"),
    ),
    (
        "what is kept, what is shown",
        ("checkpoint_step_interval", "checkpoints_total_limit", "validation_step_interval",
         "stable_cascade_decoder_subfolder"),
    ),
)  # fmt: skip
_COMMENTS = {
    "model_flavour": "stage-c: 3.6B, stage-c-lite: 1B",
    "base_model_precision": "of the frozen base; no_change keeps fp32",
    "lora_rank": "more learns more, and takes more",
    "max_train_steps": "optimizer steps",
    "train_batch_size": "images at once ...",
    "gradient_accumulation_steps": "... times this: the images of a step",
    "gradient_checkpointing": "true: slower, and several GB less",
    "checkpoint_step_interval": "a run that stops goes on from the last one",
    "validation_step_interval": "steps between pictures of the prompts below",
}


def _config_text(answers: Answers, values: dict[str, Any], reasons: Iterable[str]) -> str:
    lines = [f"# Made by the guide, for {PURPOSES[answers.purpose]}. Why so:"]
    lines += [f"#   {reason}" for reason in reasons]
    name = f"{values['model_type']}-{answers.purpose}"
    lines += [
        "",
        _line("output_dir", f"output/{name}"),
        _line("model_family", "stable_cascade"),
        _line("mixed_precision", "no", "Stage C requires it"),
        _line("seed", 42),
        _line("report_to", "none"),
    ]
    told = [key for _, keys in _SECTIONS for key in keys]
    assert set(values) <= set(told), set(values) - set(told)
    for title, keys in _SECTIONS:
        lines += ["", f"# -- {title} ".ljust(80, "-")]
        lines += [_line(key, values[key], _COMMENTS.get(key)) for key in keys if key in values]
    lines += ["", "[validation_prompts]"]
    lines += [_line(key, text) for key, text in _PROMPTS[answers.purpose].items()]
    lines += [
        *("", "[[data_backend]]"),
        _line("id", "photographs"),
        _line("instance_data_dir", str(answers.folder)),
        _line("resolution", "1024x1024", "nominal size; buckets of other shapes are made from it"),
        _line("crop_style", "random"),
        _line("caption_strategy", _strategy(answers.count), "textfile, filename, instanceprompt"),
        *("", "[[data_backend]]"),
        _line("id", "text-cache"),
        _line("dataset_type", "text_embeds"),
        _line("cache_dir", "output/cache/text", "captions are encoded once for all runs"),
        _line("default", True),
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any, comment: str | None = None) -> str:
    import tomlkit

    line = f"{key} = {tomlkit.item(value).as_string()}"
    return f"{line}  # {comment}" if comment else line
