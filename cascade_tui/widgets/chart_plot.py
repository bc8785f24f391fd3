"""Bands, lines and marks of a chart as characters; pure functions of numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_tui.follow.metrics import Columns, smooth
from cascade_tui.follow.pyramid import Floats
from cascade_tui.widgets.braille import DOTS_HIGH, DOTS_WIDE, DotGrid
from cascade_tui.widgets.chart_axis import Axis, fit_axis

Cell = tuple[str, str]
"""A character and the name of its style."""

_LETTER_EVERY_CELLS = 16


@dataclass(frozen=True, slots=True)
class Curve:
    """What is drawn of a series, column of dots by column of dots; a ``letter`` marks the line."""

    columns: Columns
    line: Floats
    has_band: bool
    style: str = "line"
    letter: str = ""

    @property
    def extremes(self) -> tuple[Floats, Floats]:
        """The lowest and the highest of what is drawn, for each column."""
        if self.has_band:
            return self.columns.low, self.columns.high
        return self.columns.mean, self.columns.mean


def make_curve(
    columns: Columns, *, smoothing: float, has_band: bool, style: str = "line", letter: str = ""
) -> Curve:
    """The smoothed mean, and the band if asked for."""
    return Curve(columns, smooth(columns.mean, smoothing), has_band, style, letter)


def fit_curves(curves: list[Curve], *, is_log: bool) -> Axis | None:
    """The axis that holds all curves; None if nothing is finite. Logarithmic only if any > 0."""
    low = np.concatenate([curve.extremes[0] for curve in curves])
    high = np.concatenate([curve.extremes[1] for curve in curves])
    known = np.isfinite(low)
    if not known.any():
        return None
    is_log = is_log and bool((high[known] > 0).any())
    if is_log:
        known &= low > 0
        if not known.any():
            known = np.isfinite(high) & (high > 0)
            low = high
    return fit_axis(float(low[known].min()), float(np.nanmax(high)), is_log=is_log)


def plot(
    curves: list[Curve],
    axis: Axis,
    width: int,
    height: int,
    mark: Callable[[int], str],
    gap_mark: str,
) -> list[list[Cell]]:
    """The characters of each row. Later curves lie above earlier ones, lines above bands."""
    rows: list[list[Cell]] = [[(" ", "band")] * width for _ in range(height)]
    for curve in curves:
        if curve.has_band:
            _put(rows, _band(curve, axis, width, height), "band", mark)
    for curve in curves:
        grid = DotGrid(width, height)
        _draw_line(grid, axis, curve.line, curve.columns.gap)
        _put(rows, grid.cells(), curve.style, mark)
        if curve.letter:
            _put_letters(rows, grid.cells(), curve)
    gaps = curves[0].columns.gap
    for x in np.flatnonzero(gaps.reshape(width, DOTS_WIDE).any(axis=1)).tolist():
        rows[-1][x] = (gap_mark, "gap")
    return rows


def _put(
    rows: list[list[Cell]], patterns: NDArray[np.uint8], style: str, mark: Callable[[int], str]
) -> None:
    for y, x in zip(*(index.tolist() for index in np.nonzero(patterns)), strict=True):
        rows[y][x] = (mark(int(patterns[y, x])), style)


def _put_letters(rows: list[list[Cell]], patterns: NDArray[np.uint8], curve: Curve) -> None:
    """The curve's letter upon its line every few cells, from its first: not by colour alone."""
    drawn = np.flatnonzero(patterns.any(axis=0))
    if not drawn.size:
        return
    for x in drawn[(drawn - drawn[0]) % _LETTER_EVERY_CELLS == 0].tolist():
        y = int(np.flatnonzero(patterns[:, x])[0])
        rows[y][x] = (curve.letter, curve.style)


def _band(curve: Curve, axis: Axis, width: int, height: int) -> NDArray[np.uint8]:
    grid = DotGrid(width, height)
    for x in np.flatnonzero(np.isfinite(curve.columns.high)).tolist():
        high, low = float(curve.columns.high[x]), float(curve.columns.low[x])
        grid.draw_vertical(x, _dot(axis, high, height), _dot(axis, low, height))
    return grid.cells()


def _dot(axis: Axis, value: float, height: int) -> int:
    """The row of dots of a value; 0 is the top."""
    position = min(1.0, max(0.0, axis.position(value)))
    return round((1 - position) * (height * DOTS_HIGH - 1))


def _draw_line(grid: DotGrid, axis: Axis, values: Floats, gaps: NDArray[np.bool_]) -> None:
    """Join the values; a column without a step is bridged, one with a gap is not."""
    before: tuple[int, int] | None = None
    for x, (value, is_gap) in enumerate(zip(values, gaps, strict=True)):
        if is_gap and not math.isfinite(value):
            before = None
        if not math.isfinite(value):
            continue
        y = _dot(axis, float(value), grid.rows)
        if before is None:
            grid.draw_vertical(x, y, y)
        else:
            _join(grid, before, (x, y))
        before = (x, y)


def _join(grid: DotGrid, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Dots from ``start`` to ``end``; a column spans half the way to each neighbour."""
    (x0, y0), (x1, y1) = start, end
    slope = (y1 - y0) / (x1 - x0)
    for x in range(x0, x1 + 1):
        first = round(y0 + slope * max(0.0, x - x0 - 0.5))
        last = round(y0 + slope * min(float(x1 - x0), x - x0 + 0.5))
        if x > x0 and last != first:
            first += 1 if last > first else -1  # the column before ends there: stay thin
        grid.draw_vertical(x, min(first, last), max(first, last))
