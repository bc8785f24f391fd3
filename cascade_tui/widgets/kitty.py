"""Pictures that kitty and ghostty keep, and show wherever their placeholder characters stand.

A placeholder is text: textual scrolls, clips and covers it like any other. Its colour is the
picture's number, its diacritics are the row and the column. See "Unicode placeholders" of kitty's
graphics protocol.
"""

from __future__ import annotations

import base64
import itertools

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

PLACEHOLDER = "\U0010eeee"
FIRST_ID = 0xCA5000
NUM_IDS = 0x1000
"""Our pictures' numbers: few, and far from those that other programs count from."""

_CHUNK = 4096
_numbers = itertools.count()


def _diacritics() -> tuple[str, ...]:
    """The character for each number from 0: combining class 230 of Unicode 6.0, in order."""
    ranges = """
        305 30D-30E 310 312 33D-33F 346 34A-34C 350-352 357 35B 363-36F 483-487 592-595 597-599
        59C-5A1 5A8-5A9 5AB-5AC 5AF 5C4 610-617 657-65B 65D-65E 6D6-6DC 6DF-6E2 6E4 6E7-6E8
        6EB-6EC 730 732-733 735-736 73A 73D 73F-741 743 745 747 749-74A 7EB-7F1 7F3 816-819
        81B-823 825-827 829-82D 951 953-954 F82-F83 F86-F87 135D-135F 17DD 193A 1A17 1A75-1A7C
        1B6B 1B6D-1B73 1CD0-1CD2 1CDA-1CDB 1CE0 1DC0-1DC1 1DC3-1DC9 1DCB-1DCC 1DD1-1DE6 1DFE
        20D0-20D1 20D4-20D7 20DB-20DC 20E1 20E7 20E9 20F0 2CEF-2CF1 2DE0-2DFF A66F A67C-A67D
        A6F0-A6F1 A8E0-A8F1
    """
    found: list[str] = []
    for piece in ranges.split():
        first, _, last = piece.partition("-")
        found += map(chr, range(int(first, 16), int(last or first, 16) + 1))
    return tuple(found)


DIACRITICS = _diacritics()
MOST_CELLS = len(DIACRITICS)
"""No picture has more rows or columns than can be counted."""


def new_id() -> int:
    """The number of another picture; from any thread."""
    return FIRST_ID + next(_numbers) % NUM_IDS


def transmission(image_id: int, png: bytes, columns: int, rows: int) -> str:
    """What gives the terminal a picture to be shown in so many cells; it answers nothing."""
    payload = base64.standard_b64encode(png).decode("ascii")
    chunks = [payload[start : start + _CHUNK] for start in range(0, len(payload), _CHUNK)]
    keys = f"a=T,U=1,i={image_id},c={columns},r={rows},f=100,t=d,q=2,"
    sequences = []
    for number, chunk in enumerate(chunks, 1):
        is_more = int(number < len(chunks))
        sequences.append(f"\x1b_G{keys}m={is_more};{chunk}\x1b\\")
        keys = "q=2,"
    return "".join(sequences)


def deletion(image_id: int) -> str:
    """What takes a picture from the screen and from the terminal's memory."""
    return f"\x1b_Ga=d,d=I,i={image_id},q=2\x1b\\"


def placeholders(image_id: int, columns: int, rows: int) -> tuple[tuple[Segment, ...], ...]:
    """The characters in whose place the picture is shown."""
    style = Style(color=Color.from_rgb(image_id >> 16, image_id >> 8 & 255, image_id & 255))
    return tuple(
        (
            Segment(
                "".join(PLACEHOLDER + DIACRITICS[y] + DIACRITICS[x] for x in range(columns)),
                style,
            ),
        )
        for y in range(rows)
    )
