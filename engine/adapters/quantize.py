"""A smaller frozen base under a LoRA: its large linear weights in int8, through torchao."""

from __future__ import annotations

from torch import nn

_SMALLEST_SIDE = 64


def quantize_base(prior: nn.Module, precision: str) -> None:
    """Store the weights of the prior's linear layers in ``precision``; call before attaching.

    int8-torchao keeps one scale per output channel; the matrix product runs in the activation's
    type, so activations are not quantised.
    """
    assert precision == "int8-torchao", precision
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(prior, Int8WeightOnlyConfig(), filter_fn=_is_large_linear)


def _is_large_linear(module: nn.Module, _name: str) -> bool:
    return isinstance(module, nn.Linear) and min(module.weight.shape) >= _SMALLEST_SIDE
