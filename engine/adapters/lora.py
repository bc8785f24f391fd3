"""LoRA (Hu et al. 2021) on the prior, through peft."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

ADAPTER = "default"
PREFIX = "base_model.model."

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


class AdapterError(ValueError):
    """An adapter that does not fit the network; the message says what would."""


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The shape of an adapter: ``target`` is a key of :data:`TARGETS`."""

    rank: int
    alpha: float
    target: str = "attention"
    dropout: float = 0.0

    @property
    def scale(self) -> float:
        """What B @ A is multiplied by."""
        return self.alpha / self.rank


def attach_lora(
    prior: nn.Module, settings: LoraSettings, *, generator: torch.Generator
) -> dict[str, nn.Parameter]:
    """Freeze the prior, add float32 adapters to its linear layers, return what is trained by name.

    A is drawn from ``generator`` (uniform, as Kaiming with a = sqrt(5)), B is zero: the network's
    output is at first what it was.

    Raises:
        AdapterError: no such target, one that matches no layer, or a rank above a layer's size.
    """
    from peft import LoraConfig, inject_adapter_in_model

    if settings.target not in TARGETS:
        raise AdapterError(f"lora_target {settings.target!r} is none of {', '.join(TARGETS)}")
    suffixes = TARGETS[settings.target]
    _check_fit(prior, suffixes, settings.rank)
    prior.requires_grad_(False)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(suffixes),
        bias="none",
    )
    with warnings.catch_warnings():
        # Of an int8 base: peft could not merge into it. We merge into the weights' file.
        warnings.filterwarnings("ignore", message=".*get_apply_tensor_subclass")
        inject_adapter_in_model(config, prior, adapter_name=ADAPTER)
    trained = {name: p for name, p in prior.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                bound = parameter.shape[1] ** -0.5
                drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                parameter.copy_(drawn)
    return trained


def _check_fit(prior: nn.Module, suffixes: tuple[str, ...], rank: int) -> None:
    for suffix in suffixes:
        layers = {
            name: module
            for name, module in prior.named_modules()
            if isinstance(module, nn.Linear) and f".{name}".endswith(f".{suffix}")
        }
        if not layers:
            raise AdapterError(f"lora_target: no linear layer of this prior is called {suffix}")
        for name, layer in layers.items():
            smallest = min(layer.in_features, layer.out_features)
            if rank > smallest:
                raise AdapterError(
                    f"lora_rank {rank} is larger than {name} ({layer.out_features} x "
                    f"{layer.in_features}): set it to {smallest} or less"
                )


def adapter_state(prior: nn.Module) -> dict[str, Tensor]:
    """Return the adapter under PEFT's keys: base_model.model.<module>.lora_A.weight [rank, in]."""
    return {
        PREFIX + name.replace(f".{ADAPTER}.", "."): parameter.detach().cpu()
        for name, parameter in prior.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    }


@torch.no_grad()
def load_adapter_state(prior: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Set the attached adapter to ``state`` (PEFT's keys), strictly.

    Raises:
        AdapterError: keys are missing, unexpected or of another shape.
    """
    own = {
        PREFIX + name.replace(f".{ADAPTER}.", "."): parameter
        for name, parameter in prior.named_parameters()
        if ".lora_A." in name or ".lora_B." in name
    }
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    misshapen = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or unexpected or misshapen:
        raise AdapterError(
            f"the adapter does not fit: {len(missing)} tensors missing, {len(unexpected)} "
            f"unexpected, {len(misshapen)} of another shape (such as "
            f"{(missing + unexpected + misshapen)[0]}); lora_rank and lora_target must be its own"
        )
    for key, parameter in own.items():
        parameter.copy_(state[key])
