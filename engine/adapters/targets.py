"""Which linear layers of the prior get an adapter, and of which rank."""

from __future__ import annotations

import re
from collections.abc import Sequence

from torch import nn

from engine.adapters.adapter import AdapterError

_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
_MLP = ("channelwise.0", "channelwise.4")
# Text-only training feeds the image mapper zeros, so its adapter stays zero; sca and crp get a
# constant, so theirs learn a constant.
_OTHERS = (
    "kv_mapper.1",
    "mapper",
    "mapper_sca",
    "mapper_crp",
    "clip_txt_mapper",
    "clip_txt_pooled_mapper",
    "clip_img_mapper",
)
TARGETS: dict[str, tuple[str, ...]] = {
    "attention": _ATTENTION,
    "attention+mlp": (*_ATTENTION, *_MLP),
    "all-linear": (*_ATTENTION, *_MLP, *_OTHERS),
}
PATTERNS = "patterns"


def linear_layers(network: nn.Module) -> dict[str, tuple[int, int]]:
    """Every linear layer's (out, in) by name; one with an adapter counts under its own name."""
    layers: dict[str, tuple[int, int]] = {}
    wrapped: list[str] = []
    for name, module in network.named_modules():
        if any(name.startswith(f"{outer}.") for outer in wrapped[-1:]):
            continue
        layer = module
        if hasattr(module, "base_layer"):
            wrapped.append(name)
            layer = module.base_layer
        if isinstance(layer, nn.Linear):
            layers[name] = (layer.out_features, layer.in_features)
    return layers


def matches(pattern: str, module: str) -> bool:
    """Whether a pattern means this module: a regular expression for the end of its path, as in
    peft's rank_pattern (``to_q`` and ``up_blocks.1.*to_q`` both match ``up_blocks.1.2...to_q``).

    Raises:
        AdapterError: it is no regular expression.
    """
    try:
        return re.fullmatch(rf"(.*\.)?({pattern})", module) is not None
    except re.error as error:
        raise AdapterError(f"the pattern {pattern} is no regular expression: {error}") from error


def target_pattern(target: str, patterns: Sequence[str]) -> list[str] | str:
    """The ``target_modules`` of peft's config: suffixes, or one expression for whole paths."""
    if target == PATTERNS:
        return rf"(.*\.)?({'|'.join(patterns)})"
    return list(TARGETS[target])


def chosen_layers(
    network: nn.Module, target: str, patterns: Sequence[str]
) -> dict[str, tuple[int, int]]:
    """The (out, in) of the layers that ``target`` means, by name.

    Raises:
        AdapterError: no such target, or a suffix or pattern that matches no layer.
    """
    if target not in (*TARGETS, PATTERNS):
        raise AdapterError(f"lora_target {target!r} is none of {', '.join((*TARGETS, PATTERNS))}")
    layers = linear_layers(network)
    if target == PATTERNS:
        if not patterns:
            raise AdapterError("lora_target is patterns, but lora_target_patterns is empty")
        check_patterns("lora_target_patterns", patterns, layers)
        return {n: size for n, size in layers.items() if any(matches(p, n) for p in patterns)}
    for suffix in TARGETS[target]:
        if not any(f".{name}".endswith(f".{suffix}") for name in layers):
            raise AdapterError(f"lora_target: no linear layer of this prior is called {suffix}")
    suffixes = tuple(f".{suffix}" for suffix in TARGETS[target])
    return {name: size for name, size in layers.items() if f".{name}".endswith(suffixes)}


def check_patterns(key: str, patterns: Sequence[str], layers: dict[str, tuple[int, int]]) -> None:
    """Refuse a pattern that means no layer.

    Raises:
        AdapterError: naming the option and the pattern.
    """
    for pattern in patterns:
        if not any(matches(pattern, name) for name in layers):
            raise AdapterError(
                f"{key}: the pattern {pattern} matches no linear layer "
                f"(there is {next(iter(layers), 'none')}, for one)"
            )
