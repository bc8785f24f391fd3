"""A line chart of metrics over steps that sends only the cells that changed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip

from cascade_tui.follow.metrics import Series
from cascade_tui.widgets.braille import DOTS_WIDE, ascii_mark, braille
from cascade_tui.widgets.chart_axis import (
    format_steps,
    format_value,
    round_up_steps,
    tick_labels,
)
from cascade_tui.widgets.chart_plot import Cell, Curve, fit_curves, make_curve, plot
from cascade_tui.widgets.chart_window import ChartWindow
from cascade_tui.widgets.glyphs import needs_ascii
from cascade_tui.widgets.rows import RowWidget

_LABEL_WIDTH = 7
_MARGIN = _LABEL_WIDTH + 1
_FRAME = ("╭", "─", "╮", "│", "╰", "╯")
_ASCII_FRAME = ("+", "-", "+", "|", "+", "+")
_MAX_OVERLAYS = 4
_CROSSHAIR, _ASCII_CROSSHAIR = "┊", ":"
SMOOTHING = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""The weights of the past to choose from."""


@dataclass(frozen=True, slots=True)
class Overlay:
    """Another series in the same chart, its line marked by a letter that the legend explains."""

    letter: str
    name: str
    series: Series


class LineChart(RowWidget):
    """The band between a metric's extremes, dim, and its smoothed mean, bright, over steps.

    Values that are not finite leave a gap, marked at the bottom. The frame is drawn here and not
    by a border: a border's title cannot change without all of the widget being sent again.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line-chart--frame",
        "line-chart--title",
        "line-chart--axis",
        "line-chart--band",
        "line-chart--line",
        "line-chart--overlay-1",
        "line-chart--overlay-2",
        "line-chart--overlay-3",
        "line-chart--overlay-4",
        "line-chart--crosshair",
        "line-chart--gap",
    }
    DEFAULT_CSS = """
    LineChart {
        height: 1fr;
        & .line-chart--frame { color: $foreground 40%; }
        & .line-chart--title { color: $foreground; }
        & .line-chart--axis { color: $text-muted; }
        & .line-chart--band { color: $primary 80%; }
        & .line-chart--line { color: $text-accent; text-style: bold; }
        & .line-chart--overlay-1 { color: $text-success; }
        & .line-chart--overlay-2 { color: $text-secondary; }
        & .line-chart--overlay-3 { color: $text-warning; }
        & .line-chart--overlay-4 { color: $text-primary; text-style: bold; }
        & .line-chart--crosshair { color: $text; }
        & .line-chart--gap { color: $text-error; text-style: bold; }
    }
    """

    class Pointed(Message):
        """The mouse points at a step, or turned its wheel there (1: closer, -1: further)."""

        def __init__(self, chart: LineChart, step: int, zoom: int = 0) -> None:
            super().__init__()
            self.chart = chart
            self.step = step
            self.zoom = zoom

        @property
        def control(self) -> LineChart:
            """The chart."""
            return self.chart

    def __init__(
        self,
        title: str,
        *,
        empty: str = "no value yet",
        is_log: bool = False,
        smoothing: float = 0.0,
        has_band: bool = True,
        is_framed: bool = True,
        is_ascii: bool | None = None,
        id: str | None = None,
    ) -> None:
        """``empty`` is shown while there is nothing to draw; `needs_ascii` decides on ASCII unless
        given."""
        super().__init__(id=id)
        self._title = title
        self._empty = empty
        self._is_log = is_log
        self._smoothing = smoothing
        self._has_band = has_band
        self._is_framed = is_framed
        self._is_ascii = needs_ascii() if is_ascii is None else is_ascii
        self._series = Series()
        self._overlays: tuple[Overlay, ...] = ()
        self._max_steps = 0
        self._window = ChartWindow()
        self._plot = (0, 0, 1)  # the first and last step of what is drawn, and its cells
        self._styles: dict[str, Style] = {}

    @property
    def end(self) -> int:
        """The right end of the step axis when all steps are shown."""
        last = max(s.last_step for s in (self._series, *(o.series for o in self._overlays)))
        end = round_up_steps(last)
        return min(end, self._max_steps) if self._max_steps >= last else end

    @property
    def num_columns(self) -> int:
        """How many cells wide the plot is."""
        return self._plot[2]

    @property
    def is_log(self) -> bool:
        """Whether the vertical axis is logarithmic."""
        return self._is_log

    @property
    def smoothing(self) -> float:
        """The weight of the past in the line, in [0, 1)."""
        return self._smoothing

    def show(self, series: Series, max_steps: int = 0, overlays: Sequence[Overlay] = ()) -> None:
        """Draw series as they are now; ``max_steps`` bounds the step axis if it is known.

        Overlays, at most four, are drawn as lines without a band, as they are.
        """
        self._series, self._max_steps = series, max_steps
        self._overlays = tuple(o for o in overlays if len(o.series))[:_MAX_OVERLAYS]
        self.redraw()

    def change(
        self,
        *,
        is_log: bool | None = None,
        smoothing: float | None = None,
        window: ChartWindow | None = None,
    ) -> None:
        """Choose another axis, another smoothing, or other steps."""
        self._is_log = self._is_log if is_log is None else is_log
        self._smoothing = self._smoothing if smoothing is None else smoothing
        self._window = self._window if window is None else window
        self.redraw()

    def name_again(self, title: str, *, empty: str, has_band: bool) -> None:
        """Be the chart of something else; `show` follows."""
        self._title, self._empty, self._has_band = title, empty, has_band

    # -- the mouse -----------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Point at a step."""
        self._tell(event.x)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Closer."""
        self._tell(event.x, zoom=1)
        event.stop()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Further."""
        self._tell(event.x, zoom=-1)
        event.stop()

    def _tell(self, x: int, zoom: int = 0) -> None:
        first, last, cells = self._plot
        column = x - _MARGIN - (1 if self._has_frame else 0)
        if len(self._series) and 0 <= column < cells:
            step = round(first + (column + 0.5) / cells * (last - first))
            self.post_message(self.Pointed(self, step, zoom))

    @property
    def _has_frame(self) -> bool:
        return self._is_framed and self.size.width >= 12 and self.size.height >= 5

    # -- drawing -----------------------------------------------------------------------------

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """The plot in its frame; the frame is left out where it would leave no room."""
        self._styles = {}
        if not self._has_frame:
            return self._draw(width, height)
        frame = self._style("frame")
        left, line, right, side, low_left, low_right = _ASCII_FRAME if self._is_ascii else _FRAME
        inside = self._draw(width - 2, height - 2)
        top = self._edge(width, left, line, right, self._legend())
        bottom = self._edge(width, low_left, line, low_right, self._facts())
        edge = Segment(side, frame)
        return [top, *(Strip([edge, *row, edge]) for row in inside), bottom]

    def _edge(self, width: int, left: str, line: str, right: str, text: str) -> Strip:
        """A side of the frame with words in it, as many as fit.

        They are at the left: what is right of a change need not be sent, what is left of it must.
        """
        frame, room = self._style("frame"), width - 6
        text = text if len(text) <= room else f"{text[: room - 1]}…"
        if not text:
            return Strip([Segment(left + line * (width - 2) + right, frame)])
        words = Segment(f" {text} ", self._style("title"))
        rest = line * (width - 5 - len(text)) + right
        return Strip([Segment(left + line, frame), words, Segment(rest, frame)])

    def _legend(self) -> str:
        """``loss · V validation``; of many curves the first and the last where room is short."""
        names = [f"{overlay.letter} {overlay.name}" for overlay in self._overlays]
        text = self._separator.join([self._title, *names])
        if len(text) > self.size.width - 6 and len(names) > 2:
            between = " to " if self._is_ascii else " … "
            text = f"{self._title}: {names[0]}{between}{names[-1]}"
        return text

    def _facts(self) -> str:
        last = self._series.last
        if not len(self._series):
            return ""
        words = [_value(last)]
        if self._window.crosshair is not None:
            words = self._pointed_at(self._window.crosshair)
        words += ["log"] if self._is_log else []
        words += [f"smoothing {self._smoothing:g}"] if self._smoothing else []
        return self._separator.join(words)

    def _pointed_at(self, step: int) -> list[str]:
        """What the curves are at a step or the nearest before it, and the band of its cell."""
        words = [f"step {step}", _value(self._series.at(step))]
        first, last, cells = self._plot
        half = max(0.5, (last - first) / cells / 2)
        around = self._series.columns(step - half, step + half, 1)
        low, high = float(around.low[0]), float(around.high[0])
        if self._has_band and math.isfinite(low) and low < high:
            words[-1] += f" ({format_value(low)} to {format_value(high)})"
        return words + [f"{o.letter} {_value(o.series.at(step))}" for o in self._overlays]

    @property
    def _separator(self) -> str:
        return ", " if self._is_ascii else " · "

    def _draw(self, width: int, height: int) -> list[Strip]:
        plot_width = width - _MARGIN
        plot_height = height - 1 if height >= 4 else height
        if not len(self._series) or plot_width < 4 or plot_height < 1:
            return self._draw_empty(width, height)
        first, end = self._window.bounds(self.end)
        self._plot = (first, end, plot_width)
        curves = self._curves(first, end, plot_width * DOTS_WIDE)
        axis = fit_curves(curves, is_log=self._is_log)
        if axis is None:
            return self._draw_empty(width, height)
        mark, gap = (ascii_mark, "x") if self._is_ascii else (braille, "×")
        rows = plot(curves, axis, plot_width, plot_height, mark, gap)
        self._draw_crosshair(rows)
        labels = tick_labels(axis, plot_height)
        strips = [self._row(labels.get(y), cells) for y, cells in enumerate(rows)]
        if height > plot_height:
            strips.append(self._step_axis(first, end, plot_width))
        return strips

    def _draw_crosshair(self, rows: list[list[Cell]]) -> None:
        """A thin line through the empty cells of the column that is pointed at."""
        (first, last, cells), step = self._plot, self._window.crosshair
        if step is None or not first <= step <= last:
            return
        column = min(cells - 1, int((step - first) / max(1, last - first) * cells))
        mark = _ASCII_CROSSHAIR if self._is_ascii else _CROSSHAIR
        for row in rows:
            if row[column][0] == " ":
                row[column] = (mark, "crosshair")

    def _curves(self, first: int, end: int, count: int) -> list[Curve]:
        columns = self._series.columns(first, end, count)
        curves = [make_curve(columns, smoothing=self._smoothing, has_band=self._has_band)]
        for number, other in enumerate(self._overlays, start=1):
            columns = other.series.columns(first, end, count)
            style = f"overlay-{number}"
            curves.append(
                make_curve(columns, smoothing=0, has_band=False, style=style, letter=other.letter)
            )
        return curves

    def _draw_empty(self, width: int, height: int) -> list[Strip]:
        text = self._empty if not len(self._series) else "only NaN or inf so far"
        middle = Strip([Segment(text[:width].center(width), self._style("axis"))], width)
        return [middle if y == height // 2 else Strip.blank(width) for y in range(height)]

    def _row(self, label: str | None, cells: list[Cell]) -> Strip:
        bar, tee = ("|", "+") if self._is_ascii else ("│", "┤")
        edge = bar if label is None else tee
        text = f"{label or '':>{_LABEL_WIDTH}.{_LABEL_WIDTH}}{edge}"
        segments = [Segment(text, self._style("axis"))]
        for name, run in groupby(_with_blanks_joined(cells), key=lambda cell: cell[1]):
            characters = "".join(character for character, _ in run)
            segments.append(Segment(characters, self._style(name)))
        return Strip(segments)

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self.get_component_rich_style(f"line-chart--{name}")
            self._styles[name] = style
        return style

    def _step_axis(self, first: int, end: int, width: int) -> Strip:
        """The first step at the left, the last at the right, the middle if there is room."""
        left, middle, right = (format_steps(s) for s in (first, (first + end) // 2, end))
        text = list(left[:width].ljust(width))
        if width >= 30:
            start = width // 2 - len(middle) // 2
            text[start : start + len(middle)] = middle
        text[width - len(right) :] = right
        return Strip([Segment(" " * _MARGIN + "".join(text), self._style("axis"))])


def _with_blanks_joined(cells: list[Cell]) -> Iterator[Cell]:
    """Blanks in the style of what is before them: each change of style costs bytes."""
    style = next((style for character, style in cells if character != " "), "band")
    for character, own in cells:
        style = style if character == " " else own
        yield character, style


def _value(value: float) -> str:
    return format_value(value) if math.isfinite(value) else str(value)
