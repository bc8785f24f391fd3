"""Rules about the optimizer, the course of its learning rate, and the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.config.context import Context, Rule
from engine.config.problems import Edit, Problem, error, warning


def learning_rate(context: Context) -> Iterator[Problem]:
    """The learning rate is one that trains."""
    config = context.config
    rate = config.learning_rate
    usual = "1e-4" if config.model_type == "lora" else "1e-5"
    if rate > (2e-3 if config.model_type == "lora" else 5e-4):
        yield warning(
            "learning_rate",
            f"{rate:g} is far above what a {config.model_type} training of this prior bears",
            f"{usual} is usual",
            Edit("learning_rate", float(usual)),
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


OPTIMIZER_RULES: Sequence[Rule] = (learning_rate, schedule)
