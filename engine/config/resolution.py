"""Picture sizes as people write them: ``1024x1024``, or one number for a square."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

GRID_PX = 128
"""Sides on this grid give whole latents: 128 px x 0.75 / 32 = 3 (facts of the encoder's stride)."""

_PATTERN = re.compile(r"\s*(\d{1,5})\s*[xX×]\s*(\d{1,5})\s*")


@dataclass(frozen=True, slots=True, order=True)
class Resolution:
    """A picture's size in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, value: Any) -> Resolution:
        """Read ``"1152x896"`` (width x height), ``"1024"``, ``1024`` or a Resolution.

        Raises:
            ValueError: none of these, or a side of zero.
        """
        if isinstance(value, Resolution):
            return value
        if isinstance(value, str) and (match := _PATTERN.fullmatch(value)):
            width, height = int(match[1]), int(match[2])
        elif str(value).strip().isdigit():
            width = height = int(value)
        else:
            raise ValueError('a size such as "1024x1024", or one number for a square')
        if width < 1 or height < 1:
            raise ValueError("a size with sides of at least 1 px")
        return cls(width, height)

    def on_grid(self, grid_px: int = GRID_PX) -> Resolution:
        """The nearest size whose sides are multiples of the grid."""
        width, height = (
            max(grid_px, round(s / grid_px) * grid_px) for s in (self.width, self.height)
        )
        return Resolution(width, height)

    @property
    def aspect(self) -> float:
        """Width divided by height."""
        return self.width / self.height

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: type[Any], _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"anyOf": [{"type": "string", "pattern": r"^\d+x\d+$"}, {"type": "integer"}]}
