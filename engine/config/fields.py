"""Every option of a training config, declared once.

The names are those of the published quickstart. A declaration gives the type, the range, the
group and one sentence of help with the unit; readers, form, JSON Schema and reference follow it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from engine.config.learning_fields import LearningConfig
from engine.config.options import MOST_STEPS, Option, option, options_of
from engine.config.resolution import Resolution

GROUPS = (
    "model",
    "data",
    "adapter",
    "training",
    "optimizer",
    "precision",
    "checkpoints",
    "validation",
    "tracking",
    "distribution",
    "experimental",
)


class TrainingConfig(LearningConfig):
    """One run's options, complete: what is not in the file has its default."""

    # -- checkpoints ---------------------------------------------------------------------------
    checkpoint_step_interval: int = option(
        500,
        group="checkpoints",
        ge=1,
        le=MOST_STEPS,
        unit="steps",
        help="Steps between checkpoints.",
    )
    checkpoints_total_limit: int | None = option(
        None,
        group="checkpoints",
        ge=1,
        le=MOST_STEPS,
        help="Newest checkpoints to keep; empty keeps all.",
    )
    resume_from_checkpoint: str = option(
        "latest",
        group="checkpoints",
        help="latest continues the run in output_dir if there is one; none starts anew; a step "
        "number continues from that checkpoint.",
    )
    export_formats: tuple[Literal["peft", "comfyui", "kohya"], ...] = option(
        ("peft", "comfyui"),
        group="checkpoints",
        help="Formats of the LoRA written to export/ when the run ends; OneTrainer reads "
        "comfyui's, kohya's scripts read kohya's.",
        choices=("peft", "comfyui", "kohya"),
    )
    # -- validation ----------------------------------------------------------------------------
    validation_step_interval: int | None = option(
        None,
        group="validation",
        ge=1,
        le=MOST_STEPS,
        unit="steps",
        help="Steps between validations; empty is checkpoint_step_interval.",
    )
    validation_on_start: bool = option(
        True, group="validation", help="Draw the prompts before the first step too, to compare."
    )
    validation_prompt: str | None = option(
        None, group="validation", help="A prompt to draw at each validation."
    )
    validation_prompt_library: str | None = option(
        None,
        group="validation",
        kind="path",
        help="JSON file of name: prompt; a TOML config may hold [validation_prompts] itself.",
    )
    validation_negative_prompt: str = option(
        "", group="validation", help="What guidance steers away from."
    )
    validation_resolution: Resolution = option(
        Resolution(1024, 1024),
        group="validation",
        unit="px",
        help="Size of validation pictures, both sides on the 128-px grid.",
    )
    validation_seed: int | None = option(
        None,
        group="validation",
        ge=0,
        lt=2**32,
        help="Seed of the validation noise; empty is the run's seed.",
    )
    validation_num_seeds: int = option(
        1,
        group="validation",
        ge=1,
        le=64,
        help="Pictures a prompt, from that many seeds in a row.",
    )
    validation_split: float = option(
        0.0,
        group="validation",
        ge=0,
        le=0.5,
        help="Share of the photographs (0 to 0.5) held out of training, to measure the loss on at "
        "fixed noise; 0 measures none.",
    )
    validation_guidance: float = option(
        4.0, group="validation", ge=0, le=30, help="Guidance scale, where no other is given."
    )
    validation_num_inference_steps: int = option(
        30,
        group="validation",
        ge=1,
        le=1000,
        unit="steps",
        help="Decoder steps (20 for a quick look).",
    )
    stable_cascade_use_decoder_for_validation: bool = option(
        False,
        group="validation",
        help="Decode validation latents to full-size pictures with Stage B; off shows the "
        "previewer's small pictures, which take milliseconds.",
    )
    stable_cascade_decoder_model_name_or_path: str = option(
        "stabilityai/stable-cascade",
        group="validation",
        help="Hub repository or folder with the decoder (Stage B) and its vqgan.",
    )
    stable_cascade_decoder_subfolder: str = option(
        "decoder",
        group="validation",
        help="decoder, decoder_lite, or another subfolder of a local decoder folder.",
    )
    stable_cascade_decoder_variant: Literal["bf16"] | None = option(
        None, group="validation", help="Weight variant of the decoder's files."
    )
    stable_cascade_validation_prior_num_inference_steps: int = option(
        20,
        group="validation",
        ge=1,
        le=1000,
        unit="steps",
        help="Prior steps (12 for a quick look).",
    )
    stable_cascade_validation_prior_guidance_scale: float | None = option(
        None,
        group="validation",
        ge=0,
        le=30,
        help="Guidance scale of the prior, 3 to 4 is usual; empty is validation_guidance.",
    )
    stable_cascade_validation_decoder_guidance_scale: float = option(
        0.0,
        group="validation",
        ge=0,
        le=30,
        help="Guidance scale of the decoder: 0 is photographic, more follows the prompt more.",
    )
    # -- tracking ------------------------------------------------------------------------------
    report_to: tuple[Literal["none", "wandb", "tensorboard", "trackio"], ...] = option(
        ("none",),
        group="tracking",
        help="Trackers that get losses and pictures: none, wandb, tensorboard, trackio.",
        choices=("none", "wandb", "tensorboard", "trackio"),
    )
    log_step_interval: int = option(
        1, group="tracking", ge=1, unit="steps", help="Write a step event for every n-th step."
    )
    hub_model_id: str | None = option(
        None,
        group="tracking",
        help="Name on the hub; nothing is pushed unless push_to_hub is true.",
    )
    push_to_hub: bool = option(
        False,
        group="tracking",
        help="Push export/ with a model card and the last pictures to hub_model_id when the run "
        "is finished.",
    )
    hub_private: bool = option(
        True, group="tracking", help="A repository that push_to_hub creates is private."
    )
    # -- distribution --------------------------------------------------------------------------
    num_processes: int | None = option(
        None,
        group="distribution",
        ge=1,
        le=1024,
        help="Processes (GPUs); empty is what accelerate says.",
    )
    accelerate_config_file: str | None = option(
        None,
        group="distribution",
        kind="path",
        help="File of `accelerate config`; empty is accelerate's own default file, if any.",
    )
    # -- experimental --------------------------------------------------------------------------
    scheduled_sampling_max_step_offset: int = option(
        0,
        group="experimental",
        ge=0,
        help="Scheduled sampling (rollout): largest offset.",
        unsupported="scheduled sampling is not supported yet",
    )
    diff2flow_enabled: bool = option(
        False,
        group="experimental",
        help="Train with the Diff2Flow objective.",
        unsupported="diff2flow is not supported yet",
    )


OPTIONS: dict[str, Option] = options_of(TrainingConfig)


def clean_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON Schema, without what only this project reads in it."""
    schema = model.model_json_schema()
    for value in schema["properties"].values():
        value.pop("x-option", None)
    return schema
