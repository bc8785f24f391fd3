"""Bars made of block characters, with eighths of a cell."""

from __future__ import annotations

from rich.text import Text

_EIGHTHS = " ▏▎▍▌▋▊▉"


def bar(share: float, width: int, *, mark: float | None = None, style: str = "") -> Text:
    """A bar of ``width`` cells, filled to ``share`` (0 to 1), with a line at ``mark``."""
    share = min(1.0, max(0.0, share))
    eighths = int(share * width * 8 + 0.5)
    whole, rest = divmod(eighths, 8)
    filled = "█" * whole + (_EIGHTHS[rest] if rest else "")
    text = Text(filled, style=style)
    text.append("░" * (width - len(filled)), style="dim")
    if mark is not None and width > 1:
        position = min(width - 1, int(mark * width))
        marked = Text("│", style="bold")
        text = Text.assemble(text[:position], marked, text[position + 1 :])
    return text
