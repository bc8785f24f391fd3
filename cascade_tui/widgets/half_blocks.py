"""Pictures as half blocks: a character shows two pixels, one above the other."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

UPPER_HALF = "▀"

Rows = tuple[tuple[Segment, ...], ...]


def half_block_size(image: Image.Image, columns: int, rows: int) -> tuple[int, int]:
    """Columns and rows of a picture as large as it can be, where characters are 1 x 2."""
    scale = min(columns / image.width, 2 * rows / image.height)
    width = max(1, min(columns, round(image.width * scale)))
    return width, max(1, min(rows, round(image.height * scale / 2)))


def half_blocks(image: Image.Image, columns: int, rows: int) -> Rows:
    """An RGB picture in exactly so many characters."""
    pixels = np.asarray(image.resize((columns, 2 * rows), Image.Resampling.LANCZOS))
    pairs = zip(pixels[0::2].tolist(), pixels[1::2].tolist(), strict=True)
    return tuple(_row(above, below) for above, below in pairs)


def _row(above: list[list[int]], below: list[list[int]]) -> tuple[Segment, ...]:
    """One row of characters; neighbours of the same colours share a segment."""
    segments = []
    for (top, bottom), run in groupby(zip(above, below, strict=True)):
        style = Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom))
        segments.append(Segment(UPPER_HALF * len(list(run)), style))
    return tuple(segments)
