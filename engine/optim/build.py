"""The optimizer a config asks for, and its state as plain named tensors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from engine.config.fields import TrainingConfig
from engine.optim.adamw_bf16 import AdamWBF16
from engine.optim.schedules import Schedule


class OptimizerStateError(ValueError):
    """A checkpoint's optimizer state does not belong to these parameters."""


def build_optimizer(
    parameters: Mapping[str, Tensor], config: TrainingConfig
) -> torch.optim.Optimizer:
    """Build the optimizer named in ``config`` over named trainable parameters."""
    arguments = {
        "lr": config.learning_rate,
        "betas": (config.adam_beta1, config.adam_beta2),
        "eps": config.adam_epsilon,
        "weight_decay": config.adam_weight_decay,
    }
    if config.optimizer == "adamw_bf16":
        return AdamWBF16(parameters.values(), **arguments)
    assert config.optimizer == "torch-adamw", config.optimizer
    return torch.optim.AdamW(parameters.values(), fused=True, **arguments)


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


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Flatten the optimizer's state to ``<parameter name>/<moment>`` tensors on the CPU."""
    return {
        f"{name}/{key}": value.detach().cpu()
        for name, parameter in parameters.items()
        for key, value in optimizer.state[parameter].items()
    }


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> None:
    """Restore what :func:`optimizer_tensors` returned.

    Raises:
        OptimizerStateError: a parameter has no state, or state is left over.
    """
    by_name: dict[str, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        name, _, key = path.rpartition("/")
        by_name.setdefault(name, {})[key] = value
    missing, unexpected = parameters.keys() - by_name.keys(), by_name.keys() - parameters.keys()
    if missing or unexpected:
        raise OptimizerStateError(
            f"the checkpoint's optimizer state does not fit: {len(missing)} parameters without "
            f"state ({', '.join(sorted(missing)[:3])}), {len(unexpected)} unknown "
            f"({', '.join(sorted(unexpected)[:3])}). Was the adapter's shape or target changed?"
        )
    for name, parameter in parameters.items():
        state = optimizer.state[parameter]
        for key, value in by_name[name].items():
            # torch's fused AdamW wants its step counter on the parameter's device, as float32.
            state[key] = value.to(parameter.device, copy=True)
