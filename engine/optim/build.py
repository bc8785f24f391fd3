"""The optimizer and the schedule that a config asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from engine.config.fields import TrainingConfig
from engine.config.optimizers import OPTIMIZERS, further_arguments
from engine.optim.adamw_bf16 import AdamWBF16
from engine.optim.schedules import Schedule


class OptimizerError(ValueError):
    """The optimizer cannot be built as the config says; the message says why."""


def build_optimizer(
    parameters: Mapping[str, Tensor], config: TrainingConfig
) -> torch.optim.Optimizer:
    """Build the optimizer named in ``config`` over named trainable parameters.

    Raises:
        OptimizerError: it refuses one of its arguments' values, or its package is not installed.
        OptimizerConfigError: ``optimizer_config`` is not one of this optimizer's.
    """
    name = config.optimizer
    further = further_arguments(name, config.optimizer_config)
    try:
        if name == "muon":
            return _build_muon(parameters, config, further)
        return _class_of(name)(list(parameters.values()), **_arguments(config), **further)
    except ImportError as error:
        raise OptimizerError(f"optimizer {name}: {error}") from error
    except (TypeError, ValueError) as error:
        raise OptimizerError(f"optimizer {name} refuses its arguments: {error}") from error


def _class_of(name: str) -> Any:
    """The class of every optimizer but muon, whose constructor is its own."""
    if name == "adamw_bf16":
        return AdamWBF16
    if name == "torch-adamw":
        return torch.optim.AdamW
    if name == "adafactor":
        return torch.optim.Adafactor
    if name.endswith("-8bit"):
        import bitsandbytes.optim

        return {
            "adamw-8bit": bitsandbytes.optim.AdamW8bit,
            "lion-8bit": bitsandbytes.optim.Lion8bit,
        }[name]
    import pytorch_optimizer

    return {
        "lion": pytorch_optimizer.Lion,
        "prodigy": pytorch_optimizer.Prodigy,
        "adamw-schedulefree": pytorch_optimizer.ScheduleFreeAdamW,
        "stableadamw": pytorch_optimizer.StableAdamW,
    }[name]


def _arguments(config: TrainingConfig) -> dict[str, Any]:
    """The options that the optimizer uses, by the names of its constructor."""
    arguments: dict[str, Any] = {
        "lr": config.learning_rate,
        "weight_decay": config.adam_weight_decay,
    }
    used = OPTIMIZERS[config.optimizer].options
    if "adam_beta1" in used:
        arguments["betas"] = (config.adam_beta1, config.adam_beta2)
    if "adam_epsilon" in used:
        arguments["eps"] = config.adam_epsilon
    if config.optimizer == "torch-adamw":
        arguments["fused"] = True
    return arguments


def _build_muon(
    parameters: Mapping[str, Tensor], config: TrainingConfig, further: dict[str, Any]
) -> torch.optim.Optimizer:
    """Muon (Jordan et al. 2024) for matrices, AdamW for convolutions, norms and biases.

    Its steps are scaled to the size of AdamW's (``use_adjusted_lr``; Liu et al. 2025,
    arXiv:2502.16982), so one learning rate serves both.
    """
    import pytorch_optimizer

    values = list(parameters.values())
    adamw = {
        "betas": (config.adam_beta1, config.adam_beta2),
        "eps": config.adam_epsilon,
    }
    common = {"lr": config.learning_rate, "weight_decay": config.adam_weight_decay}
    groups: list[dict[str, Any]] = [
        {"params": [value for value in values if value.dim() == 2], "use_muon": True, **common},
        {
            "params": [value for value in values if value.dim() != 2],
            "use_muon": False,
            **common,
            **adamw,
        },
    ]
    groups = [group for group in groups if group["params"]]
    return pytorch_optimizer.Muon(groups, **{"use_adjusted_lr": True, **further})


def build_schedule(config: TrainingConfig, num_steps: int) -> Schedule:
    """Build the learning-rate schedule named in ``config`` for ``num_steps`` optimizer steps."""
    return Schedule(
        name=config.lr_scheduler,
        peak=config.learning_rate,
        num_steps=num_steps,
        warmup_steps=config.lr_warmup_steps,
        end=config.lr_end,
        num_cycles=config.lr_num_cycles,
        power=config.lr_power,
    )
