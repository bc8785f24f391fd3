"""Metrics over steps, kept so that drawing costs the chart's width, not the run's length."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_tui.follow.growing import GrowingArray
from cascade_tui.follow.pyramid import Floats, Pyramid


@dataclass(frozen=True, slots=True)
class Columns:
    """What each column of a chart shows; NaN where it has no value. All of one length.

    ``gap`` marks columns in which a value was NaN or infinite.
    """

    low: Floats
    high: Floats
    mean: Floats
    gap: NDArray[np.bool_]


class MetricStore:
    """Several metrics over the same steps, in arrays that grow by doubling.

    One thread may add while another draws.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.lock = threading.RLock()
        self.num_truncations = 0
        self.steps = GrowingArray(np.int64)
        self._columns = [GrowingArray(np.float64) for _ in self.names]
        self._pyramids = [Pyramid() for _ in self.names]

    @property
    def size(self) -> int:
        """How many steps there are."""
        return len(self.steps)

    def column(self, row: int) -> GrowingArray[np.float64]:
        """The values of the metric with that position among the names."""
        return self._columns[row]

    def pyramid(self, row: int) -> Pyramid:
        """The summaries of a metric."""
        return self._pyramids[row]

    def series(self, name: str) -> Series:
        """One metric, to be drawn."""
        return Series(self, self.names.index(name))

    def extend(self, steps: NDArray[np.int64], values: Floats) -> None:
        """Add ascending ``steps`` [n] and their ``values`` [num_metrics, n].

        Steps that are known already, and those after them, are replaced: the run went back there.
        """
        if not len(steps):
            return
        with self.lock:
            if self.size and steps[0] <= self.steps.last:
                self.truncate_after(int(steps[0]) - 1)
            self.steps.append(steps)
            for column, pyramid, row in zip(self._columns, self._pyramids, values, strict=True):
                column.append(row)
                pyramid.extend(column)

    def begin_with(
        self, steps: NDArray[np.int64], rows: Sequence[Floats], bases: Sequence[Floats]
    ) -> None:
        """Hold these first, without a copy: steps [n], values [n] and :attr:`Pyramid.base` each."""
        with self.lock:
            self.num_truncations += 1
            self.steps = GrowingArray(np.int64, steps)
            self._columns = [GrowingArray(np.float64, row) for row in rows]
            self._pyramids = [Pyramid(base) for base in bases]
            for column, pyramid in zip(self._columns, self._pyramids, strict=True):
                pyramid.extend(column)

    def truncate_after(self, step: int) -> None:
        """Forget what came after ``step``: the run was rewound there."""
        with self.lock:
            self.num_truncations += 1
            size = int(self.steps.search(np.array([step]), right=True)[0])
            self.steps.truncate(size)
            for column, pyramid in zip(self._columns, self._pyramids, strict=True):
                column.truncate(size)
                pyramid.truncate(size)


class Series:
    """One metric of a store; a store of its own unless one is given."""

    def __init__(self, store: MetricStore | None = None, row: int = 0) -> None:
        self._store = MetricStore(("value",)) if store is None else store
        self._row = row
        self._drawn: tuple[int, NDArray[np.intp], Floats] | None = None

    def __len__(self) -> int:
        return self._store.size

    @property
    def _column(self) -> GrowingArray[np.float64]:
        return self._store.column(self._row)

    @property
    def last_step(self) -> int:
        """The newest step; 0 without any."""
        with self._store.lock:
            return int(self._store.steps.last) if self._store.size else 0

    @property
    def last(self) -> float:
        """The newest value; NaN without any."""
        with self._store.lock:
            return float(self._column.last) if self._store.size else float("nan")

    def at(self, step: int) -> float:
        """The value at a step, or else at the nearest before it; NaN without any."""
        with self._store.lock:
            number = int(self._store.steps.search(np.array([step]), right=True)[0])
            return float(self._column.between(number - 1, number)[0]) if number else float("nan")

    def append(self, step: int, value: float) -> None:
        """Add a value to the only metric of its store."""
        self._store.extend(np.array([step]), np.array([[value]]))

    def truncate_after(self, step: int) -> None:
        """Forget what came after ``step``, for all metrics of the store."""
        self._store.truncate_after(step)

    def values(self) -> Floats:
        """A copy of all values, in the order of their steps."""
        with self._store.lock:
            return self._column.all().copy()

    def smoothed(self, weight: float) -> Series:
        """The same steps with values smoothed from one to the next; ``weight`` as in `smooth`."""
        smoothed = Series()
        with self._store.lock:
            values = smooth(self._column.all(), weight)
            smoothed._store.extend(self._store.steps.all(), values[None])
        return smoothed

    def columns(self, first: float, last: float, count: int) -> Columns:
        """Summarise the steps in [first, last] into ``count`` columns of equal width."""
        edges = np.linspace(first, last, count + 1)
        edges[-1] = np.nextafter(edges[-1], np.inf)
        with self._store.lock:
            index = self._store.steps.search(edges)
            low, high, total, number = self._summaries(index).T
        empty = number == 0
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(empty, np.nan, total / number)
        return Columns(
            np.where(empty, np.nan, low),
            np.where(empty, np.nan, high),
            mean,
            number < np.diff(index),
        )

    def _summaries(self, index: NDArray[np.intp]) -> Floats:
        """Summaries of [index[i], index[i + 1]); those that were the same last time are kept."""
        count, truncations = len(index) - 1, self._store.num_truncations
        before = self._drawn
        if before is not None and before[0] == truncations and len(before[1]) == len(index):
            table = before[2].copy()
            is_new = (before[1][:-1] != index[:-1]) | (before[1][1:] != index[1:])
        else:
            table, is_new = np.empty((count, 4)), np.ones(count, np.bool_)
        values, pyramid = self._column, self._store.pyramid(self._row)
        for column in np.flatnonzero(is_new).tolist():
            table[column] = pyramid.summary(values, int(index[column]), int(index[column + 1]))
        self._drawn = (truncations, index, table)
        return table


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential smoothing that skips NaN; ``weight`` in [0, 1) is the share of the past."""
    smoothed = np.full_like(values, np.nan)
    past = np.nan
    for position in np.flatnonzero(np.isfinite(values)).tolist():
        value = values[position]
        past = value if np.isnan(past) else weight * past + (1 - weight) * value
        smoothed[position] = past
    return smoothed
