"""A screen of an app as a picture: every character in its cell, whatever the font."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.strip import Strip

from cascade_tui.screenshots.cell_shapes import CELL_HEIGHT, CELL_WIDTH, shapes

PIXELS_PER_UNIT = 1.6
"""A cell is 16 x 32 pixels: as sharp as on a screen of twice the usual density."""
_FONT_SIZE = 16.6
"""At this size a character of the usual monospaced fonts is as wide as a cell."""
_BASELINE = 15
_FAMILIES = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
_PNG_FAMILY = "DejaVu Sans Mono"
"""The one that comes with cairo's fontconfig; it has every sign that the app shows."""
_TITLE_FAMILIES = "system-ui, Helvetica, Arial, sans-serif"
_BAR_HEIGHT, _EDGE, _RADIUS = 35, 10, 10
_BUTTONS = ("#ff5f57", "#febc2e", "#28c840")
_WORDS = re.compile(r"\S+(?: \S+)*")
"""A single space is written; more of them would become one in an SVG."""


@dataclass(frozen=True, slots=True)
class Look:
    """Colours and weight of a cell; colours as ``#rrggbb``."""

    colour: str
    background: str
    is_bold: bool = False
    is_italic: bool = False
    is_underlined: bool = False


Cell = tuple[str, Look]
"""A character and how it looks; after one of double width, an empty one."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What an app shows: rows of cells, on the theme's own colours."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]
    plain: Look
    is_dark: bool

    def text(self) -> str:
        """What is written on it."""
        return "\n".join("".join(character for character, _ in row) for row in self.rows)

    def with_words(self, words: str, others: str) -> Picture:
        """The same with other words in the place of some; they have to be as long."""
        assert len(words) == len(others), f"{words} and {others} are not of the same length"
        return replace(self, rows=tuple(_with_words(row, words, others) for row in self.rows))


def look_at(app: App[int], title: str) -> Picture:
    """What the app shows now; it has to be running."""
    theme = app.current_theme
    plain = Look(theme.foreground or "#e0e0e0", theme.background or "#000000")
    update = app.screen._compositor.render_update(full=True, screen_stack=app._background_screens)
    strips = [Strip.join(list(parts)) for parts in update.strips]  # type: ignore[union-attr]
    rows = tuple(tuple(_cells(strip, plain)) for strip in strips)
    return Picture(title, rows, plain, theme.dark)


def _with_words(row: tuple[Cell, ...], words: str, others: str) -> tuple[Cell, ...]:
    cells = list(row)
    text = "".join(character or "\0" for character, _ in row)
    for found in re.finditer(re.escape(words), text):
        for place, character in enumerate(others, found.start()):
            cells[place] = (character, cells[place][1])
    return tuple(cells)


def _cells(segments: Sequence[Segment] | Strip, plain: Look) -> Iterator[Cell]:
    for text, style, _ in segments:
        look = _look(style, plain)
        for character in text:
            width = cell_len(character)
            yield from [(character, look), ("", look)][:width]


def _look(style: Style | None, plain: Look) -> Look:
    if style is None:
        return plain
    colour, background = _hex(style.color, plain.colour), _hex(style.bgcolor, plain.background)
    if style.reverse:
        colour, background = background, colour
    return Look(colour, background, bool(style.bold), bool(style.italic), bool(style.underline))


def _hex(colour: Color | None, otherwise: str) -> str:
    return otherwise if colour is None or colour.is_default else colour.get_truecolor().hex


def svg_of(picture: Picture) -> str:
    """The picture in a window's frame, as SVG; characters stand at their cells in any font."""
    columns = len(picture.rows[0])
    width = columns * CELL_WIDTH + 2 * _EDGE
    height = len(picture.rows) * CELL_HEIGHT + _BAR_HEIGHT + _EDGE
    bar, ink = ("#2b2b2b", "#b8b8b8") if picture.is_dark else ("#e3e3e3", "#4a4a4a")
    buttons = "".join(
        f'<circle cx="{22 + 20 * n}" cy="17.5" r="6" fill="{colour}"/>'
        for n, colour in enumerate(_BUTTONS)
    )
    rows = "\n".join(
        _row(row, picture.plain, _BAR_HEIGHT + number * CELL_HEIGHT)
        for number, row in enumerate(picture.rows)
    )
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">
<title>{html.escape(picture.title)}</title>
<rect width="{width}" height="{height}" rx="{_RADIUS}" fill="{bar}"/>
{buttons}
<text x="{width / 2:g}" y="22" text-anchor="middle" font-family="{_TITLE_FAMILIES}" \
font-size="13" fill="{ink}">{html.escape(picture.title)}</text>
<rect x="{_EDGE}" y="{_BAR_HEIGHT}" width="{columns * CELL_WIDTH}" \
height="{len(picture.rows) * CELL_HEIGHT}" fill="{picture.plain.background}"/>
<g font-family="{_FAMILIES}" font-size="{_FONT_SIZE}" shape-rendering="geometricPrecision">
{rows}
</g>
</svg>
"""


def _row(row: Sequence[Cell], plain: Look, y: int) -> str:
    """Backgrounds, then shapes, then words."""
    parts: list[str] = []
    x = _EDGE
    for background, run in groupby(row, key=lambda cell: cell[1].background):
        width = len(list(run)) * CELL_WIDTH
        if background != plain.background:
            parts.append(
                f'<rect x="{x}" y="{y}" width="{width}" height="{CELL_HEIGHT}" '
                f'fill="{background}"/>'
            )
        x += width
    paths: dict[str, list[str]] = {}
    words: list[str] = []
    x = _EDGE
    for look, styled in groupby(row, key=lambda cell: cell[1]):
        written = ""
        for character, run in groupby(styled, key=lambda cell: cell[0]):
            count = len(list(run))
            drawn = shapes(character, count, x + len(written) * CELL_WIDTH, y) if character else []
            for paint, d in drawn:
                paths.setdefault(paint.format(colour=look.colour), []).append(d)
            written += (" " if drawn else character or "\0") * count
        words += _words(written, look, x, y)
        x += len(written) * CELL_WIDTH
    parts += [f'<path {paint} d="{"".join(ds)}"/>' for paint, ds in paths.items()]
    return "".join(parts + words)


def _words(written: str, look: Look, x: int, y: int) -> Iterator[str]:
    """A text element for each run of words, with a place for each character."""
    weight = ' font-weight="bold"' if look.is_bold else ""
    weight += ' font-style="italic"' if look.is_italic else ""
    for found in _WORDS.finditer(written):
        places = [
            (character, x + (found.start() + n) * CELL_WIDTH)
            for n, character in enumerate(found.group())
            if character != "\0"
        ]
        xs = " ".join(str(place) for _, place in places)
        text = html.escape("".join(character for character, _ in places), quote=False)
        yield f'<text x="{xs}" y="{y + _BASELINE}" fill="{look.colour}"{weight}>{text}</text>'
    if look.is_underlined:
        width = len(written) * CELL_WIDTH
        yield f'<path fill="{look.colour}" d="M{x} {y + 17.5}h{width}v1.25h-{width}z"/>'


def write_picture(picture: Picture, path: Path) -> tuple[Path, Path]:
    """Write `path`.svg, and the same as `path`.png; returns both paths."""
    import cairosvg  # type: ignore[import-untyped]

    svg = svg_of(picture)
    vector, pixels = path.with_suffix(".svg"), path.with_suffix(".png")
    vector.write_text(svg, encoding="utf-8")
    local = svg.replace(_FAMILIES, _PNG_FAMILY)
    cairosvg.svg2png(bytestring=local.encode(), write_to=str(pixels), scale=PIXELS_PER_UNIT)
    return vector, pixels
