"""A line chart of one metric that redraws only the rows that changed."""

from __future__ import annotations

import codecs
import math
import sys
from itertools import groupby
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from cascade_tui.follow.metrics import Columns, Floats, Series, smooth
from cascade_tui.widgets.braille import DOTS_HIGH, DOTS_WIDE, DotGrid, ascii_mark, braille
from cascade_tui.widgets.chart_axis import (
    Axis,
    fit_axis,
    format_value,
    round_up_steps,
    tick_labels,
)

Cell = tuple[str, str]  # a character and the name of its style

_LABEL_WIDTH = 7
_MARGIN = _LABEL_WIDTH + 1
SMOOTHING = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""The weights of the past to choose from."""


class LineChart(Widget):
    """The band between a metric's extremes, dim, and its smoothed mean, bright, over steps.

    Values that are not finite leave a gap, marked at the bottom.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-chart--axis",
        "line-chart--band",
        "line-chart--line",
        "line-chart--gap",
    }
    DEFAULT_CSS = """
    LineChart {
        border: round $surface-lighten-3;
        border-title-color: $foreground;
        border-subtitle-color: $foreground;
        height: 1fr;
        & .line-chart--axis { color: $text-muted; }
        & .line-chart--band { color: $primary 55%; }
        & .line-chart--line { color: $accent; text-style: bold; }
        & .line-chart--gap { color: $error; text-style: bold; }
    }
    """

    def __init__(
        self,
        title: str,
        *,
        empty: str = "no value yet",
        is_log: bool = False,
        smoothing: float = 0.0,
        has_band: bool = True,
        is_ascii: bool | None = None,
        id: str | None = None,
    ) -> None:
        """``empty`` is shown while there is nothing to draw; ASCII is chosen by the terminal's
        encoding unless given."""
        super().__init__(id=id)
        self.border_title = title
        self._empty = empty
        self._is_log = is_log
        self._smoothing = smoothing
        self._has_band = has_band
        self._is_ascii = not speaks_utf8() if is_ascii is None else is_ascii
        self._series = Series()
        self._max_steps = 0
        self._rows: list[Strip] = []

    @property
    def is_log(self) -> bool:
        """Whether the vertical axis is logarithmic."""
        return self._is_log

    @property
    def smoothing(self) -> float:
        """The weight of the past in the line, in [0, 1)."""
        return self._smoothing

    def show(self, series: Series, max_steps: int = 0) -> None:
        """Draw a series as it is now; ``max_steps`` bounds the step axis if it is known."""
        self._series, self._max_steps = series, max_steps
        self._redraw()

    def change(self, *, is_log: bool | None = None, smoothing: float | None = None) -> None:
        """Choose another axis or another smoothing."""
        self._is_log = self._is_log if is_log is None else is_log
        self._smoothing = self._smoothing if smoothing is None else smoothing
        self._redraw()

    def on_resize(self) -> None:
        """Everything is drawn anew at another size."""
        self._rows = []
        self._redraw()

    def notify_style_update(self) -> None:
        """Colours are part of the rows: draw them anew."""
        super().notify_style_update()
        self._rows = []

    def render_line(self, y: int) -> Strip:
        """A row of the chart, drawn earlier, on the widget's background."""
        if not self._rows:
            self._rows = self._draw()
        row = self._rows[y] if y < len(self._rows) else Strip.blank(self.size.width)
        return row.apply_style(self.rich_style)

    def _redraw(self) -> None:
        """Draw into strips; send only the rows that differ."""
        if not self.size:
            return
        self.border_subtitle = self._subtitle()
        rows, before = self._draw(), self._rows
        self._rows = rows
        if len(rows) != len(before):
            self.refresh()
            return
        changed = [y for y, row in enumerate(rows) if list(row) != list(before[y])]
        if changed:
            self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def _subtitle(self) -> str:
        last = self._series.last
        if not len(self._series):
            return ""
        words = [format_value(last) if math.isfinite(last) else f"{last}"]
        words += ["log"] if self._is_log else []
        words += [f"smoothing {self._smoothing:g}"] if self._smoothing else []
        return " · ".join(words)

    def _draw(self) -> list[Strip]:
        width, height = self.size
        if width <= 0 or height <= 0:
            return []
        plot_width = width - _MARGIN
        plot_height = height - 1 if height >= 4 else height
        if not len(self._series) or plot_width < 4:
            return self._draw_empty(width, height)
        end = round_up_steps(self._series.last_step)
        end = min(end, self._max_steps) if self._max_steps >= self._series.last_step else end
        columns = self._series.columns(0, end, plot_width * DOTS_WIDE)
        axis = self._fit(columns)
        if axis is None:
            return self._draw_empty(width, height)
        rows = self._plot(columns, axis, plot_width, plot_height)
        labels = tick_labels(axis, plot_height)
        strips = [
            self._strip(labels.get(y, ""), cells, self._tee if y in labels else self._bar)
            for y, cells in enumerate(rows)
        ]
        if height > plot_height:
            strips.append(self._step_axis(end, plot_width))
        return strips

    def _draw_empty(self, width: int, height: int) -> list[Strip]:
        style = self.get_component_rich_style("line-chart--axis")
        text = self._empty if not len(self._series) else "no finite value"
        text = text[:width].center(width)
        return [
            Strip([Segment(text, style)], width) if y == height // 2 else Strip.blank(width)
            for y in range(height)
        ]

    def _fit(self, columns: Columns) -> Axis | None:
        """The axis for what is drawn; None if nothing is finite."""
        low, high = (columns.low, columns.high) if self._has_band else (columns.mean,) * 2
        known = np.isfinite(low)
        if not known.any():
            return None
        is_log = self._is_log and bool((high[known] > 0).any())
        if is_log:
            known &= low > 0
            if not known.any():
                known = np.isfinite(high) & (high > 0)
                low = high
        return fit_axis(float(low[known].min()), float(np.nanmax(high)), is_log=is_log)

    def _plot(self, columns: Columns, axis: Axis, width: int, height: int) -> list[list[Cell]]:
        """The characters of each row, each with the name of its style."""
        band, line = DotGrid(width, height), DotGrid(width, height)
        if self._has_band:
            for x in range(width * DOTS_WIDE):
                high, low = float(columns.high[x]), float(columns.low[x])
                if math.isfinite(high):
                    band.draw_vertical(x, _dot(axis, high, height), _dot(axis, low, height))
        _draw_line(line, axis, smooth(columns.mean, self._smoothing), columns.gap)
        gaps = np.logical_or.reduceat(columns.gap, np.arange(0, width * DOTS_WIDE, DOTS_WIDE))
        mark = ascii_mark if self._is_ascii else braille
        above, below = line.cells().tolist(), band.cells().tolist()
        rows: list[list[Cell]] = []
        for y in range(height):
            row: list[Cell] = []
            for x in range(width):
                if y == height - 1 and gaps[x]:
                    row.append(("x" if self._is_ascii else "×", "gap"))
                elif above[y][x]:
                    row.append((mark(above[y][x]), "line"))
                else:
                    row.append((mark(below[y][x]), "band"))
            rows.append(row)
        return rows

    @property
    def _tee(self) -> str:
        return "+" if self._is_ascii else "┤"

    @property
    def _bar(self) -> str:
        return "|" if self._is_ascii else "│"

    def _strip(self, label: str, cells: list[Cell], edge: str) -> Strip:
        axis_style = self.get_component_rich_style("line-chart--axis")
        segments = [Segment(f"{label:>{_LABEL_WIDTH}.{_LABEL_WIDTH}}{edge}", axis_style)]
        for name, run in groupby(cells, key=lambda cell: cell[1]):
            text = "".join(character for character, _ in run)
            segments.append(Segment(text, self._style(name)))
        return Strip(segments, self.size.width)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"line-chart--{name}")

    def _step_axis(self, end: int, width: int) -> Strip:
        """``0`` at the left, the last step at the right, the middle if there is room."""
        text = ["0", *" " * (width - 1)]
        middle, right = format_steps(end // 2), format_steps(end)
        if width >= 30:
            start = width // 2 - len(middle) // 2
            text[start : start + len(middle)] = middle
        text[width - len(right) :] = right
        line = " " * _MARGIN + "".join(text)
        return Strip([Segment(line, self.get_component_rich_style("line-chart--axis"))])


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


def format_steps(step: int) -> str:
    """``800``, ``12.5k``, ``30k``, ``1.2M``."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if step >= size:
            return f"{step / size:.2f}".rstrip("0").rstrip(".") + unit
    return str(step)


def speaks_utf8() -> bool:
    """Whether the terminal is written to in UTF-8."""
    stream = sys.__stderr__  # where Textual writes
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return codecs.lookup(encoding).name == "utf-8"
