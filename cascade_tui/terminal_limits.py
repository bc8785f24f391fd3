"""What the terminal at hand cannot show."""

from __future__ import annotations

import curses
import os
import sys
from typing import TYPE_CHECKING

from cascade_tui.widgets.glyphs import needs_ascii

if TYPE_CHECKING:
    from rich.console import Console
    from textual.filter import LineFilter


def line_filters(console: Console, *, is_dark: bool) -> list[LineFilter]:
    """What turns the app's lines into what this terminal shows; nothing for a capable one."""
    from cascade_tui.widgets import line_filters as shown

    is_ascii = needs_ascii()
    filters: list[LineFilter] = []
    if os.environ.get("NO_COLOR") or _has_no_colours():
        filters.append(shown.WithoutColour(is_ascii=is_ascii))
    elif console.color_system == "standard":
        filters.append(shown.SixteenColours(is_dark=is_dark))
    return [*filters, shown.AsciiOnly()] if is_ascii else filters


def _has_no_colours() -> bool:
    """Whether the terminal's description knows of no colours; False if there is none of it."""
    if os.environ.get("COLORTERM") or sys.__stderr__ is None:
        return False
    try:
        curses.setupterm(fd=sys.__stderr__.fileno())
    except curses.error:
        return False
    return curses.tigetnum("colors") < 8
