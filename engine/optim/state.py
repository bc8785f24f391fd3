"""An optimizer's state as plain named tensors, and back, bit for bit.

    <parameter name>/<key>          a tensor
    <parameter name>/<key>#int      a Python number, as a 0-d tensor
    #group0/<key>                   what a parameter group learns: Prodigy's d, a step count

What the config sets (learning rate, betas, ...) is not state: a resumed run has the config's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from engine.optim.adamw_bf16 import AdamWBF16

_GROUP, _NONE = "#group", "none"
_LEARNT_BY_GROUPS = frozenset(
    {"step", "d", "d_max", "d_hat", "d_numerator", "d_de_nom", "weight_sum", "lr_max", "train_mode"}
)
_DTYPES: dict[type, torch.dtype] = {
    bool: torch.bool, int: torch.int64, float: torch.float64,
}  # fmt: skip
_TYPES = {kind.__name__: kind for kind in _DTYPES}


class OptimizerStateError(ValueError):
    """A checkpoint's optimizer state does not belong to this optimizer and these parameters."""


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Flatten the optimizer's state to named tensors on the CPU, none sharing memory."""
    found: dict[str, Tensor] = {}
    for index, group in enumerate(optimizer.param_groups):
        learnt = {key: group[key] for key in sorted(_LEARNT_BY_GROUPS & group.keys())}
        found |= _named(f"{_GROUP}{index}", learnt)
    for name, parameter in parameters.items():
        found |= _named(name, optimizer.state[parameter])
    seen: set[int] = set()
    for path, value in found.items():  # bitsandbytes gives all parameters one table
        if value.data_ptr() in seen:
            found[path] = value.clone()
        seen.add(value.data_ptr())
    return found


def _named(owner: str, state: Mapping[str, Any]) -> dict[str, Tensor]:
    named = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            named[f"{owner}/{key}"] = value.detach().cpu()
        elif value is None:
            named[f"{owner}/{key}#{_NONE}"] = torch.zeros(())
        else:
            kind = type(value)
            assert kind in _DTYPES, f"{owner}/{key} is a {kind.__name__}"
            named[f"{owner}/{key}#{kind.__name__}"] = torch.tensor(value, dtype=_DTYPES[kind])
    return named


def load_optimizer_tensors(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> None:
    """Restore what :func:`optimizer_tensors` returned.

    Raises:
        OptimizerStateError: a parameter has no state, state is left over, or another optimizer's.
    """
    by_owner: dict[str, dict[str, Tensor]] = {}
    for path, value in tensors.items():
        owner, _, key = path.rpartition("/")
        by_owner.setdefault(owner, {})[key] = value
    names = {owner for owner in by_owner if not owner.startswith(_GROUP)}
    missing, unexpected = parameters.keys() - names, names - parameters.keys()
    if names and (missing or unexpected):  # none at all: no step was taken yet
        raise OptimizerStateError(
            f"the checkpoint's optimizer state does not fit: {len(missing)} parameters without "
            f"state ({', '.join(sorted(missing)[:3])}), {len(unexpected)} unknown "
            f"({', '.join(sorted(unexpected)[:3])}). Was the adapter's shape or target changed?"
        )
    for index, group in enumerate(optimizer.param_groups):
        device = group["params"][0].device
        group.update(_values(by_owner.get(f"{_GROUP}{index}", {}), device))
    # Who takes found_inf counts steps on the device; the others count on the host.
    step_on_host = not takes_found_inf(optimizer)
    for name, parameter in parameters.items():
        if name in by_owner:
            values = _values(by_owner[name], parameter.device)
            if step_on_host and isinstance(values.get("step"), Tensor):
                values["step"] = values["step"].cpu()
            optimizer.state[parameter].update(values)


def _values(named: Mapping[str, Tensor], device: torch.device) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in named.items():
        name, _, kind = key.partition("#")
        if not kind:
            values[name] = value.to(device, copy=True)
        else:
            values[name] = None if kind == _NONE else _TYPES[kind](value.item())
    return values


def takes_found_inf(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``found_inf`` on the device makes its step a no-op, without a host sync."""
    return isinstance(optimizer, AdamWBF16) or bool(optimizer.defaults.get("fused"))


@contextmanager
def averaged(optimizer: torch.optim.Optimizer | None) -> Iterator[None]:
    """Within the block, parameters are the average that a schedule-free optimizer keeps.

    The trained values come back bit for bit, which ``eval()`` and ``train()`` alone would round.
    Does nothing for optimizers that keep no average (Defazio et al. 2024, arXiv:2405.15682).
    """
    if optimizer is None or "train_mode" not in optimizer.defaults:
        yield
        return
    parameters = [value for group in optimizer.param_groups for value in group["params"]]
    trained = [value.detach().clone() for value in parameters]
    optimizer.eval()
    try:
        yield
    finally:
        optimizer.train()
        with torch.no_grad():
            for parameter, value in zip(parameters, trained, strict=True):
                parameter.copy_(value)
