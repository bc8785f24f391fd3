"""A smaller frozen base under a LoRA: its large linear weights in a shorter format.

Weights are packed by torchao or bitsandbytes and unpacked to the activation's type for each
product, in the forward pass and again in the backward pass: nothing unpacked is kept in between,
with gradient checkpointing or without. Activations are not quantised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SMALLEST_SIDE = 64
_GROUP = 64
"""Input features that share a scale, in the formats of 4 bits."""


class FrozenLinear(nn.Linear):
    """A linear layer that keeps its weight packed; only its input gets a gradient.

    ``unpack`` returns the weight [out, in] in floating point. ``packed`` are its tensors, kept as
    parameters without gradient so that they move with the network.
    """

    def __init__(
        self, linear: nn.Linear, packed: dict[str, Tensor], unpack: Callable[[FrozenLinear], Tensor]
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        for name, tensor in packed.items():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        self._unpack = unpack

    @property
    def weight(self) -> Tensor:
        """The weight [out, in], unpacked to float32."""
        return self.dense(torch.float32)

    @torch.no_grad()
    def dense(self, dtype: torch.dtype) -> Tensor:
        """Unpack the weight [out, in] to ``dtype``."""
        return self._unpack(self).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        device = x.device.type
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        return _Product.apply(x, self)


class _Product(torch.autograd.Function):
    """x W^T + b, which remembers where W is packed instead of W."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FrozenLinear) -> Tensor:
        ctx.layer = layer
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        return F.linear(x, layer.dense(x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return gradient @ ctx.layer.dense(gradient.dtype), None


@torch.no_grad()
def quantize_base(prior: nn.Module, precision: str) -> None:
    """Pack the weights of the prior's linear layers; call before attaching an adapter.

    ``precision`` is bf16, int8-torchao (one scale per output), fp8-torchao (e4m3, one scale per
    output), int4-torchao (asymmetric, a scale per 64 inputs) or nf4-bnb (QLoRA's 4-bit normal
    float, arXiv:2305.14314, an absolute maximum per 64 inputs).
    """
    pack = _PACKERS[precision]
    for parent in list(prior.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is nn.Linear and _is_large(child):
                # By slot: a Sequential and a ModuleList have children named by numbers.
                parent._modules[name] = pack(child)


def _is_large(linear: nn.Linear) -> bool:
    """Whether a shorter format saves anything; all of a published prior's layers are."""
    return min(linear.weight.shape) >= _SMALLEST_SIDE and linear.in_features % _GROUP == 0


def _pack_bf16(linear: nn.Linear) -> FrozenLinear:
    packed = {"packed": linear.weight.detach().to(torch.bfloat16)}
    return FrozenLinear(linear, packed, lambda layer: layer.packed)


def _pack_torchao(linear: nn.Linear, config: Any) -> FrozenLinear:
    from torchao.quantization import quantize_

    weight = linear.weight.detach()
    # torchao divides a row by its largest value, also where that is zero (NaN in fp8).
    weight = weight + (weight.abs().amax(dim=1, keepdim=True) == 0) * 1e-20
    single = nn.Sequential(nn.Linear(1, 1, bias=False))
    single[0].weight = nn.Parameter(weight, requires_grad=False)
    quantize_(single, config)
    return FrozenLinear(
        linear, {"packed": single[0].weight.detach()}, lambda layer: layer.packed.dequantize()
    )


def _pack_int8(linear: nn.Linear) -> FrozenLinear:
    from torchao.quantization import Int8WeightOnlyConfig

    return _pack_torchao(linear, Int8WeightOnlyConfig())


def _pack_fp8(linear: nn.Linear) -> FrozenLinear:
    from torchao.quantization import Float8WeightOnlyConfig

    return _pack_torchao(linear, Float8WeightOnlyConfig())


def _pack_int4(linear: nn.Linear) -> FrozenLinear:
    """Two codes a byte; torchao's own packed layouts have no way back without special kernels."""
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        quantize_affine,
    )

    weight, block = linear.weight.detach().float(), (1, _GROUP)
    scale, zero = choose_qparams_affine(
        weight, MappingType.ASYMMETRIC, block, torch.uint8, quant_min=0, quant_max=15, eps=1e-9
    )
    scale = scale.to(torch.bfloat16).float()  # as it is stored: the codes are chosen for it
    codes = quantize_affine(weight, block, scale, zero, torch.uint8, quant_min=0, quant_max=15)
    packed = {
        "packed": codes[:, ::2] | (codes[:, 1::2] << 4),
        "scale": scale.to(torch.bfloat16),
        "zero": zero.to(torch.uint8),
    }
    return FrozenLinear(linear, packed, _unpack_int4)


def _unpack_int4(layer: FrozenLinear) -> Tensor:
    from torchao.quantization.quant_primitives import dequantize_affine

    codes = torch.stack([layer.packed & 15, layer.packed >> 4], dim=-1).flatten(1)
    return dequantize_affine(
        codes, (1, _GROUP), layer.scale.float(), layer.zero, torch.uint8, 0, 15
    )


def _pack_nf4(linear: nn.Linear) -> FrozenLinear:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weight = linear.weight.detach().float()
    codes, state = quantize_4bit(weight, quant_type="nf4", blocksize=_GROUP)
    return FrozenLinear(
        linear, {"packed": codes}, lambda layer: dequantize_4bit(layer.packed, state)
    )


_PACKERS: dict[str, Callable[[nn.Linear], FrozenLinear]] = {
    "bf16": _pack_bf16,
    "int8-torchao": _pack_int8,
    "fp8-torchao": _pack_fp8,
    "int4-torchao": _pack_int4,
    "nf4-bnb": _pack_nf4,
}
