"""What the options must satisfy together, as small pure functions that yield problems.

A rule looks at the typed config, the backends, the prompts and the probed environment. Rules about
files and folders of this machine are in ``machine_rules``.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Sequence

from engine.config.adapter_rules import ADAPTER_RULES
from engine.config.backend_rules import BACKEND_RULES
from engine.config.context import Context, Rule, trained_range
from engine.config.forecast import card_bytes, largest_cells, largest_gpu
from engine.config.hub import name_fault
from engine.config.optimizer_rules import OPTIMIZER_RULES
from engine.config.problems import Edit, Problem, error, hint, warning
from engine.config.prompts import SINGLE_PROMPT, check_prompts
from engine.config.reading import shown
from engine.config.resolution import GRID_PX
from engine.config.weight_files import PUBLISHED_DECODERS, is_folder, local_decoder


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
            "residual stream and loss stay in fp32, as in the published training",
            'watch the first steps, or set it to "no"',
            edit,
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
        yield from trained_range(key, value)


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
    if config.max_train_steps is not None and config.num_train_epochs is not None:
        yield warning(
            "num_train_epochs",
            "max_train_steps is set too, and wins",
            "remove one of the two",
            Edit("num_train_epochs", None),
        )


def resume(context: Context) -> Iterator[Problem]:
    """resume_from_checkpoint is a word or a step."""
    value = context.config.resume_from_checkpoint
    if value not in ("latest", "none") and not (value.isascii() and value.isdecimal()):
        edit = Edit("resume_from_checkpoint", "latest")
        yield error(edit.key, f'"{value}" is not latest, none or a step', "set it to latest", edit)


def ema(context: Context) -> Iterator[Problem]:
    """The average is one of many updates, within the run."""
    config = context.config
    steps = config.max_train_steps
    if config.use_ema and steps is not None and steps // config.ema_update_interval < 2:
        edit = Edit("ema_update_interval", 1)
        message = f"the average is updated every {config.ema_update_interval} of {steps} steps only"
        yield warning(edit.key, message, "set it to 1", edit)


def vram(context: Context) -> Iterator[Problem]:
    """What the training takes fits the largest card; else what would make it fit, mildest first."""
    config, gpu = context.config, largest_gpu(context.environment)
    cells = largest_cells(context.backends)
    needed = card_bytes(config, cells=cells)
    if gpu is None or needed is None or needed <= gpu.total_bytes:
        return

    def takes(*edits: Edit) -> float:
        changed = config.model_copy(update={edit.key: edit.value for edit in edits})
        return card_bytes(changed, cells=cells) or math.inf

    edits = list(_smaller(context))
    ways = [[edit] for edit in edits] + [edits[: n + 1] for n in range(1, len(edits))]
    way = next((way for way in ways if takes(*way) <= gpu.total_bytes), edits)
    key = way[0].key if way else "model_flavour"
    told = ", ".join(f"{e.key} to {shown(e.value)}" for e in {e.key: e for e in way}.values())
    yield warning(
        key,
        f"training takes about {needed / 1e9:.0f} GB, {gpu.name} has "
        f"{gpu.total_bytes / 1e9:.0f} GB",
        f"set {told}: about {takes(*way) / 1e9:.0f} GB" if way else "use a larger card",
        way[0] if way else None,
    )


def _smaller(context: Context) -> Iterator[Edit]:
    """Changes that save memory, those first that change the outcome least."""
    config = context.config
    can_pack = config.model_type == "lora" and context.environment.has_package("torchao")
    if not config.gradient_checkpointing:
        yield Edit("gradient_checkpointing", True)
    if can_pack and config.base_model_precision in ("no_change", "bf16"):
        yield Edit("base_model_precision", "int8-torchao")
    batch_size = config.train_batch_size
    while batch_size > 1:
        batch_size //= 2
        yield Edit("train_batch_size", batch_size)
    if can_pack and config.base_model_precision != "int4-torchao":
        yield Edit("base_model_precision", "int4-torchao")
    if config.model_flavour == "stage-c":
        yield Edit("model_flavour", "stage-c-lite")
    if config.model_type == "full":
        yield Edit("model_type", "lora")


def processes(context: Context) -> Iterator[Problem]:
    """No more processes than GPUs."""
    wanted, num_gpus = context.config.num_processes, len(context.environment.gpus)
    if wanted is not None and num_gpus and wanted > num_gpus:
        edit = Edit("num_processes", num_gpus)
        gpus = "1 GPU is" if num_gpus == 1 else f"{num_gpus} GPUs are"
        message = f"{wanted} processes, but {gpus} visible here"
        yield error(edit.key, message, f"set it to {num_gpus}", edit)


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
    for name, why in context.environment.broken.items():
        fix = f"pip install --upgrade --force-reinstall {name}"
        yield error("", f"the package {name} is broken: {why}", fix)
    for ending, name in (("-torchao", "torchao"), ("-bnb", "bitsandbytes")):
        if config.base_model_precision.endswith(ending) and not has(name):
            yield error(
                "base_model_precision",
                f"{config.base_model_precision} needs the package {name}",
                "pip install 'cascade-tui[quantization]'",
            )
    for name in config.report_to:
        if name != "none" and not has(name):
            yield error(
                "report_to",
                f"the package {name} is not installed",
                f"pip install 'cascade-tui[{name}]'",
            )
    if "none" in config.report_to and len(config.report_to) > 1:
        names = [name for name in config.report_to if name != "none"]
        message = f"none together with {', '.join(names)}"
        edit = Edit("report_to", names)
        yield error("report_to", message, f"set it to {', '.join(names)}", edit)


def decoder(context: Context) -> Iterator[Problem]:
    """The decoder's subfolder is one that exists."""
    config = context.config
    name, folder = (
        config.stable_cascade_decoder_model_name_or_path,
        config.stable_cascade_decoder_subfolder,
    )
    if not config.stable_cascade_use_decoder_for_validation or is_folder(name):
        return
    if folder not in PUBLISHED_DECODERS and local_decoder(folder) is None:
        near = difflib.get_close_matches(folder, PUBLISHED_DECODERS, n=1, cutoff=0.6)
        edit = Edit("stable_cascade_decoder_subfolder", near[0] if near else "decoder")
        yield error(
            edit.key,
            f"{name} has no decoder {folder}, nor is it a folder here; "
            f"published are {' and '.join(PUBLISHED_DECODERS)}",
            f'set it to "{edit.value}"',
            edit,
        )


def hub(context: Context) -> Iterator[Problem]:
    """A name alone pushes nothing; pushing needs a name, a token and leave to connect."""
    name, pushes = context.config.hub_model_id, context.config.push_to_hub
    if name and (fault := name_fault(name)):
        yield error("hub_model_id", f"{name} is no name of a repository: it {fault}", "owner/name")
    elif name and not pushes:
        yield hint(
            "hub_model_id",
            "push_to_hub is not set, so nothing is pushed; the files stay in output_dir/export",
        )
    if not pushes:
        if not context.config.hub_private:
            yield hint("hub_private", "it changes nothing: push_to_hub is not set")
        return
    if not name:
        yield error("hub_model_id", "push_to_hub needs the name of a repository", "owner/name")
    if context.environment.is_offline:
        edit = Edit("push_to_hub", False)
        yield error(edit.key, "HF_HUB_OFFLINE forbids it", "unset it, or set this to false", edit)
    elif not context.environment.has_hub_token:
        yield error(
            "push_to_hub",
            "there is no token to push with",
            "`hf auth login`, or set HF_TOKEN to a token that may write",
        )


def validation_prompts(context: Context) -> Iterator[Problem]:
    """Prompts have words and names that make different files, and there is one."""
    config = context.config
    if not context.prompts and not config.validation_prompt:
        yield hint(
            "validation_prompt",
            "no validation prompt: no pictures will be drawn",
            "set validation_prompt, or name a validation_prompt_library",
        )
    if config.validation_prompt and SINGLE_PROMPT in context.prompts:
        yield warning(
            "validation_prompt",
            f"it is not drawn: the library has a prompt {SINGLE_PROMPT}, and its name is that",
            f"give the library's prompt {SINGLE_PROMPT} another name",
        )
    yield from check_prompts(context.prompts)


RULES: Sequence[Rule] = (
    mixed_precision,
    validation_resolution,
    steps,
    resume,
    *ADAPTER_RULES,
    ema,
    vram,
    processes,
    packages,
    decoder,
    validation_prompts,
    hub,
)


def check_rules(context: Context) -> tuple[Problem, ...]:
    """Every problem that the rules find."""
    return tuple(
        problem for rule in (*RULES, *OPTIMIZER_RULES, *BACKEND_RULES) for problem in rule(context)
    )
