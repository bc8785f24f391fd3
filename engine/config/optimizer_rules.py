"""Rules about the optimizer, the course of its learning rate, and the loss.

That an option has no effect is told when it is not at its default: a frozen config sets them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.config.context import Context, Rule
from engine.config.fields import OPTIONS
from engine.config.optimizers import (
    ADAM_OPTIONS,
    OPTIMIZERS,
    OptimizerConfigError,
    further_arguments,
)
from engine.config.problems import Edit, Problem, error, hint, warning


def optimizer(context: Context) -> Iterator[Problem]:
    """The optimizer is installed, takes its arguments, and uses what is set for it."""
    config = context.config
    name, facts = config.optimizer, OPTIMIZERS[config.optimizer]
    if facts.package and not context.environment.has_package(facts.package):
        message = f"{name} needs the package {facts.package}"
        extra = "quantization" if facts.package == "bitsandbytes" else "optimizers"
        yield error("optimizer", message, f"pip install 'cascade-tui[{extra}]'")
    try:
        further_arguments(name, config.optimizer_config)
    except OptimizerConfigError as failure:
        fix = "give key=value, key=value of the names that it takes"
        yield error("optimizer_config", str(failure), fix if facts.arguments else "remove it")
    unused = ADAM_OPTIONS - facts.options
    is_plain_lora = config.lora_type == "standard" and not config.use_dora
    if name == "muon" and config.model_type == "lora" and is_plain_lora:
        unused |= ADAM_OPTIONS - {"adam_weight_decay"}  # its AdamW has no part: all are matrices
    for key in sorted(unused):
        if _is_set(context, key):
            message = f"optimizer {name} does not use it, so this has no effect"
            yield warning(key, message, "remove it", Edit(key, None))
    if name.startswith("lion") and not _is_set(context, "adam_beta2"):
        message = f"{config.adam_beta2:g} is long for {name}, which is published with 0.99"
        yield hint("adam_beta2", message, "set it to 0.99", Edit("adam_beta2", 0.99))
    if name == "adamw-schedulefree":
        yield from _schedule_free(context)


def _is_set(context: Context, key: str) -> bool:
    return bool(getattr(context.config, key) != OPTIONS[key].default)


def _schedule_free(context: Context) -> Iterator[Problem]:
    config = context.config
    if not config.lr_scheduler.startswith("constant"):
        edit = Edit("lr_scheduler", "constant_with_warmup")
        message = (
            f"adamw-schedulefree averages in place of a schedule; {config.lr_scheduler} on top"
        )
        yield warning(edit.key, message + " slows it twice", f"set it to {edit.value}", edit)
    if config.use_ema:
        message = "adamw-schedulefree keeps an average of the weights itself"
        yield error("use_ema", message, "set it to false", Edit("use_ema", False))
    if config.adam_beta1 == 0:
        message = "adamw-schedulefree interpolates with it, and 0 leaves nothing to average"
        yield error("adam_beta1", message, "set it to 0.9", Edit("adam_beta1", 0.9))


def learning_rate(context: Context) -> Iterator[Problem]:
    """The learning rate is one that trains."""
    config = context.config
    rate = config.learning_rate
    own = OPTIMIZERS[config.optimizer].usual_rates
    lora = config.model_type == "lora"
    low, usual, high = own or ((0.0, 1e-4, 2e-3) if lora else (0.0, 1e-5, 5e-4))
    if low <= rate <= high:
        return
    of = f"optimizer {config.optimizer}" if own else f"a {config.model_type} training of this prior"
    message = f"{rate:g} is far {'above' if rate > high else 'below'} what {of} "
    message += "bears" if rate > high else "needs"
    yield warning(
        "learning_rate",
        message,
        f"{usual:.0e} is usual".replace("e-0", "e-").replace("e+00", ""),
        Edit("learning_rate", usual),
    )


def schedule(context: Context) -> Iterator[Problem]:
    """The schedule uses what is set for it."""
    config = context.config
    name, rate = config.lr_scheduler, config.learning_rate
    if name == "constant" and config.lr_warmup_steps:
        edit = Edit("lr_scheduler", "constant_with_warmup")
        message = "lr_scheduler constant has no warm-up, so this has no effect"
        yield warning("lr_warmup_steps", message, f"set lr_scheduler to {edit.value}", edit)
    if name.startswith("constant") and config.lr_end:
        message = f"lr_scheduler {name} ends where it began, so this has no effect"
        edit = Edit("lr_end", None)
        yield warning("lr_end", message, "remove it, or set lr_scheduler to cosine", edit)
    elif config.lr_end > rate:
        edit = Edit("lr_end", 0.0)
        yield error(
            "lr_end", f"{config.lr_end:g} is above learning_rate {rate:g}", "set it to 0", edit
        )
    has_cycles = name in ("cosine_with_restarts", "sine")
    if config.lr_num_cycles != 1 and not has_cycles:
        message = f"lr_scheduler {name} has no cycles, so this has no effect"
        edit = Edit("lr_num_cycles", None)
        fix = "remove it, or set lr_scheduler to cosine_with_restarts"
        yield warning(edit.key, message, fix, edit)
    if config.lr_num_cycles == 1 and name == "cosine_with_restarts":
        message = "one cycle has no restart: this is cosine"
        yield warning("lr_num_cycles", message, "set it to 2 or more", Edit("lr_num_cycles", 2))
    if config.lr_power != 1 and name != "polynomial":
        message = f"lr_scheduler {name} has no power, so this has no effect"
        edit = Edit("lr_power", None)
        yield warning(edit.key, message, "remove it, or set lr_scheduler to polynomial", edit)


def clipping(context: Context) -> Iterator[Problem]:
    """Gradients are clipped in one way."""
    value = context.config.max_grad_value
    if value is not None and _is_set(context, "max_grad_norm"):
        message = f"max_grad_value {value:g} takes its place, so this has no effect"
        edit = Edit("max_grad_norm", None)
        yield warning(edit.key, message, "remove one of the two", edit)


def loss(context: Context) -> Iterator[Problem]:
    """The loss uses what is set for it, and what is set goes together."""
    config = context.config
    for key, owner, value in (
        ("min_snr_gamma", "snr_weighting", "min_snr"),
        ("huber_delta", "loss_type", "huber"),
    ):
        if _is_set(context, key) and getattr(config, owner) != value:
            message = f"{owner} {getattr(config, owner)} does not use it, so this has no effect"
            fix = f"remove it, or set {owner} to {value}"
            yield warning(key, message, fix, Edit(key, None))
    if config.noise_offset > 0.3:
        message = f"{config.noise_offset:g} is far above the 0.05 to 0.1 that is usual"
        yield warning("noise_offset", message, "set it to 0.1", Edit("noise_offset", 0.1))


OPTIMIZER_RULES: Sequence[Rule] = (optimizer, learning_rate, schedule, clipping, loss)
