"""A smaller frozen base under a LoRA: its large linear weights in a shorter format.

Weights are quantised by torchao or bitsandbytes, and unpacked to the activation's type for each
product, in the forward pass and again in the backward pass: nothing unpacked is kept in between,
with gradient checkpointing or without, which the libraries' own layers would do. Activations are
not quantised. Unpacking is plain tensor arithmetic: at 640 layers and three passes a step, what a
tensor subclass costs in Python is more than the products take.
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

    ``packed`` are its tensors, kept as parameters without gradient so that they move with the
    network. ``unpack(layer, dtype)`` returns [out, in]; a tensor called ``scale`` [out], where
    there is one, multiplies its rows, after the product.
    """

    scale: Tensor | None

    def __init__(
        self,
        linear: nn.Linear,
        packed: dict[str, Tensor],
        unpack: Callable[[FrozenLinear, torch.dtype], Tensor],
    ) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self.register_parameter("scale", None)
        for name, tensor in packed.items():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))
        self._unpack = unpack

    @property
    @torch.no_grad()
    def weight(self) -> Tensor:
        """The weight [out, in], unpacked to float32."""
        weight = self._unpack(self, torch.float32)
        return weight if self.scale is None else weight * self.scale[:, None]

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
        weight = layer._unpack(layer, x.dtype)
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        if layer.scale is None:
            return F.linear(x, weight, bias)
        y, scale = F.linear(x, weight), layer.scale.to(x.dtype)
        return y * scale if bias is None else torch.addcmul(bias, y, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        layer = ctx.layer
        if layer.scale is not None:
            gradient = gradient * layer.scale.to(gradient.dtype)
        return gradient @ layer._unpack(layer, gradient.dtype), None


@torch.no_grad()
def quantize_base(
    prior: nn.Module, precision: str, *, device: torch.device | str | None = None
) -> None:
    """Pack the weights of the prior's linear layers; call before attaching an adapter.

    ``precision`` is bf16, int8-torchao (one scale per output), fp8-torchao (e4m3, one scale per
    output), int4-torchao (asymmetric, a scale per 64 inputs) or nf4-bnb (QLoRA's 4-bit normal
    float, arXiv:2305.14314, an absolute maximum per 64 inputs).

    With ``device``, each layer goes there by itself to be packed, and all else follows in float32:
    a network that lies mapped in host memory never takes more of the GPU than its packed form.
    """
    pack = _PACKERS[precision]
    # The layers themselves are not listed: each is freed as soon as it is packed.
    slots = [
        (parent, name)
        for parent in prior.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear and _is_large(child)
    ]
    for parent, name in slots:
        # By slot: a Sequential and a ModuleList have children named by numbers.
        linear = parent.get_submodule(name).to(device, torch.float32)
        parent._modules[name] = pack(linear)
    packed = {
        id(parameter)
        for module in prior.modules()
        if isinstance(module, FrozenLinear)
        for name, parameter in module.named_parameters(recurse=False)
        if name != "bias"
    }
    for parameter in prior.parameters():
        if id(parameter) not in packed:
            parameter.data = parameter.data.to(device, torch.float32)


def _is_large(linear: nn.Linear) -> bool:
    """Whether a shorter format saves anything; all of a published prior's layers are."""
    return min(linear.weight.shape) >= _SMALLEST_SIDE and linear.in_features % _GROUP == 0


def _cast(layer: FrozenLinear, dtype: torch.dtype) -> Tensor:
    return layer.packed.to(dtype)


def _pack_bf16(linear: nn.Linear) -> FrozenLinear:
    return FrozenLinear(linear, {"packed": linear.weight.detach().to(torch.bfloat16)}, _cast)


def _pack_int8(linear: nn.Linear) -> FrozenLinear:
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        quantize_affine,
    )

    weight = linear.weight.detach()
    block = (1, weight.shape[1])
    scale, zero = choose_qparams_affine(weight, MappingType.SYMMETRIC, block, torch.int8)
    codes = quantize_affine(weight, block, scale, zero, torch.int8)
    return FrozenLinear(linear, {"packed": codes, "scale": scale.flatten()}, _cast)


def _pack_fp8(linear: nn.Linear) -> FrozenLinear:
    """As torchao's Float8WeightOnlyConfig does with a scale per row, but for rows of zeros."""
    weight = linear.weight.detach()
    largest = torch.finfo(torch.float8_e4m3fn).max
    scale = weight.abs().amax(dim=1).clamp(min=1e-12) / largest
    codes = (weight / scale[:, None]).clamp(-largest, largest).to(torch.float8_e4m3fn)
    return FrozenLinear(linear, {"packed": codes, "scale": scale}, _cast)


def _pack_int4(linear: nn.Linear) -> FrozenLinear:
    """Two codes a byte; torchao's own packed layouts have no way back without special kernels."""
    from torchao.quantization.quant_primitives import (
        MappingType,
        choose_qparams_affine,
        quantize_affine,
    )

    weight, block = linear.weight.detach(), (1, _GROUP)
    scale, zero = choose_qparams_affine(
        weight, MappingType.ASYMMETRIC, block, torch.uint8, quant_min=0, quant_max=15, eps=1e-9
    )
    scale = scale.to(torch.bfloat16).float()  # as it is stored: the codes are chosen for it
    codes = quantize_affine(weight, block, scale, zero, torch.uint8, quant_min=0, quant_max=15)
    packed = {
        "packed": codes[:, ::2] | (codes[:, 1::2] << 4),
        "group_scale": scale.view(len(weight), -1).to(torch.bfloat16),
        "group_zero": zero.view(len(weight), -1).to(torch.bfloat16),
    }
    return FrozenLinear(linear, packed, _unpack_int4)


def _unpack_int4(layer: FrozenLinear, dtype: torch.dtype) -> Tensor:
    codes = torch.stack([layer.packed & 15, layer.packed >> 4], dim=-1)
    groups = codes.view(layer.out_features, -1, _GROUP).to(dtype)
    centred = groups - layer.group_zero.to(dtype)[..., None]
    return (centred * layer.group_scale.to(dtype)[..., None]).flatten(1)


def _pack_nf4(linear: nn.Linear) -> FrozenLinear:
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    codes, state = quantize_4bit(linear.weight.detach(), quant_type="nf4", blocksize=_GROUP)
    return FrozenLinear(
        linear,
        {"packed": codes},
        lambda layer, dtype: dequantize_4bit(layer.packed, state).to(dtype),
    )


_PACKERS: dict[str, Callable[[nn.Linear], FrozenLinear]] = {
    "bf16": _pack_bf16,
    "int8-torchao": _pack_int8,
    "fp8-torchao": _pack_fp8,
    "int4-torchao": _pack_int4,
    "nf4-bnb": _pack_nf4,
}
