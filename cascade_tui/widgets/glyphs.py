"""Signs that carry meaning without colour, and text cut to fit."""

from __future__ import annotations

import os
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from engine.config.problems import Severity

GLYPHS: dict[Severity, str] = {"error": "✖", "warning": "▲", "hint": "·"}
CHANGED = "•"
READY = "✔"

_PICTURES = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_UNSHOWABLE = (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = dict.fromkeys((*_UNSHOWABLE, *range(0xD800, 0xE000)), 0xFFFD) | _PICTURES


def printable(text: str, *, keep_lines: bool = False) -> str:
    """``text`` with a visible sign in the place of each character that would steer a terminal.

    Control characters become their pictures (␛ for escape), those that turn the direction of
    writing, and halves of characters, become �. With ``keep_lines`` the ends of lines stay.
    """
    if text.isprintable():
        return text
    return text.translate(_SHOWN | {0x0A: 0x0A} if keep_lines else _SHOWN)


def shown_path(path: Path) -> str:
    """A path as text that is safe to show, with ``~`` for the home folder."""
    home = os.path.expanduser("~")
    text = str(path)
    if home != "/" and (text == home or text.startswith(f"{home}/")):
        text = f"~{text[len(home) :]}"
    return printable(text)


def from_printable(text: str) -> str:
    """The control characters that `printable` showed as pictures, in their place again."""
    return text.translate({picture: code for code, picture in _PICTURES.items()})


def fit(text: str, width: int) -> str:
    """``text``, made printable, in exactly ``width`` cells; an ellipsis marks what is cut off."""
    if width <= 0:
        return ""
    text = printable(text)
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)
