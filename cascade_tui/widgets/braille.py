"""Marks on a grid of characters: braille dots, or plain ASCII where there is no UTF-8."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DOTS_WIDE, DOTS_HIGH = 2, 4
_BRAILLE_START = 0x2800
# The bit of each dot, [row, column]: the Unicode chart "Braille Patterns".
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], np.uint8)


class DotGrid:
    """A canvas of ``columns`` x ``rows`` characters with 2 x 4 dots each; y runs downwards."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._dots = np.zeros((rows * DOTS_HIGH, columns * DOTS_WIDE), np.bool_)

    def draw_verticals(
        self, x: NDArray[np.intp], top: NDArray[np.intp], bottom: NDArray[np.intp]
    ) -> None:
        """Set the dots of column ``x[i]`` from ``top[i]`` to ``bottom[i]``, both included; clips.

        A column may come several times.
        """
        num_rows, num_columns = self._dots.shape
        seen = (x >= 0) & (x < num_columns) & (bottom >= 0) & (top < num_rows)
        x, top, bottom = x[seen], top[seen], bottom[seen]
        ends = np.zeros((num_rows + 1, num_columns), np.int32)
        np.add.at(ends, (np.maximum(top, 0), x), 1)
        np.add.at(ends, (np.minimum(bottom + 1, num_rows), x), -1)
        self._dots |= ends[:-1].cumsum(axis=0) > 0

    def cells(self) -> NDArray[np.uint8]:
        """The dots of each character as a bit pattern, [rows, columns]."""
        blocks = self._dots.reshape(self.rows, DOTS_HIGH, self.columns, DOTS_WIDE)
        patterns: NDArray[np.uint8] = np.einsum("ryxc,yc->rx", blocks.astype(np.uint8), _BITS)
        return patterns


def braille(pattern: int) -> str:
    """The character that shows a pattern of dots; a space for none."""
    return chr(_BRAILLE_START + pattern) if pattern else " "


def ascii_mark(pattern: int) -> str:
    """An ASCII character about where the dots are: ``'`` high, ``-`` middle, ``.`` low."""
    if not pattern:
        return " "
    high, low = bool(pattern & 0x09), bool(pattern & 0xE4)
    if high and low:
        return "|"
    return "'" if high else "." if low else "-"
