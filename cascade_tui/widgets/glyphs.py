"""Signs that carry meaning without colour, and text cut to fit."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.cells import cell_len, set_cell_size

from engine.config.problems import Severity

GLYPHS: dict[Severity, str] = {"error": "✖", "warning": "▲", "hint": "·"}
CHANGED = "•"
READY = "✔"
ASCII_KEYS = {"⏎": "enter", "←": "left", "→": "right", "↑": "up", "↓": "down"}
"""What a key is called where its sign cannot be shown."""

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


def needs_ascii(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether to draw without Unicode.

    So it is if the terminal is not written to in UTF-8, if the locale is one without (C, or of
    another charset), on the Linux console, whose font has no braille, and if CASCADE_TUI_ASCII=1
    asks for it. CASCADE_TUI_ASCII=0 denies what locale and console say.
    """
    stream = sys.__stderr__  # where Textual writes
    encoding = getattr(stream, "encoding", None) or "utf-8"
    asked = variables.get("CASCADE_TUI_ASCII", "")
    if asked not in ("", "0") or codecs.lookup(encoding).name != "utf-8":
        return True
    return not asked and (variables.get("TERM") == "linux" or _is_locale_without_utf8(variables))


def _is_locale_without_utf8(variables: Mapping[str, str]) -> bool:
    # In the C locale Python itself goes over to UTF-8, and says so in LC_CTYPE.
    is_ours = sys.flags.utf8_mode and variables.get("LC_CTYPE") == "C.UTF-8"
    keys = ("LC_ALL", "LANG") if is_ours else ("LC_ALL", "LC_CTYPE", "LANG")
    name = next((variables[key] for key in keys if variables.get(key)), "")
    charset = name.partition(".")[2].partition("@")[0].lower().replace("-", "")
    return name in ("C", "POSIX") or charset not in ("", "utf8")
