"""Metrics over steps, kept so that drawing costs the chart's width, not the run's length."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_BLOCKS_PER_COLUMN = 4


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column of a chart shows; NaN where it has no value. All of one length.

    ``gap`` marks columns in which a value was NaN or infinite.
    """

    low: Floats
    high: Floats
    mean: Floats
    gap: NDArray[np.bool_]


class Series:
    """One metric: steps and values as they came, and a pyramid of min, max, sum and count.

    Level k summarises blocks of 2**k values; extremes are never smoothed away. One thread may
    append while another draws.
    """

    def __init__(self) -> None:
        self._steps = np.empty(1024, np.int64)
        self._values = np.empty(1024, np.float64)
        self._size = 0
        self._levels: list[Floats] = []  # level k: [num_blocks, 4], min max sum count
        self._drawn: tuple[NDArray[np.intp], Floats] | None = None  # of the last columns asked for
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._size

    @property
    def last_step(self) -> int:
        """The newest step; 0 without any."""
        return int(self._steps[self._size - 1]) if self._size else 0

    @property
    def last(self) -> float:
        """The newest value; NaN without any."""
        return float(self._values[self._size - 1]) if self._size else float("nan")

    def append(self, step: int, value: float) -> None:
        """Add a value; steps must not decrease (truncate first on a rewind)."""
        with self._lock:
            self._append(step, value)

    def _append(self, step: int, value: float) -> None:
        if self._size == len(self._steps):
            self._steps = np.concatenate([self._steps, np.empty_like(self._steps)])
            self._values = np.concatenate([self._values, np.empty_like(self._values)])
        self._steps[self._size] = step
        self._values[self._size] = value
        self._size += 1

    def truncate_after(self, step: int) -> None:
        """Forget what came after ``step``: the run was rewound there."""
        with self._lock:
            self._drawn = None
            self._size = int(np.searchsorted(self._steps[: self._size], step, side="right"))
            for power, level in enumerate(self._levels, start=1):
                self._levels[power - 1] = level[: self._size >> power]

    def columns(self, first: float, last: float, count: int) -> Columns:
        """Summarise the steps in [first, last] into ``count`` columns of equal width."""
        with self._lock:
            return self._columns(first, last, count)

    def _columns(self, first: float, last: float, count: int) -> Columns:
        edges = np.linspace(first, last, count + 1)
        edges[-1] = np.nextafter(edges[-1], np.inf)
        index = np.searchsorted(self._steps[: self._size], edges, side="left")
        table = self._table(index)
        low, high, total, number = table.T
        lengths = np.diff(index)
        empty = number == 0
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(empty, np.nan, total / number)
        return Columns(
            np.where(empty, np.nan, low),
            np.where(empty, np.nan, high),
            mean,
            number < lengths,
        )

    def _table(self, index: NDArray[np.intp]) -> Floats:
        """Summaries of [index[i], index[i + 1]); those that were the same last time are kept."""
        power = self._power(index)
        self._extend_levels(power)
        count = len(index) - 1
        if self._drawn is not None and len(self._drawn[0]) == len(index):
            before, table = self._drawn
            changed = np.flatnonzero((before[:-1] != index[:-1]) | (before[1:] != index[1:]))
        else:
            table, changed = np.empty((count, 4)), np.arange(count)
        for column in changed:
            first, last = int(index[column]), int(index[column + 1])
            table[column] = self._summary(first, last, power)
        self._drawn = (index, table)
        return table.copy()

    def _power(self, index: NDArray[np.intp]) -> int:
        longest = int(np.diff(index).max(initial=0))
        return max(0, (longest // _BLOCKS_PER_COLUMN).bit_length() - 1)

    def _extend_levels(self, power: int) -> None:
        for k in range(1, power + 1):
            if len(self._levels) < k:
                self._levels.append(np.empty((0, 4)))
            done, wanted = len(self._levels[k - 1]), self._size >> k
            if wanted > done:
                below = self._rows(k - 1, 2 * done, 2 * wanted).reshape(-1, 2, 4)
                self._levels[k - 1] = np.concatenate([self._levels[k - 1], _merge(below)])

    def _rows(self, power: int, first: int, last: int) -> Floats:
        """Blocks ``first`` to ``last`` of a level; level 0 is the values themselves."""
        if power > 0:
            return self._levels[power - 1][first:last]
        values = self._values[first:last]
        good = np.isfinite(values)
        rows: Floats = np.stack(
            [
                np.where(good, values, np.inf),
                np.where(good, values, -np.inf),
                np.where(good, values, 0.0),
                good.astype(np.float64),
            ],
            axis=1,
        )
        return rows

    def _summary(self, first: int, last: int, power: int) -> Floats:
        """Min, max, sum and count of the values in [first, last), of shape [4]."""
        block = 1 << power
        inner_first = -(-first // block)
        inner_last = min(last // block, self._size >> power)
        if power == 0 or inner_first >= inner_last:
            return _merge(self._rows(0, first, last)[None]).reshape(4)
        parts = [
            self._rows(0, first, inner_first * block),
            self._rows(power, inner_first, inner_last),
            self._rows(0, inner_last * block, last),
        ]
        return _merge(np.concatenate(parts)[None]).reshape(4)


def _merge(rows: Floats) -> Floats:
    """Merge [n, m, 4] summaries over m."""
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


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential smoothing that skips NaN; ``weight`` in [0, 1) is the share of the past."""
    smoothed = np.full_like(values, np.nan)
    past = np.nan
    for position, value in enumerate(values):
        if np.isfinite(value):
            past = value if np.isnan(past) else weight * past + (1 - weight) * value
            smoothed[position] = past
    return smoothed
