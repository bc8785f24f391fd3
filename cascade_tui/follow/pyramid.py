"""Summaries of blocks of a growing array, each level half as long as the one below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cascade_tui.follow.growing import GrowingArray

Floats = NDArray[np.float64]

_FIRST_POWER = 5  # smaller blocks would take more memory than the values themselves
_BLOCKS_PER_RANGE = 4
_VALUES_AT_ONCE = 1 << 20


class Pyramid:
    """Minimum, maximum, sum and count of the finite values in each block of 2**k values, k >= 5.

    Extremes are never smoothed away. A summary is an array [4] in that order; that of no finite
    value is (inf, -inf, 0, 0).
    """

    def __init__(self, base: Floats | None = None) -> None:
        """``base`` are summaries [m, 4] of the first blocks, which need not be made again."""
        self._levels: list[Floats] = []  # [capacity, 4] each
        self._sizes: list[int] = []
        if base is not None:
            self._levels.append(np.empty((16, 4)))
            self._sizes.append(0)
            self._add(0, base)

    @property
    def base(self) -> Floats:
        """The summaries [m, 4] of the smallest blocks."""
        return self._levels[0][: self._sizes[0]] if self._levels else np.empty((0, 4))

    def extend(self, values: GrowingArray[np.float64]) -> None:
        """Summarise the blocks that ``values``, all of them, have filled since last time."""
        level = 0
        while (wanted := len(values) >> (_FIRST_POWER + level)) > 0:
            if level == len(self._levels):
                self._levels.append(np.empty((16, 4)))
                self._sizes.append(0)
            done = self._sizes[level]
            if wanted <= done and level + 1 < len(self._levels):
                return
            for start in range(done, wanted, _VALUES_AT_ONCE >> _FIRST_POWER):
                end = min(wanted, start + (_VALUES_AT_ONCE >> _FIRST_POWER))
                self._add(level, self._blocks(values, level, start, end))
            level += 1

    def truncate(self, size: int) -> None:
        """Forget blocks that reach beyond the first ``size`` values."""
        for level in range(len(self._sizes)):
            self._sizes[level] = min(self._sizes[level], size >> (_FIRST_POWER + level))

    def summary(self, values: GrowingArray[np.float64], first: int, last: int) -> Floats:
        """The summary [4] of ``values[first:last]``, from few blocks and the ends beside them."""
        power = ((last - first) // _BLOCKS_PER_RANGE).bit_length() - 1
        level = min(power - _FIRST_POWER, len(self._sizes) - 1)
        if level < 0:
            alone: Floats = summarise(values.between(first, last)[None])[0]
            return alone
        power = level + _FIRST_POWER
        start, end = -(-first >> power), last >> power
        parts = np.concatenate(
            [
                summarise(values.between(first, start << power)[None]),
                self._levels[level][start:end],
                summarise(values.between(end << power, last)[None]),
            ]
        )
        merged: Floats = _merge(parts[None])[0]
        return merged

    def _blocks(self, values: GrowingArray[np.float64], level: int, start: int, end: int) -> Floats:
        if level == 0:
            raw = values.between(start << _FIRST_POWER, end << _FIRST_POWER)
            return summarise(raw.reshape(end - start, -1))
        return _merge(self._levels[level - 1][2 * start : 2 * end].reshape(-1, 2, 4))

    def _add(self, level: int, rows: Floats) -> None:
        done = self._sizes[level]
        end = done + len(rows)
        while end > len(self._levels[level]):
            self._levels[level] = np.concatenate([self._levels[level]] * 2)
        self._levels[level][done:end] = rows
        self._sizes[level] = end


def summarise(blocks: Floats) -> Floats:
    """Summaries [n, 4] of [n, m] values."""
    num_blocks, length = blocks.shape
    if blocks.size and np.isfinite(blocks.sum()):  # five times as fast, and how nearly all are
        plain: Floats = np.empty((num_blocks, 4))
        blocks.min(axis=1, out=plain[:, 0])
        blocks.max(axis=1, out=plain[:, 1])
        blocks.sum(axis=1, out=plain[:, 2])
        plain[:, 3] = length
        return plain
    good = np.isfinite(blocks)
    summaries: Floats = np.stack(
        [
            np.where(good, blocks, np.inf).min(axis=1, initial=np.inf),
            np.where(good, blocks, -np.inf).max(axis=1, initial=-np.inf),
            np.where(good, blocks, 0.0).sum(axis=1),
            good.sum(axis=1).astype(np.float64),
        ],
        axis=1,
    )
    return summaries


def _merge(rows: Floats) -> Floats:
    """Summaries [n, 4] of [n, m, 4] summaries."""
    merged: Floats = np.stack(
        [
            rows[..., 0].min(axis=1, initial=np.inf),
            rows[..., 1].max(axis=1, initial=-np.inf),
            rows[..., 2].sum(axis=1),
            rows[..., 3].sum(axis=1),
        ],
        axis=1,
    )
    return merged
