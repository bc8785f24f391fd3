"""Lines, blocks and braille as shapes that fill their cells, as modern terminals draw them.

A font's own are as high as the font likes: frames made of them have gaps, bars have seams. A cell
is `CELL_WIDTH` x `CELL_HEIGHT` units; every edge lies on a whole pixel where a unit is 1.6 pixels.
"""

from __future__ import annotations

import unicodedata
from functools import cache

CELL_WIDTH, CELL_HEIGHT = 10, 20
_MIDDLE_X, _MIDDLE_Y = CELL_WIDTH / 2, CELL_HEIGHT / 2
_STROKE_WIDTHS = {"LIGHT": 1.25, "HEAVY": 2.5}
_ENDS = {
    "UP": (_MIDDLE_X, 0),
    "DOWN": (_MIDDLE_X, CELL_HEIGHT),
    "LEFT": (0, _MIDDLE_Y),
    "RIGHT": (CELL_WIDTH, _MIDDLE_Y),
}
_LINES = {"HORIZONTAL": ("LEFT", "RIGHT"), "VERTICAL": ("UP", "DOWN")}
_NUM_DASHES = {"DOUBLE": 2, "TRIPLE": 3, "QUADRUPLE": 4}
_DIAGONALS = {"╱": "M{0} {3}L{2} {1}", "╲": "M{0} {1}L{2} {3}"}
_DIAGONALS["╳"] = _DIAGONALS["╱"] + _DIAGONALS["╲"]
_EIGHTHS = {
    "ONE EIGHTH": 1,
    "ONE QUARTER": 2,
    "THREE EIGHTHS": 3,
    "HALF": 4,
    "FIVE EIGHTHS": 5,
    "THREE QUARTERS": 6,
    "SEVEN EIGHTHS": 7,
}
_SHADES = {"░": 1, "▒": 2, "▓": 3}
_GRAIN = 2.5
"""A side of the squares that a shade is made of."""
_BRAILLE_DOTS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
"""Column and row of each bit."""
_DOT = CELL_WIDTH / 2

Shape = tuple[str, str]
"""How a path is painted, as SVG attributes with a place for the colour, and its ``d``."""
_FILL = 'fill="{colour}"'
_STROKE = 'fill="none" stroke="{colour}" stroke-width='
_DOTS = f'{_STROKE}"3.2" stroke-linecap="round"'


def shapes(character: str, count: int, x: float, y: float) -> list[Shape]:
    """The paths of ``count`` cells with one character, the first with its corner at x, y.

    There are none for a character that a font has to draw.
    """
    if "\u2801" <= character <= "\u28ff":
        return [(_DOTS, "".join(_dots(character, x + n * CELL_WIDTH, y) for n in range(count)))]
    if character in _SHADES:
        return _shade(_SHADES[character], count * CELL_WIDTH, x, y)
    if "\u2580" <= character <= "\u259f":
        return [(_FILL, _blocks(character, count, x, y))]
    if "\u2500" <= character <= "\u257f":
        return _lines(character, count, x, y)
    return []


def _dots(character: str, x: float, y: float) -> str:
    """Lines of no length, whose round ends are the dots."""
    bits = ord(character) - 0x2800
    return "".join(
        f"M{x + _DOT * (column + 0.5):g} {y + _DOT * (row + 0.5):g}h0"
        for bit, (column, row) in enumerate(_BRAILLE_DOTS)
        if bits >> bit & 1
    )


def _shade(quarters: int, width: float, x: float, y: float) -> list[Shape]:
    """A quarter, a half or three quarters of small squares, as dashed lines."""
    dashed: list[str] = []
    whole: list[str] = []
    for row in range(int(CELL_HEIGHT / _GRAIN)):
        middle = y + (row + 0.5) * _GRAIN
        if row % 2 == 0 and quarters == 3:
            whole.append(f"M{x:g} {middle:g}h{width:g}")
        elif row % 2 == 0 and quarters == 2:
            dashed.append(f"M{x + _GRAIN:g} {middle:g}h{width - _GRAIN:g}")
        elif row % 2 == 1:
            dashed.append(f"M{x:g} {middle:g}h{width:g}")
    paint = f'{_STROKE}"{_GRAIN:g}"'
    found = [(f'{paint} stroke-dasharray="{_GRAIN:g}"', "".join(dashed)), (paint, "".join(whole))]
    return [shape for shape in found if shape[1]]


def _blocks(character: str, count: int, x: float, y: float) -> str:
    """Rectangles; those as wide as the cell become one for all cells."""
    drawn: list[str] = []
    for left, top, right, bottom in _rectangles(unicodedata.name(character)):
        is_wide = (left, right) == (0, CELL_WIDTH)
        width = (right - left) * (count if is_wide else 1)
        drawn += [
            f"M{x + left + n * CELL_WIDTH:g} {y + top:g}h{width:g}v{bottom - top:g}h-{width:g}z"
            for n in range(1 if is_wide else count)
        ]
    return "".join(drawn)


@cache
def _rectangles(name: str) -> tuple[tuple[float, float, float, float], ...]:
    """Left, top, right and bottom of each, from what Unicode calls the block."""
    if name.startswith("QUADRANT "):
        quarters = name.removeprefix("QUADRANT ").split(" AND ")
        corners = [("RIGHT" in part, "LOWER" in part) for part in quarters]
        return tuple(
            (_MIDDLE_X * i, _MIDDLE_Y * j, _MIDDLE_X * (i + 1), _MIDDLE_Y * (j + 1))
            for i, j in corners
        )
    side, _, size = name.removesuffix(" BLOCK").partition(" ")
    part = _EIGHTHS.get(size, 8) / 8
    width, height = CELL_WIDTH * part, CELL_HEIGHT * part
    return (
        {
            "UPPER": (0, 0, CELL_WIDTH, height),
            "LOWER": (0, CELL_HEIGHT - height, CELL_WIDTH, CELL_HEIGHT),
            "LEFT": (0, 0, width, CELL_HEIGHT),
            "RIGHT": (CELL_WIDTH - width, 0, CELL_WIDTH, CELL_HEIGHT),
        }.get(side, (0, 0, CELL_WIDTH, CELL_HEIGHT)),
    )


def _lines(character: str, count: int, x: float, y: float) -> list[Shape]:
    """Lines of one weight; doubled and mixed ones are left to the font."""
    words = unicodedata.name(character).split()
    weights = [word for word in words if word in _STROKE_WIDTHS]
    if len(weights) != 1:
        return []
    paint = f'{_STROKE}"{_STROKE_WIDTHS[weights[0]]:g}"'
    arms = [arm for word in words for arm in _LINES.get(word, (word,)) if arm in _ENDS]
    is_horizontal = arms == ["LEFT", "RIGHT"]
    if "DASH" in words:
        length = CELL_WIDTH if is_horizontal else CELL_HEIGHT
        each = length / next(_NUM_DASHES[word] for word in words if word in _NUM_DASHES)
        paint += f' stroke-dasharray="{each * 0.6:g} {each * 0.4:g}"'
    if is_horizontal:
        return [(paint, f"M{x:g} {y + _MIDDLE_Y:g}h{count * CELL_WIDTH:g}")]
    drawn = [_line(character, arms, "ARC" in words, x + n * CELL_WIDTH, y) for n in range(count)]
    return [(paint, "".join(drawn))]


def _line(character: str, arms: list[str], is_round: bool, x: float, y: float) -> str:
    """One cell's line: a corner in one stroke, anything else an arm at a time."""
    if character in _DIAGONALS:
        return _DIAGONALS[character].format(x, y, x + CELL_WIDTH, y + CELL_HEIGHT)
    middle = f"{x + _MIDDLE_X:g} {y + _MIDDLE_Y:g}"
    ends = [f"{x + _ENDS[arm][0]:g} {y + _ENDS[arm][1]:g}" for arm in arms]
    if is_round:
        towards = -_MIDDLE_X if arms[0] == "UP" else _MIDDLE_X
        return f"M{ends[0]}V{y + _MIDDLE_Y + towards:g}Q{middle} {ends[1]}"
    if len(ends) == 2:
        return f"M{ends[0]}L{middle}L{ends[1]}"
    return "".join(f"M{middle}L{end}" for end in ends)
