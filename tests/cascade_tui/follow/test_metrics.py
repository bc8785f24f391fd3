"""Series: what a chart shows of many values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cascade_tui.follow.metrics import Series, smooth


def filled(values: np.ndarray) -> Series:
    series = Series()
    for step, value in enumerate(values, start=1):
        series.append(step, float(value))
    return series


@pytest.mark.parametrize("num_values", [1, 7, 1000, 20_000])
@pytest.mark.parametrize("count", [1, 13, 160])
def test_columns_equal_brute_force(num_values: int, count: int) -> None:
    values = np.random.default_rng(num_values).normal(size=num_values)
    values[num_values // 3] = 50.0  # a spike that must not be lost
    columns = filled(values).columns(1, num_values, count)
    edges = np.linspace(1, num_values, count + 1)
    steps = np.arange(1, num_values + 1)
    for column in range(count):
        is_last = column == count - 1
        upper = steps <= edges[column + 1] if is_last else steps < edges[column + 1]
        inside = values[(steps >= edges[column]) & upper]
        if inside.size == 0:
            assert math.isnan(columns.low[column])
            continue
        assert columns.low[column] == inside.min()
        assert columns.high[column] == inside.max()
        assert columns.mean[column] == pytest.approx(inside.mean())
    assert np.nanmax(columns.high) == 50.0


def test_columns_stay_right_while_the_series_grows_and_is_rewound() -> None:
    generator = np.random.default_rng(3)
    series, values = Series(), np.empty(0)
    for _ in range(30):
        more = generator.normal(size=int(generator.integers(1, 700)))
        for value in more:
            values = np.append(values, value)
            series.append(len(values), float(value))
        keep = int(generator.integers(len(values) // 2, len(values) + 1))
        values = values[:keep]
        series.truncate_after(keep)
        if keep == 0:
            continue
        columns = series.columns(1, keep, 3)
        assert np.nanmin(columns.low) == values.min()
        assert np.nanmax(columns.high) == values.max()
        assert series.last_step == keep


def test_non_finite_values_are_gaps_and_do_not_poison_their_neighbours() -> None:
    columns = filled(np.array([1.0, math.nan, 3.0, math.inf])).columns(1, 4, 2)
    assert columns.gap.tolist() == [True, True]
    assert columns.high.tolist() == [1.0, 3.0]


def test_smoothing_skips_gaps() -> None:
    assert smooth(np.array([1.0, np.nan, 3.0]), 0.5)[[0, 2]].tolist() == [1.0, 2.0]
