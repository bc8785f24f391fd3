"""The shape of a Stage C prior, as its published ``config.json`` says it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

_GROUP = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")


class PriorConfigError(ValueError):
    """A ``config.json`` that is not a Stage C prior; the message names the field."""


@dataclass(frozen=True, slots=True)
class PriorConfig:
    """What differs between Stage C networks; field names as in the published ``config.json``."""

    conditioning_dim: int
    block_out_channels: tuple[int, ...]
    num_attention_heads: tuple[int, ...]
    down_num_layers_per_block: tuple[int, ...]
    up_num_layers_per_block: tuple[int, ...]
    in_channels: int = 16
    out_channels: int = 16
    timestep_ratio_embedding_dim: int = 64
    clip_seq: int = 4
    clip_text_in_channels: int = 1280
    clip_text_pooled_in_channels: int = 1280
    clip_image_in_channels: int = 768
    kernel_size: int = 3
    dropout: tuple[float, ...] = (0.1, 0.1)
    timestep_conditioning_type: tuple[str, ...] = ("sca", "crp")

    @classmethod
    def from_file(cls, path: Path) -> PriorConfig:
        """Read a published ``config.json``.

        Raises:
            PriorConfigError: unreadable, or a network that is not Stage C (a decoder, say).
        """
        try:
            values = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise PriorConfigError(f"{path} cannot be read: {error}") from error
        try:
            return cls.from_dict(values)
        except PriorConfigError as error:
            raise PriorConfigError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PriorConfig:
        """Take the fields of a published config; refuse what Stage C does not have."""
        _refuse_other_architectures(values)
        known = {field.name for field in fields(cls)}
        taken = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in values.items()
            if key in known and value is not None
        }
        if isinstance(taken.get("dropout"), float | int):  # diffusers takes one for all levels
            taken["dropout"] = (float(taken["dropout"]),) * len(taken.get("block_out_channels", ()))
        try:
            config = cls(**taken)
        except TypeError as error:
            raise PriorConfigError(f"not a Stage C config: {error}") from error
        if config.timestep_conditioning_type != ("sca", "crp"):
            raise PriorConfigError(
                f"timestep_conditioning_type is {list(config.timestep_conditioning_type)}; "
                'Stage C has ["sca", "crp"]. Is this the decoder (Stage B)?'
            )
        _check_levels(config)
        return config

    def to_dict(self) -> dict[str, Any]:
        """The complete published ``config.json``, loadable by diffusers."""
        levels = len(self.block_out_channels)
        own = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in ((field.name, getattr(self, field.name)) for field in fields(self))
        }
        return {
            "_class_name": "StableCascadeUNet",
            **own,
            "block_types_per_layer": [list(_GROUP)] * levels,
            "down_blocks_repeat_mappers": [1] * levels,
            "up_blocks_repeat_mappers": [1] * levels,
            "effnet_in_channels": None,
            "pixel_mapper_in_channels": None,
            "patch_size": 1,
            "self_attn": True,
            "switch_level": [False] * (levels - 1),
        }


def _refuse_other_architectures(values: Mapping[str, Any]) -> None:
    expected: dict[str, Any] = {
        "patch_size": 1,
        "effnet_in_channels": None,
        "pixel_mapper_in_channels": None,
        "self_attn": True,
    }
    for key, value in expected.items():
        if values.get(key, value) != value:
            raise PriorConfigError(f"{key} is {values[key]!r}; Stage C has {value!r}")
    for key in ("down_blocks_repeat_mappers", "up_blocks_repeat_mappers"):
        if any(repeat != 1 for repeat in values.get(key) or ()):
            raise PriorConfigError(f"{key} is {values[key]}; Stage C repeats no block")
    if any(values.get("switch_level") or ()):
        raise PriorConfigError("switch_level is true; Stage C does not change its resolution")
    for types in values.get("block_types_per_layer") or ():
        if tuple(types) != _GROUP:
            raise PriorConfigError(f"block_types_per_layer is {types}; Stage C has {list(_GROUP)}")


def _check_levels(config: PriorConfig) -> None:
    widths = config.block_out_channels
    for key in (
        "num_attention_heads",
        "down_num_layers_per_block",
        "up_num_layers_per_block",
        "dropout",
    ):
        if len(getattr(config, key)) != len(widths):
            raise PriorConfigError(
                f"{key} has {len(getattr(config, key))} entries, block_out_channels {len(widths)}: "
                "one a level"
            )
    for width, heads in zip(widths, config.num_attention_heads, strict=True):
        if heads < 1 or width % heads:
            raise PriorConfigError(
                f"num_attention_heads has {heads}, which does not divide the width {width}"
            )
