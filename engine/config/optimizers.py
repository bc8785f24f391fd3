"""What each optimizer is: the package it comes from, and the options and arguments it uses.

Light, so that a config is checked without torch; a test compares it with the classes themselves.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_BETAS = ("adam_beta1", "adam_beta2")
_ADAM = (*_BETAS, "adam_epsilon", "adam_weight_decay")
ADAM_OPTIONS = frozenset(_ADAM)


@dataclass(frozen=True, slots=True)
class OptimizerFacts:
    """One optimizer.

    ``package`` is the import name of what it needs beside torch; ``options`` are those of
    :data:`ADAM_OPTIONS` that it uses; ``arguments`` are what ``optimizer_config`` may set further,
    with their types; ``usual_rates`` the learning rates below and above which something is amiss,
    and the usual one, where they are not those of Adam; ``state_bytes`` what it keeps for each
    trained number.
    """

    options: frozenset[str] = ADAM_OPTIONS
    package: str = ""
    arguments: Mapping[str, type] = field(default_factory=dict)
    usual_rates: tuple[float, float, float] | None = None
    state_bytes: int = 8


OPTIMIZERS: Mapping[str, OptimizerFacts] = {
    "adamw_bf16": OptimizerFacts(state_bytes=4),
    "torch-adamw": OptimizerFacts(arguments={"amsgrad": bool}),
    "adamw-8bit": OptimizerFacts(
        package="bitsandbytes", arguments={"min_8bit_size": int}, state_bytes=2
    ),
    "lion": OptimizerFacts(
        options=frozenset({*_BETAS, "adam_weight_decay"}),
        package="pytorch_optimizer",
        arguments={"weight_decouple": bool, "fixed_decay": bool},
        state_bytes=4,
    ),
    "lion-8bit": OptimizerFacts(
        options=frozenset({*_BETAS, "adam_weight_decay"}),
        package="bitsandbytes",
        arguments={"min_8bit_size": int},
        state_bytes=1,
    ),
    "adafactor": OptimizerFacts(
        options=frozenset({"adam_weight_decay"}),
        arguments={"beta2_decay": float, "eps": tuple, "d": float},
        usual_rates=(1e-3, 1e-2, 0.1),  # relative to the root mean square of each weight
        state_bytes=0,
    ),
    "prodigy": OptimizerFacts(
        package="pytorch_optimizer",
        arguments={
            "beta3": float,
            "d0": float,
            "d_coef": float,
            "growth_rate": float,
            "weight_decouple": bool,
            "fixed_decay": bool,
            "bias_correction": bool,
            "safeguard_warmup": bool,
        },
        usual_rates=(0.1, 1.0, 1.0),  # a factor on the step size that it finds itself
        state_bytes=16,
    ),
    "adamw-schedulefree": OptimizerFacts(
        package="pytorch_optimizer",
        arguments={
            "r": float,
            "weight_lr_power": float,
            "decoupling_c": int,
            "ams_bound": bool,
        },
        usual_rates=(0.0, 1e-3, 1e-2),
    ),
    "stableadamw": OptimizerFacts(
        package="pytorch_optimizer", arguments={"kahan_sum": bool, "weight_decouple": bool}
    ),
    "muon": OptimizerFacts(
        package="pytorch_optimizer",
        arguments={
            "momentum": float,
            "nesterov": bool,
            "ns_steps": int,
            "use_adjusted_lr": bool,
            "weight_decouple": bool,
        },
        state_bytes=4,
    ),
}

ALIASES = {
    "adamw8bit": "adamw-8bit",
    "bnb-adamw8bit": "adamw-8bit",
    "bnb-lion": "lion",
    "bnb-lion8bit": "lion-8bit",
    "optimi-lion": "lion",
    "optimi-adamw": "torch-adamw",
    "optimi-stableadamw": "stableadamw",
    "schedule-free-adamw": "adamw-schedulefree",
    "adamw_schedulefree": "adamw-schedulefree",
}
"""What others call the same optimizers."""

_BETWEEN = re.compile(r",\s*(?=[A-Za-z_]\w*\s*=)")


class OptimizerConfigError(ValueError):
    """An ``optimizer_config`` that the chosen optimizer does not take; the message says why."""


def as_one_text(value: Any) -> Any:
    """``optimizer_config`` as ``a=1, b=2``, from a table or a list of ``key=value``; else as is.

    The form shows a table as JSON, and gives it back so.
    """
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        with contextlib.suppress(ValueError):
            value = json.loads(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={json.dumps(part, default=str)}" for key, part in value.items())
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return ", ".join(part.strip() for part in value)
    return value


def further_arguments(optimizer: str, text: str | None) -> dict[str, Any]:
    """Read ``optimizer_config`` for one optimizer: constructor arguments by name.

    Raises:
        OptimizerConfigError: not ``key=value``, a name that it does not take, or a wrong type.
    """
    found: dict[str, Any] = {}
    for part in _BETWEEN.split(text.strip()) if text and text.strip() else ():
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or not value:
            raise OptimizerConfigError(f"{part.strip()} is not of the form key=value")
        if key in found:
            raise OptimizerConfigError(f"{key} is given twice")
        found[key] = _typed(key, value, _type_of(optimizer, key))
    return found


def _type_of(optimizer: str, key: str) -> type:
    accepted = OPTIMIZERS[optimizer].arguments
    if key in accepted:
        return accepted[key]
    named = f"it takes {', '.join(accepted)}" if accepted else "it takes none"
    near = difflib.get_close_matches(key, accepted, n=1, cutoff=0.7)
    own = {"lr": "learning_rate", "betas": "adam_beta1 and adam_beta2", "eps": "adam_epsilon"}
    own |= {"weight_decay": "adam_weight_decay", "beta1": "adam_beta1", "beta2": "adam_beta2"}
    hint = f"did you mean {near[0]}? " if near else ""
    hint = f"set {own[key]} instead; " if key in own else hint
    raise OptimizerConfigError(f"optimizer {optimizer} has no argument {key}: {hint}{named}")


def _typed(key: str, text: str, wanted: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            value = text
    if wanted is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        names = {bool: "true or false", int: "a whole number", float: "a number"}
        raise OptimizerConfigError(f"{key} is {text}, expected {names.get(wanted, 'a list')}")
    return value
