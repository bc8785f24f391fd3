"""The last lines of the trainer's console."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.rows import RowWidget


class ConsoleView(RowWidget):
    """As many of the last lines as fit, the newest at the bottom; scrolls back by lines."""

    DEFAULT_CSS = """
    ConsoleView {
        border: round $foreground 40%;
        border-title-color: $foreground;
        border-subtitle-color: $text-muted;
        padding: 0 1;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "console"
        self._lines: tuple[str, ...] = ()
        self._num_below = 0

    def show(self, lines: tuple[str, ...]) -> None:
        """Show these lines; repaints only if they differ."""
        if lines != self._lines:
            self._lines = lines
            self.redraw()

    def scroll_lines(self, count: int) -> None:
        """Go back by ``count`` lines (forward if negative)."""
        most = max(0, len(self._lines) - self.size.height)
        self._num_below = min(most, max(0, self._num_below + count))
        self.border_subtitle = f"{self._num_below} lines below" if self._num_below else ""
        self.redraw()

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """A line a row, cut to the width."""
        if not self._lines:
            return [Strip([Segment(fit("the console is empty", width), Style(dim=True))])]
        end = len(self._lines) - self._num_below
        seen = self._lines[max(0, end - height) : end]
        return [Strip([Segment(fit(line, width))]) for line in seen]
