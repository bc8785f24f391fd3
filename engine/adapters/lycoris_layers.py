"""LoKr and LoHa (Yeh et al. 2023) on linear layers: parameters and products are lycoris-lora's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from engine.adapters.lora import LoraSettings

LYCORIS = "lycoris"
# Standard deviations that LyCORIS draws LoHa's factors with.
_LOHA_STD = {"hada_w1_a": 0.1, "hada_w1_b": 1.0, "hada_w2_b": 1.0}
_ZERO_AT_FIRST = ("lokr_w2", "lokr_w2_b", "hada_w2_a")


class LycorisLinear(nn.Module):
    """A frozen linear layer plus a LoKr or LoHa of the same shape: x [..., in] to [..., out]."""

    def __init__(self, base_layer: nn.Linear, factors: nn.Module, dropout: float) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.lycoris = factors
        self.dropout = nn.Dropout(dropout)
        self.is_enabled = True

    def enable_adapters(self, enabled: bool) -> None:
        """Add the product, or be the base layer alone; named as PEFT's layers have it."""
        self.is_enabled = enabled

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.base_layer(x)
        return y + self._added(self.dropout(x)) if self.is_enabled else y

    def _added(self, x: Tensor) -> Tensor:
        from lycoris.functional import loha, lokr

        own = dict(self.lycoris.named_parameters())
        scale = self.lycoris.scale
        if "hada_w1_a" in own:
            with torch.autocast(x.device.type, enabled=False):
                factors = (own[f"hada_{name}"] for name in ("w1_b", "w1_a", "w2_b", "w2_a"))
                # LyCORIS's own backward recomputes the two products, and takes a tensor.
                gamma = torch.tensor(scale, device=x.device)
                weight = loha.make_weight(*factors, gamma)
            return functional.linear(x, weight)
        names = ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b")
        factors = (own.get(f"lokr_{name}") for name in names)
        return lokr.kron_bypass(x, *factors, scale=scale, backend="torch")


def attach_lycoris(
    prior: nn.Module,
    settings: LoraSettings,
    modules: Sequence[str],
    *,
    generator: torch.Generator,
) -> None:
    """Wrap the layers; draw the factors as LyCORIS does, but from ``generator``.

    One factor of each product is zero, so nothing changes at first.
    """
    from lycoris.modules.loha import LohaModule
    from lycoris.modules.lokr import LokrModule

    kind = {"lokr": LokrModule, "loha": LohaModule}[settings.algorithm]
    for name in modules:
        layer = prior.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        like = nn.Linear(layer.in_features, layer.out_features, device="meta")
        extra = {"factor": settings.factor} if settings.algorithm == "lokr" else {}
        rank, alpha = settings.rank_of(name), settings.alpha_of(name)
        factors = kind(name, like, lora_dim=rank, alpha=alpha, **extra)
        _draw(factors, generator)
        wrapper = LycorisLinear(layer, factors.to(layer.weight.device), settings.dropout)
        parent, _, child = name.rpartition(".")
        setattr(prior.get_submodule(parent), child, wrapper)


@torch.no_grad()
def _draw(factors: nn.Module, generator: torch.Generator) -> None:
    for name, parameter in factors.named_parameters():
        if name in _ZERO_AT_FIRST:
            parameter.zero_()
        elif name in _LOHA_STD:
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * _LOHA_STD[name])
        else:  # as kaiming_uniform_ with a = sqrt(5)
            bound = parameter.shape[1] ** -0.5
            parameter.copy_(
                torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
            )
