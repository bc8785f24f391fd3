"""One adapter as a value: its tensors by module and part, whatever file they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

PREFIX = "base_model.model."
_LORA = ("lora_A.weight", "lora_B.weight")
MAGNITUDE = "lora_magnitude_vector"
_LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
_LOKR_SIDES = tuple(
    frozenset({*first, *second})
    for first in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
    for second in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))
)
PARTS = (*_LORA, MAGNITUDE, *_LOHA, *sorted(frozenset().union(*_LOKR_SIDES)))
_WHOLE = {
    frozenset(_LORA),
    frozenset({*_LORA, MAGNITUDE}),
    frozenset(_LOHA),
    *_LOKR_SIDES,
}


class AdapterError(ValueError):
    """An adapter that does not fit the network; the message says what would."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Tensors under ``base_model.model.<module>.<part>`` (PEFT's keys), and each module's alpha.

    Parts of LoRA are ``lora_A.weight`` [r, in], ``lora_B.weight`` [out, r] and, of DoRA,
    ``lora_magnitude_vector`` [out]; of LoKr and LoHa they are LyCORIS's. What a module's parts
    make is multiplied by alpha / rank.

    ``dora_norm`` says what the magnitudes are divided by: the norm of the ``merged`` weight (the
    definition of DoRA), or of the ``base`` weight (what ComfyUI does).
    """

    state: Mapping[str, Tensor]
    alphas: Mapping[str, float]
    dora_norm: Literal["merged", "base"] = "merged"

    @property
    def modules(self) -> dict[str, dict[str, Tensor]]:
        """The parts by module.

        Raises:
            AdapterError: a key is of no adapter, or a module lacks a part.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in self.state.items():
            module, part = split_key(key)
            parts.setdefault(module, {})[part] = tensor
        for module, own in parts.items():
            if frozenset(own) not in _WHOLE:
                raise AdapterError(f"{module} has only {', '.join(sorted(own))}: a part is missing")
        return parts

    @property
    def kind(self) -> Literal["lora", "dora", "lokr", "loha"]:
        """What kind of adapter this is.

        Raises:
            AdapterError: it is empty, or of several kinds.
        """
        kinds = {_kind_of(parts) for parts in self.modules.values()}
        if len(kinds) != 1:
            raise AdapterError(f"not one kind of adapter: {', '.join(sorted(kinds)) or 'empty'}")
        return kinds.pop()

    @property
    def scales(self) -> dict[str, float]:
        """Each module's alpha / rank; 1 where no part has a rank (LoKr of two whole matrices)."""
        return {module: self.scale_of(module, parts) for module, parts in self.modules.items()}

    @property
    def scale(self) -> float:
        """The alpha / rank of all modules.

        Raises:
            AdapterError: the modules differ.
        """
        scales = set(self.scales.values())
        if len(scales) != 1:
            raise AdapterError(f"the layers' alpha / rank differ: {sorted(scales)}")
        return scales.pop()

    def scale_of(self, module: str, parts: Mapping[str, Tensor]) -> float:
        """The alpha / rank of one module."""
        rank = rank_of(parts)
        return 1.0 if rank is None else self.alphas[module] / rank

    @classmethod
    def uniform(cls, state: Mapping[str, Tensor], scale: float) -> Adapter:
        """An adapter whose modules all have this alpha / rank."""
        bare = cls(state, {})
        return replace(
            bare, alphas={m: scale * (rank_of(parts) or 1) for m, parts in bare.modules.items()}
        )


def _kind_of(parts: Mapping[str, Tensor]) -> Literal["lora", "dora", "lokr", "loha"]:
    if MAGNITUDE in parts:
        return "dora"
    if "lora_A.weight" in parts:
        return "lora"
    return "loha" if "hada_w1_a" in parts else "lokr"


def rank_of(parts: Mapping[str, Tensor]) -> int | None:
    """The rank that a module's alpha is divided by; None if none of its parts has one."""
    for part in ("lora_A.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"):
        if part in parts:
            return parts[part].shape[0]
    return None


def split_key(key: str) -> tuple[str, str]:
    """Split ``base_model.model.<module>.<part>`` into module and part.

    Raises:
        AdapterError: it is no adapter's key.
    """
    name = key.removeprefix(PREFIX)
    for part in PARTS:
        if name.endswith(f".{part}"):
            return name.removesuffix(f".{part}"), part
    raise AdapterError(f"{key} is no weight of an adapter")


def product(parts: Mapping[str, Tensor], scale: float) -> Tensor:
    """What the parts add to the weight [out, in], in float32: for LoRA, scale * B @ A.

    LoKr (Yeh et al. 2023): scale * kron(w1, w2). LoHa (Hyeon-Woo et al. 2021):
    scale * (w1_a @ w1_b) * (w2_a @ w2_b).
    """
    own = {name: tensor.float() for name, tensor in parts.items()}
    if "lora_A.weight" in own:
        return scale * (own["lora_B.weight"] @ own["lora_A.weight"])
    if "hada_w1_a" in own:
        first, second = (own[f"hada_w{i}_a"] @ own[f"hada_w{i}_b"] for i in (1, 2))
        return scale * (first * second)
    first, second = (
        own[f"lokr_w{i}"] if f"lokr_w{i}" in own else own[f"lokr_w{i}_a"] @ own[f"lokr_w{i}_b"]
        for i in (1, 2)
    )
    return scale * torch.kron(first.contiguous(), second.contiguous())


def with_dora_norm(
    adapter: Adapter, norm: Literal["merged", "base"], base: Mapping[str, Tensor] | None
) -> Adapter:
    """Return the same adapter with magnitudes for the other norm; ``base``: weights by key.

    DoRA is m / |W + BA| (W + BA), row by row; ComfyUI computes m' / |W| (W + BA), so
    m' = m |W| / |W + BA|.

    Raises:
        AdapterError: the base weights are needed, and are not there.
    """
    if adapter.kind != "dora" or adapter.dora_norm == norm:
        return adapter
    if base is None:
        raise AdapterError(
            "ComfyUI divides DoRA's magnitudes by another norm than training does, and the two "
            "differ by the base weights: give the prior's weights too"
        )
    state = dict(adapter.state)
    for module, parts in adapter.modules.items():
        weight = base[f"{module}.weight"].float()
        merged = weight + product(parts, adapter.scale_of(module, parts)).to(weight.device)
        ratio = (weight.norm(dim=1) / merged.norm(dim=1)).to(parts[MAGNITUDE].device)
        magnitude = parts[MAGNITUDE].float()
        state[f"{PREFIX}{module}.{MAGNITUDE}"] = (
            magnitude * ratio if norm == "base" else magnitude / ratio
        )
    return replace(adapter, state=state, dora_norm=norm)
