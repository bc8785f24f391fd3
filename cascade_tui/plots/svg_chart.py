"""A chart as SVG: one file that needs nothing else, or a part of a page."""

from __future__ import annotations

import html
import math
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cascade_tui.follow.pyramid import Floats
from cascade_tui.plots.data import Drawing, Line, draw
from cascade_tui.widgets.chart_axis import Axis, format_steps, format_value, tick_values
from cascade_tui.widgets.chart_plot import Curve
from cascade_tui.widgets.glyphs import printable

LEAST_WIDTH, LEAST_HEIGHT = 160, 100
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 34.0, 40.0
_LEGEND_LINE = 17.0
_COLUMN_PX = 2.0
_TICK_PX = 48.0
_MAX_DOTS = 60
_CHARACTER_PX = 6.6
_COLORS = ("#0b6e99", "#c4570c", "#6b4fbb", "#2e7d32", "#b3261e", "#7a5b00")
_DARK_COLORS = ("#5cc8f2", "#ffab66", "#b8a1ff", "#7ed67f", "#ff8a80", "#e5c558")
_DASHES = ("none", "7 3", "2 3", "9 3 2 3", "12 4", "4 4")
_FONT = "system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif"


def _line_rules(colors: Sequence[str]) -> str:
    return "".join(
        f".chart-line-{number}{{stroke:{color}}}.chart-dot-{number}{{fill:{color}}}"
        for number, color in enumerate(colors)
    )


CHART_CSS = f"""
.chart-ground{{fill:#ffffff}}
.chart text{{font-family:{_FONT};font-size:11px;fill:#57606a}}
.chart text.chart-title{{font-size:14px;font-weight:600;fill:#1f2328}}
.chart text.chart-name{{font-size:12px;fill:#1f2328}}
.chart-grid{{stroke:#d8dee4;stroke-width:1}}
.chart-axis{{stroke:#8c959f;stroke-width:1}}
.chart-band{{fill:#0b6e99;fill-opacity:0.2;stroke:#0b6e99;stroke-opacity:0.3;stroke-width:1}}
.chart-line{{fill:none;stroke-width:1.8;stroke-linejoin:round}}
.chart-gap{{stroke:#b3261e;stroke-width:1.5}}
{_line_rules(_COLORS)}
@media (prefers-color-scheme: dark){{
.chart-ground{{fill:#14181d}}
.chart text{{fill:#9aa4af}}
.chart text.chart-title,.chart text.chart-name{{fill:#e6edf3}}
.chart-grid{{stroke:#2b323a}}
.chart-axis{{stroke:#6e7681}}
.chart-band{{fill:#5cc8f2;stroke:#5cc8f2}}
.chart-gap{{stroke:#ff8a80}}
{_line_rules(_DARK_COLORS)}
}}
"""
"""Light rules, and dark ones for viewers that ask for them."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """The plot's rectangle in px, and what lies on its axes."""

    left: float
    right: float
    top: float
    bottom: float
    axis: Axis
    end: int

    def x(self, position: float) -> float:
        """Where a share of the step axis lies."""
        return self.left + position * (self.right - self.left)

    def y(self, value: float) -> float:
        """Where a value lies, held within the frame (a logarithm may have no place for it)."""
        position = min(1.0, max(0.0, self.axis.position(value)))
        return self.bottom - position * (self.bottom - self.top)


def svg_chart(
    title: str,
    lines: Sequence[Line],
    width: int,
    height: int,
    *,
    is_log: bool = False,
    has_style: bool = True,
) -> str:
    """The chart `width` x `height` px; without `has_style` the page has `CHART_CSS`.

    Raises ValueError if there is nothing finite to draw.
    """
    num_columns = max(2, int((width - _LEFT - _RIGHT) / _COLUMN_PX))
    drawing = draw(lines, num_columns, is_log=is_log)
    if drawing is None:
        raise ValueError("no finite value")
    num_names = len(drawing.lines)
    bottom = max(_TOP + 30.0, height - _BOTTOM - _LEGEND_LINE * num_names)
    frame = _Frame(_LEFT, width - _RIGHT, _TOP, bottom, drawing.axis, drawing.end)
    heading = f"{title} (logarithmic)" if drawing.axis.is_log else title
    style = f"<style>{CHART_CSS}</style>" if has_style else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escaped(heading)}">',
        style,
        f'<rect class="chart-ground" width="{width}" height="{height}"/>',
        f'<text class="chart-title" x="{_LEFT:g}" y="21">{escaped(heading)}</text>',
        *_value_axis(frame),
        *_step_axis(frame),
        *(
            part
            for number, curve in enumerate(drawing.curves)
            for part in _curve(frame, curve, number)
        ),
        *_dots(frame, drawing),
        *_gaps(frame, drawing),
        *_legend(frame, drawing, width),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _value_axis(frame: _Frame) -> Iterable[str]:
    most = max(2, min(7, int((frame.bottom - frame.top) / _TICK_PX) + 1))
    span = 0.0 if frame.axis.is_log else frame.axis.high - frame.axis.low
    ticks = _log_ticks(frame.axis, most) if frame.axis.is_log else tick_values(frame.axis, most)
    for value in ticks:
        y = frame.y(value)
        yield (
            f'<line class="chart-grid" x1="{frame.left:g}" y1="{y:.1f}" '
            f'x2="{frame.right:g}" y2="{y:.1f}"/>'
        )
        label = escaped(format_value(value, span))
        yield f'<text x="{frame.left - 7:g}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _log_ticks(axis: Axis, most: int) -> list[float]:
    """1, 2 and 5 times the powers of ten where these fit, else the powers alone, else the ends."""
    powers = range(math.floor(math.log10(axis.low)), math.ceil(math.log10(axis.high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [t for t in ticks if axis.low * 0.999 <= t <= axis.high * 1.001]
        if 2 <= len(inside) <= max(most, 4):
            return inside
    return tick_values(axis, most)


def _step_axis(frame: _Frame) -> Iterable[str]:
    y = frame.bottom
    yield (
        f'<line class="chart-axis" x1="{frame.left:g}" y1="{y:.1f}" '
        f'x2="{frame.right:g}" y2="{y:.1f}"/>'
    )
    most = max(2, min(9, int((frame.right - frame.left) / 80) + 1))
    ticks = tick_values(Axis(0, frame.end), most)
    for step in sorted({round(tick) for tick in ticks if tick == round(tick)} | {0}):
        x = frame.x(step / frame.end)
        yield f'<line class="chart-axis" x1="{x:.1f}" y1="{y:.1f}" x2="{x:.1f}" y2="{y + 4:.1f}"/>'
        yield (
            f'<text x="{x:.1f}" y="{y + 16:.1f}" text-anchor="middle">{format_steps(step)}</text>'
        )
    middle = frame.x(0.5)
    yield f'<text x="{middle:.1f}" y="{y + 31:.1f}" text-anchor="middle">step</text>'


def _curve(frame: _Frame, curve: Curve, number: int) -> Iterable[str]:
    """The band between the extremes, and the line."""
    columns = curve.columns
    if curve.has_band:
        path = "".join(
            _band(frame, columns.low, columns.high, run) for run in _runs(columns.high, columns.gap)
        )
        yield f'<path class="chart-band" d="{path}"/>'
    path = "".join(_polyline(frame, curve.line, run) for run in _runs(curve.line, columns.gap))
    color, dash = _look(number)
    yield f'<path class="chart-line chart-line-{color}" stroke-dasharray="{dash}" d="{path}"/>'


def _runs(values: Floats, gaps: NDArray[np.bool_]) -> list[list[int]]:
    """Columns with a value, broken where one was not finite; empty columns are bridged."""
    runs: list[list[int]] = [[]]
    for column, value in enumerate(values.tolist()):
        if math.isfinite(value):
            runs[-1].append(column)
        elif gaps[column] and runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _polyline(frame: _Frame, values: Floats, run: list[int]) -> str:
    points = [_point(frame, column, len(values), float(values[column])) for column in run]
    if len(points) == 1:
        points *= 2  # a path of one point draws nothing
    return f"M{'L'.join(points)}"


def _band(frame: _Frame, low: Floats, high: Floats, run: list[int]) -> str:
    above = [_point(frame, column, len(high), float(high[column])) for column in run]
    below = [_point(frame, column, len(low), float(low[column])) for column in reversed(run)]
    return f"M{'L'.join(above + below)}Z"


def _point(frame: _Frame, column: int, count: int, value: float) -> str:
    return f"{frame.x((column + 0.5) / count):.1f} {frame.y(value):.1f}"


def _dots(frame: _Frame, drawing: Drawing) -> Iterable[str]:
    """A dot for each value of a line that has few: a line alone would hide how few."""
    for number, (line, curve) in enumerate(zip(drawing.lines, drawing.curves, strict=True)):
        if len(line.series) > _MAX_DOTS:
            continue
        for column in np.flatnonzero(np.isfinite(curve.line)).tolist():
            x, y = _point(frame, column, len(curve.line), float(curve.line[column])).split()
            yield f'<circle class="chart-dot-{number % len(_COLORS)}" cx="{x}" cy="{y}" r="2.6"/>'


def _gaps(frame: _Frame, drawing: Drawing) -> Iterable[str]:
    """A cross at the bottom where a value was not finite."""
    gaps = np.logical_or.reduce([curve.columns.gap for curve in drawing.curves])
    for column in np.flatnonzero(gaps).tolist():
        x, y = frame.x((column + 0.5) / len(gaps)), frame.bottom - 6
        yield (
            f'<path class="chart-gap" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6">'
            "<title>a value that is not finite</title></path>"
        )


def _legend(frame: _Frame, drawing: Drawing, width: int) -> Iterable[str]:
    """A name a line; with several also a letter, here and where the line ends: not colour alone."""
    room = max(10, int((width - frame.left - 40) / _CHARACTER_PX))
    for number, (line, curve) in enumerate(zip(drawing.lines, drawing.curves, strict=True)):
        y = frame.bottom + _BOTTOM + _LEGEND_LINE * number + 8
        color, dash = _look(number)
        yield (
            f'<path class="chart-line chart-line-{color}" stroke-dasharray="{dash}" '
            f'd="M{frame.left:g} {y - 4:.1f}h24"/>'
        )
        text = f"{line.name}: {line.facts}"
        if len(drawing.lines) > 1:
            letter = string.ascii_uppercase[number]
            text = f"{letter}  {text}"
            yield _letter(frame, curve, letter)
        text = text if len(text) <= room else f"{text[: room - 1]}…"
        x = frame.left + 32
        yield f'<text class="chart-name" x="{x:g}" y="{y:.1f}">{escaped(text)}</text>'


def _letter(frame: _Frame, curve: Curve, letter: str) -> str:
    drawn = np.flatnonzero(np.isfinite(curve.line))
    if not drawn.size:
        return ""
    last = int(drawn[-1])
    x, y = _point(frame, last, len(curve.line), float(curve.line[last])).split()
    return f'<text class="chart-name" x="{float(x) + 4:.1f}" y="{float(y) + 4:.1f}">{letter}</text>'


def _look(number: int) -> tuple[int, str]:
    """The colour of a line, and its dashes once the colours are used up."""
    return number % len(_COLORS), _DASHES[number // len(_COLORS) % len(_DASHES)]


def escaped(text: str) -> str:
    """Text as XML may hold it: no control characters, no halves of characters."""
    shown = printable(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd")
    return html.escape(shown)
