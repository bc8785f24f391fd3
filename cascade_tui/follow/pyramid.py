"""Summaries of blocks of a growing array, each level half as long as the one below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_FIRST_POWER = 4  # smaller blocks would take more memory than the values themselves
_BLOCKS_PER_RANGE = 4
_VALUES_AT_ONCE = 1 << 20


class Pyramid:
    """Minimum, maximum, sum and count of the finite values in each block of 2**k values, k >= 4.

    Extremes are never smoothed away. A summary is an array [4] in that order; that of no finite
    value is (inf, -inf, 0, 0).
    """

    def __init__(self) -> None:
        self._levels: list[Floats] = []  # [capacity, 4] each
        self._sizes: list[int] = []

    def extend(self, values: Floats) -> None:
        """Summarise the blocks that ``values``, all of them [n], have filled since last time."""
        level = 0
        while (wanted := len(values) >> (_FIRST_POWER + level)) > 0:
            if level == len(self._levels):
                self._levels.append(np.empty((16, 4)))
                self._sizes.append(0)
            done = self._sizes[level]
            if wanted <= done:
                return
            for start in range(done, wanted, _VALUES_AT_ONCE >> _FIRST_POWER):
                end = min(wanted, start + (_VALUES_AT_ONCE >> _FIRST_POWER))
                self._add(level, self._blocks(values, level, start, end))
            level += 1

    def truncate(self, size: int) -> None:
        """Forget blocks that reach beyond the first ``size`` values."""
        for level in range(len(self._sizes)):
            self._sizes[level] = min(self._sizes[level], size >> (_FIRST_POWER + level))

    def summary(self, values: Floats, first: int, last: int) -> Floats:
        """The summary [4] of ``values[first:last]``, from few blocks and the ends beside them."""
        power = ((last - first) // _BLOCKS_PER_RANGE).bit_length() - 1
        level = min(power - _FIRST_POWER, len(self._sizes) - 1)
        if level < 0:
            alone: Floats = summarise(values[None, first:last])[0]
            return alone
        power = level + _FIRST_POWER
        start, end = -(-first >> power), last >> power
        parts = np.concatenate(
            [
                summarise(values[None, first : start << power]),
                self._levels[level][start:end],
                summarise(values[None, end << power : last]),
            ]
        )
        merged: Floats = _merge(parts[None])[0]
        return merged

    def _blocks(self, values: Floats, level: int, start: int, end: int) -> Floats:
        if level == 0:
            raw = values[start << _FIRST_POWER : end << _FIRST_POWER]
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
