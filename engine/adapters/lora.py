"""LoRA (Hu et al. 2021), DoRA (Liu et al. 2024) and rsLoRA (Kalajdzievski 2023), through peft."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from engine.adapters.adapter import MAGNITUDE, PREFIX, Adapter, AdapterError
from engine.adapters.lycoris_layers import LYCORIS, LycorisLinear, attach_lycoris
from engine.adapters.targets import check_patterns as _check_patterns
from engine.adapters.targets import chosen_layers, matches

ADAPTER = "default"


@dataclass(frozen=True, slots=True)
class LoraSettings:
    """The shape of an adapter.

    ``target`` is a key of :data:`engine.adapters.targets.TARGETS`, or ``patterns``; then
    ``patterns`` say which layers. The first of ``rank_pattern`` that matches a layer gives its
    rank; its alpha changes with it, so alpha / rank is the same everywhere. ``algorithm`` lokr and
    loha are LyCORIS's, and ``factor`` is LoKr's (-1: as square as it goes).
    """

    rank: int
    alpha: float
    target: str = "attention"
    dropout: float = 0.0
    use_dora: bool = False
    use_rslora: bool = False
    patterns: tuple[str, ...] = ()
    rank_pattern: tuple[tuple[str, int], ...] = ()
    algorithm: Literal["lora", "lokr", "loha"] = "lora"
    factor: int = -1

    @property
    def alpha_pattern(self) -> dict[str, float]:
        """The alpha of every pattern that has its own rank."""
        return {pattern: self.alpha * rank / self.rank for pattern, rank in self.rank_pattern}

    def rank_of(self, module: str) -> int:
        """The rank of a module's adapter."""
        return next((r for pattern, r in self.rank_pattern if matches(pattern, module)), self.rank)

    def alpha_of(self, module: str) -> float:
        """The alpha which, over the rank, is what B @ A is multiplied by (rsLoRA's root too)."""
        rank = self.rank_of(module)
        patterned = next((p for p, _ in self.rank_pattern if matches(p, module)), None)
        alpha = self.alpha if patterned is None else self.alpha_pattern[patterned]
        return alpha * math.sqrt(rank) if self.use_rslora else alpha

    def alphas(self, modules: Iterable[str]) -> dict[str, float]:
        """:meth:`alpha_of` of every module."""
        return {module: self.alpha_of(module) for module in modules}

    def describe(self) -> dict:
        """The settings that differ from the defaults, as JSON keeps them."""
        described: dict = {
            "rank": self.rank,
            "alpha": self.alpha,
            "target": self.target,
            "dropout": self.dropout,
        }
        described |= {"use_dora": True} if self.use_dora else {}
        described |= {"use_rslora": True} if self.use_rslora else {}
        described |= {"patterns": list(self.patterns)} if self.patterns else {}
        if self.rank_pattern:
            described["rank_pattern"] = [list(pair) for pair in self.rank_pattern]
        if self.algorithm != "lora":
            described |= {"algorithm": self.algorithm, "factor": self.factor}
        return described


def attach_lora(
    prior: nn.Module, settings: LoraSettings, *, generator: torch.Generator
) -> dict[str, nn.Parameter]:
    """Freeze the prior, add float32 adapters to its linear layers, return what is trained by name.

    Of LoRA, A is drawn from ``generator`` (uniform, as Kaiming with a = sqrt(5)) and B is zero; of
    DoRA the magnitude is the weight's own norm; of LyCORIS see :mod:`lycoris_layers`. The network's
    output is at first what it was.

    Raises:
        AdapterError: no such target, a pattern that matches no layer, or a rank above its size.
    """
    layers = chosen_layers(prior, settings.target, settings.patterns)
    _check_patterns("lora_rank_pattern", [pattern for pattern, _ in settings.rank_pattern], layers)
    if settings.algorithm != "lokr":  # whose rank may be larger: then its matrices are whole
        _check_ranks(layers, settings)
    prior.requires_grad_(False)
    if settings.algorithm == "lora":
        _inject(prior, settings, tuple(layers))
    else:
        attach_lycoris(prior, settings, tuple(layers), generator=generator)
    trained = {name: p for name, p in prior.named_parameters() if p.requires_grad}
    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                bound = parameter.shape[1] ** -0.5
                drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                parameter.copy_(drawn)
    return trained


def _inject(prior: nn.Module, settings: LoraSettings, modules: tuple[str, ...]) -> None:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(modules),
        bias="none",
        use_dora=settings.use_dora,
        use_rslora=settings.use_rslora,
        rank_pattern=dict(settings.rank_pattern),
        alpha_pattern=settings.alpha_pattern,
    )
    inject_adapter_in_model(config, prior, adapter_name=ADAPTER)


def _check_ranks(layers: Mapping[str, tuple[int, int]], settings: LoraSettings) -> None:
    for name, (num_out, num_in) in layers.items():
        rank, smallest = settings.rank_of(name), min(num_out, num_in)
        if rank > smallest:
            key = "lora_rank" if rank == settings.rank else "lora_rank_pattern"
            raise AdapterError(
                f"{key} {rank} is larger than {name} ({num_out} x {num_in}): set it to "
                f"{smallest} or less"
            )


def _adapter_key(name: str) -> str | None:
    """The key of an adapter's parameter in the attached network; None of the base's."""
    if f".{LYCORIS}." in name:
        return PREFIX + name.replace(f".{LYCORIS}.", ".")
    if f".{MAGNITUDE}." in name:
        return PREFIX + name.replace(f".{ADAPTER}.weight", "")
    if ".lora_A." in name or ".lora_B." in name:
        return PREFIX + name.replace(f".{ADAPTER}.", ".")
    return None


def _attached(prior: nn.Module) -> dict[str, nn.Parameter]:
    named = ((_adapter_key(name), parameter) for name, parameter in prior.named_parameters())
    return {key: parameter for key, parameter in named if key is not None}


def adapter_state(prior: nn.Module) -> dict[str, Tensor]:
    """Return the adapter under PEFT's keys: base_model.model.<module>.lora_A.weight [rank, in]."""
    return {key: parameter.detach().cpu() for key, parameter in _attached(prior).items()}


def attached_adapter(prior: nn.Module, settings: LoraSettings) -> Adapter:
    """Return the attached adapter as a value."""
    adapter = Adapter(adapter_state(prior), {})
    return Adapter(adapter.state, settings.alphas(adapter.modules))


@contextmanager
def without_adapter(prior: nn.Module) -> Iterator[None]:
    """The base network alone, for as long as the block runs."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    kinds = (BaseTunerLayer, LycorisLinear)
    layers = [module for module in prior.modules() if isinstance(module, kinds)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def base_weights(prior: nn.Module, modules: Iterable[str]) -> dict[str, Tensor]:
    """The frozen weights [out, in] under an adapter, in float32, by ``<module>.weight``."""
    weights = {}
    for module in modules:
        layer = prior.get_submodule(module)
        weight = getattr(layer, "base_layer", layer).weight
        weights[f"{module}.weight"] = weight.detach().float()
    return weights


@torch.no_grad()
def load_adapter_state(prior: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Set the attached adapter to ``state`` (PEFT's keys), strictly.

    Raises:
        AdapterError: keys are missing, unexpected or of another shape.
    """
    own = _attached(prior)
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    misshapen = [k for k in own.keys() & state.keys() if own[k].shape != state[k].shape]
    if missing or unexpected or misshapen:
        raise AdapterError(
            f"the adapter does not fit: {len(missing)} tensors missing, {len(unexpected)} "
            f"unexpected, {len(misshapen)} of another shape (such as "
            f"{(missing + unexpected + misshapen)[0]}); its kind, lora_rank and lora_target must "
            "be its own"
        )
    for key, parameter in own.items():
        parameter.copy_(state[key])
