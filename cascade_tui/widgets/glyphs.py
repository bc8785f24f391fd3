"""Signs that carry meaning without colour, and text cut to fit."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

from engine.config.problems import Severity

GLYPHS: dict[Severity, str] = {"error": "✖", "warning": "▲", "hint": "·"}
CHANGED = "•"
READY = "✔"


def fit(text: str, width: int) -> str:
    """``text`` in exactly ``width`` cells; what is cut off is marked by an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)
