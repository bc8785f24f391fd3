"""Bands, lines and marks of a chart as characters; pure functions of numbers."""

from __future__ import annotations

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
    cells = {pattern: (mark(pattern), style) for pattern in np.unique(patterns).tolist()}
    ys, xs = np.nonzero(patterns)
    for y, x, pattern in zip(ys.tolist(), xs.tolist(), patterns[ys, xs].tolist(), strict=True):
        rows[y][x] = cells[pattern]


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
    x = np.flatnonzero(np.isfinite(curve.columns.high))
    high, low = (_dots(axis, ends[x], height) for ends in (curve.columns.high, curve.columns.low))
    grid.draw_verticals(x, high, low)
    return grid.cells()


def _dots(axis: Axis, values: Floats, height: int) -> NDArray[np.intp]:
    """The rows of dots of values; 0 is the top."""
    positions = np.clip(axis.positions(values), 0.0, 1.0)
    return np.rint((1 - positions) * (height * DOTS_HIGH - 1)).astype(np.intp)


def _draw_line(grid: DotGrid, axis: Axis, values: Floats, gaps: NDArray[np.bool_]) -> None:
    """Join the values; a column without a step is bridged, one with a gap is not."""
    is_known = np.isfinite(values)
    x = np.flatnonzero(is_known)
    y = _dots(axis, values[x], grid.rows)
    grid.draw_verticals(x, y, y)
    num_gaps = np.cumsum(gaps & ~is_known)[x]
    joined = np.flatnonzero(num_gaps[1:] == num_gaps[:-1])
    _join(grid, x[joined], y[joined], x[joined + 1], y[joined + 1])


def _join(
    grid: DotGrid,
    x0: NDArray[np.intp],
    y0: NDArray[np.intp],
    x1: NDArray[np.intp],
    y1: NDArray[np.intp],
) -> None:
    """Dots from (x0[i], y0[i]) to (x1[i], y1[i]); a column spans half the way to each neighbour."""
    counts = x1 - x0 + 1
    piece = np.repeat(np.arange(len(counts)), counts)
    beside = np.arange(len(piece)) - np.repeat(np.cumsum(counts) - counts, counts)
    start, width = y0[piece], (x1 - x0)[piece]
    slope = (y1[piece] - start) / width
    first = np.rint(start + slope * np.maximum(0.0, beside - 0.5)).astype(np.intp)
    last = np.rint(start + slope * np.minimum(width, beside + 0.5)).astype(np.intp)
    # The column before ends where this one would begin: stay thin.
    first += np.where(beside > 0, np.sign(last - first), 0)
    grid.draw_verticals(x0[piece] + beside, np.minimum(first, last), np.maximum(first, last))
