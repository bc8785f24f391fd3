"""A chart as lines of characters, without the app: for a terminal, a pipe, a log."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from cascade_tui.plots.data import Drawing, Line, draw
from cascade_tui.widgets.braille import DOTS_WIDE, ascii_mark, braille
from cascade_tui.widgets.chart_axis import format_steps, tick_labels
from cascade_tui.widgets.chart_plot import Cell, plot
from cascade_tui.widgets.glyphs import fit

_LABEL_WIDTH = 7
_MARGIN = _LABEL_WIDTH + 1
LEAST_WIDTH, LEAST_HEIGHT = 20, 5
MAX_LINES = len(string.ascii_uppercase)

_RESET = "\x1b[0m"
_CODES = {"band": "\x1b[2m", "gap": "\x1b[31m"}
_LINE_CODES = tuple(f"\x1b[{code}m" for code in (36, 33, 35, 32, 34, 31))


@dataclass(frozen=True, slots=True)
class Look:
    """Size in characters, all of it, and what the terminal can show."""

    width: int
    height: int
    is_ascii: bool = False
    has_color: bool = False


def text_chart(title: str, lines: Sequence[Line], look: Look, *, is_log: bool = False) -> str:
    """The chart under its title, with a legend of letters if there are several lines.

    Raises ValueError if there is nothing finite to draw.
    """
    plot_width = look.width - _MARGIN
    # Without colours a band would be as bright as the line, and hide it.
    num_columns = plot_width * DOTS_WIDE
    drawing = draw(lines, num_columns, is_log=is_log, has_band=look.has_color)
    if drawing is None:
        raise ValueError("no finite value")
    legend = _legend(drawing, look)
    height = max(2, look.height - 2 - len(legend))
    curves = list(drawing.curves)
    if len(curves) > 1:
        letters = string.ascii_uppercase
        curves = [
            replace(curve, style=str(number), letter=letters[number])
            for number, curve in enumerate(curves)
        ]
    else:
        curves = [replace(curves[0], style="0")]
    mark, gap = (ascii_mark, "x") if look.is_ascii else (braille, "×")
    rows = plot(curves, drawing.axis, plot_width, height, mark, gap)
    labels = tick_labels(drawing.axis, height)
    heading = f"{title} (log)" if drawing.axis.is_log else title
    text = "\n".join(
        [
            fit(heading, look.width).rstrip(),
            *(_row(labels.get(y), cells, look) for y, cells in enumerate(rows)),
            _step_axis(drawing.end, plot_width),
            *legend,
        ]
    )
    return text.encode("ascii", "replace").decode() if look.is_ascii else text


def _legend(drawing: Drawing, look: Look) -> list[str]:
    if len(drawing.lines) == 1:
        line = drawing.lines[0]
        return [fit(f"{line.name}: {line.facts}", look.width).rstrip()]
    legend = []
    for number, line in enumerate(drawing.lines):
        letter = string.ascii_uppercase[number]
        if look.has_color:
            letter = f"{_LINE_CODES[number % len(_LINE_CODES)]}{letter}{_RESET}"
        text = fit(f"{line.name}: {line.facts}", look.width - 2).rstrip()
        legend.append(f"{letter} {text}")
    return legend


def _row(label: str | None, cells: list[Cell], look: Look) -> str:
    bar, tee = ("|", "+") if look.is_ascii else ("│", "┤")
    start = f"{label or '':>{_LABEL_WIDTH}.{_LABEL_WIDTH}}{bar if label is None else tee}"
    if not look.has_color:
        return f"{start}{''.join(character for character, _ in cells)}".rstrip()
    parts = [start]
    for style, run in groupby(cells, key=lambda cell: "" if cell[0] == " " else cell[1]):
        text = "".join(character for character, _ in run)
        parts.append(f"{_code(style)}{text}{_RESET}" if style else text)
    return "".join(parts).rstrip()


def _code(style: str) -> str:
    return _CODES.get(style) or _LINE_CODES[int(style) % len(_LINE_CODES)]


def _step_axis(end: int, width: int) -> str:
    """`0` at the left, the last step at the right, the middle if there is room."""
    text = ["0", *" " * (width - 1)]
    middle, right = format_steps(end // 2), format_steps(end)
    if width >= 30:
        start = width // 2 - len(middle) // 2
        text[start : start + len(middle)] = middle
    text[width - len(right) :] = right
    return " " * _MARGIN + "".join(text)
