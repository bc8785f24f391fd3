"""What the options must satisfy together, as small pure functions that yield problems.

A rule looks at the typed config, the backends, the prompts and the probed environment. Rules about
files and folders of this machine are in ``machine_rules``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.backends import Backend, ImageBackend, TextEmbedBackend, backend_key
from engine.config.environment import Environment
from engine.config.fields import TrainingConfig
from engine.config.problems import Edit, Problem, error, hint, warning
from engine.config.resolution import GRID_PX, Resolution
from engine.config.weight_files import PUBLISHED_DECODERS

_GIB = 1 << 30
_MIN_TRAINED_PX, _MAX_TRAINED_PX = 512, 2048
_MAX_ASPECT = 2.0


@dataclass(frozen=True, slots=True)
class Context:
    """What rules look at."""

    config: TrainingConfig
    backends: tuple[Backend, ...]
    prompts: Mapping[str, str]
    environment: Environment

    @property
    def image_backends(self) -> tuple[ImageBackend, ...]:
        return tuple(b for b in self.backends if isinstance(b, ImageBackend))

    @property
    def text_backends(self) -> tuple[TextEmbedBackend, ...]:
        return tuple(b for b in self.backends if isinstance(b, TextEmbedBackend))


Rule = Callable[[Context], Iterator[Problem]]


def mixed_precision(context: Context) -> Iterator[Problem]:
    """Stage C overflows in fp16 and is sensitive in bf16."""
    value = context.config.mixed_precision
    if value == "no":
        return
    edit = Edit("mixed_precision", "no")
    if value == "fp16":
        yield error(
            edit.key,
            "fp16 overflows in this network's residual stream; it cannot be trained in it",
            'set it to "no"',
            edit,
        )
    elif not context.config.i_know_what_i_am_doing:
        yield error(
            edit.key,
            "Stable Cascade Stage C requires --mixed_precision=no",
            'set it to "no", or set i_know_what_i_am_doing to true',
            edit,
        )
    else:
        yield warning(
            edit.key,
            f"{value} can give NaNs where the residual stream grows large; weights, norms, "
            "residual stream and loss stay in fp32",
        )


def validation_resolution(context: Context) -> Iterator[Problem]:
    """Sides off the 128-px grid have no whole latent grid."""
    value, key = context.config.validation_resolution, "validation_resolution"
    nearest = value.on_grid()
    if nearest != value:
        edit = Edit(key, str(nearest))
        yield error(
            key,
            f"{value} is off the {GRID_PX}-px grid: the decoder expects sides that are multiples "
            f"of {GRID_PX}",
            f'set it to "{nearest}"',
            edit,
        )
    if context.config.model_flavour != "stage-c-tiny":
        yield from _trained_range(key, value)


def _trained_range(key: str, value: Resolution) -> Iterator[Problem]:
    smallest, largest = sorted((value.width, value.height))
    if smallest < _MIN_TRAINED_PX or largest > _MAX_TRAINED_PX:
        yield warning(
            key,
            f"{value} lies outside the sizes Stage C was trained on "
            f"({_MIN_TRAINED_PX} to {_MAX_TRAINED_PX} px)",
            "stay near 1024x1024",
        )
    if largest / smallest > _MAX_ASPECT:
        yield warning(
            key, f"{value} is more stretched than 2:1, beyond what Stage C was trained on"
        )


def steps(context: Context) -> Iterator[Problem]:
    """A run has a length."""
    config = context.config
    if config.max_train_steps is None and config.num_train_epochs is None:
        yield error(
            "max_train_steps",
            "the run has no length: neither max_train_steps nor num_train_epochs is set",
            "set max_train_steps",
            Edit("max_train_steps", 1000),
        )
    if config.max_train_steps is not None and config.lr_warmup_steps >= config.max_train_steps:
        yield error(
            "lr_warmup_steps",
            f"{config.lr_warmup_steps} steps of warm-up leave nothing of the run's "
            f"{config.max_train_steps} steps",
            "set it to a tenth of the run or less",
            Edit("lr_warmup_steps", config.max_train_steps // 10),
        )
    if config.lr_end > config.learning_rate:
        yield error(
            "lr_end",
            f"{config.lr_end:g} is above learning_rate",
            "set it to 0",
            Edit("lr_end", 0.0),
        )


def resume(context: Context) -> Iterator[Problem]:
    """resume_from_checkpoint is a word or a step."""
    value = context.config.resume_from_checkpoint
    if value not in ("latest", "none") and not value.isdigit():
        edit = Edit("resume_from_checkpoint", "latest")
        yield error(edit.key, f'"{value}" is not latest, none or a step', "set it to latest", edit)


def adapter(context: Context) -> Iterator[Problem]:
    """Options of the adapter and of the frozen base fit the model type."""
    config = context.config
    if config.model_type == "full" and config.base_model_precision != "no_change":
        edit = Edit("base_model_precision", "no_change")
        yield error(
            edit.key,
            f"{config.base_model_precision} freezes the base, but model_type full trains it",
            "set it to no_change, or model_type to lora",
            edit,
        )
    if config.model_type == "full" and config.init_lora:
        yield error("init_lora", "model_type full has no adapter to start from", "remove it")


def vram(context: Context) -> Iterator[Problem]:
    """A full fine-tune needs memory for weights, gradients and moments."""
    config, gpus = context.config, context.environment.gpus
    needs = {"stage-c": 48, "stage-c-lite": 24}.get(config.model_flavour)
    if config.model_type != "full" or needs is None or not gpus:
        return
    largest = max(gpus, key=lambda gpu: gpu.total_bytes)
    if largest.total_bytes < needs * _GIB:
        yield warning(
            "model_type",
            f"a full fine-tune of {config.model_flavour} wants {needs} GiB or more, "
            f"{largest.name} has {largest.total_bytes / _GIB:.0f} GiB",
            "set it to lora" + (", or model_flavour to stage-c-lite" if needs == 48 else ""),
            Edit("model_type", "lora"),
        )


def packages(context: Context) -> Iterator[Problem]:
    """Optional parts are installed; torchvision, without which nothing is encoded, is there."""
    config, has = context.config, context.environment.has_package
    for name in ("torch", "torchvision"):
        if not has(name):
            yield error(
                "",
                f"the package {name} is not installed, and the trainer needs it",
                f"pip install {name}",
            )
    if config.base_model_precision.endswith("-torchao") and not has("torchao"):
        yield error(
            "base_model_precision",
            f"{config.base_model_precision} needs the package torchao",
            "pip install 'cascade-tui[quantization]'",
        )
    for name in config.report_to:
        if name != "none" and not has(name):
            yield error(
                "report_to", f"{name} is not installed", f"pip install 'cascade-tui[{name}]'"
            )


def decoder(context: Context) -> Iterator[Problem]:
    """The decoder's subfolder is one that exists."""
    config = context.config
    name, folder = (
        config.stable_cascade_decoder_model_name_or_path,
        config.stable_cascade_decoder_subfolder,
    )
    if not config.stable_cascade_use_decoder_for_validation or Path(name).expanduser().is_dir():
        return
    if folder not in PUBLISHED_DECODERS:
        edit = Edit("stable_cascade_decoder_subfolder", "decoder")
        yield error(
            edit.key,
            f"{name} has no subfolder {folder}; there are {' and '.join(PUBLISHED_DECODERS)}",
            'set it to "decoder"',
            edit,
        )


def backends(context: Context) -> Iterator[Problem]:
    """There is something to train on, ids are unique, one text cache is the default."""
    key = "data_backend_config"
    if not context.image_backends:
        yield error(
            key,
            "no image backend: there is nothing to train on",
            "add a backend of dataset_type images with instance_data_dir",
        )
    identities = [backend.id for backend in context.backends]
    for identity in sorted({i for i in identities if identities.count(i) > 1}):
        yield error(backend_key(identity, "id"), "two backends have this id", "rename one")
    defaults = [backend for backend in context.text_backends if backend.default]
    if len(context.text_backends) > 1 and len(defaults) != 1:
        yield error(
            key,
            f"{len(defaults)} of {len(context.text_backends)} text_embeds backends are the default",
            "set default: true on exactly one",
        )
    if not context.text_backends:
        yield warning(
            key,
            "no text_embeds backend: captions are encoded into this run's own cache, and every "
            "new output_dir encodes them again (0.2 MB and one CLIP-G forward a caption)",
            "add a backend of dataset_type text_embeds with a cache_dir",
        )


def image_backend(context: Context) -> Iterator[Problem]:
    """Sizes and captions of each image backend fit together."""
    for backend in context.image_backends:

        def key(name: str, backend: ImageBackend = backend) -> str:
            return backend_key(backend.id, name)

        low, high = backend.minimum_image_size, backend.maximum_image_size
        if high is not None and backend.target_downsample_size is None:
            yield error(
                key("maximum_image_size"),
                "it needs target_downsample_size: the size that larger pictures are brought to",
                f"set target_downsample_size to {min(high, 1024)}",
                Edit(key("target_downsample_size"), min(high, 1024)),
            )
        if low is not None and high is not None and low > high:
            yield error(key("minimum_image_size"), f"{low} is above maximum_image_size {high}")
        if backend.caption_strategy == "instanceprompt" and not backend.instance_prompt:
            yield error(key("instance_prompt"), "caption_strategy instanceprompt needs it")
        if backend.prepend_instance_prompt and not backend.instance_prompt:
            yield error(key("instance_prompt"), "prepend_instance_prompt needs it")
        if context.config.model_flavour != "stage-c-tiny":
            for size in {backend.resolution, *backend.bucket_resolutions}:
                yield from _trained_range(key("resolution"), size)


def validation_prompts(context: Context) -> Iterator[Problem]:
    """Prompts have words, and there is one."""
    config = context.config
    if not context.prompts and not config.validation_prompt:
        yield hint(
            "validation_prompt",
            "no validation prompt: no pictures will be drawn",
            "set validation_prompt, or name a validation_prompt_library",
        )
    for name, text in context.prompts.items():
        if not text.strip():
            yield warning("validation_prompt_library", f"the prompt {name} is empty")


def hub(context: Context) -> Iterator[Problem]:
    """A hub name alone pushes nothing; say so."""
    if context.config.hub_model_id and not context.config.push_to_hub:
        yield hint(
            "hub_model_id",
            "push_to_hub is not set, so nothing is pushed; the files stay in output_dir/export",
        )


def accelerate_file(context: Context) -> Iterator[Problem]:
    """Sharded training comes later; plain data parallelism works."""
    value = context.config.accelerate_config_file
    if value is None:
        return
    path = Path(value).expanduser()
    if not path.is_file():
        yield error(
            "accelerate_config_file", f"{value} does not exist", "make it with `accelerate config`"
        )
        return
    text = path.read_text(errors="replace")
    for name in ("DEEPSPEED", "FSDP", "MEGATRON_LM", "TPU"):
        if f"distributed_type: {name}" in text or f'"distributed_type": {json.dumps(name)}' in text:
            yield error(
                "accelerate_config_file",
                f"distributed_type {name} is not supported yet; NO and MULTI_GPU are",
            )


RULES: Sequence[Rule] = (
    mixed_precision,
    validation_resolution,
    steps,
    resume,
    adapter,
    vram,
    packages,
    decoder,
    backends,
    image_backend,
    validation_prompts,
    hub,
    accelerate_file,
)


def check_rules(context: Context) -> tuple[Problem, ...]:
    """Every problem that the rules find."""
    return tuple(problem for rule in RULES for problem in rule(context))
