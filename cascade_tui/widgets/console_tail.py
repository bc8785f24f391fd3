"""The last lines of the trainer's console."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from cascade_tui.widgets.glyphs import fit


class ConsoleView(Widget):
    """As many of the last lines as fit, the newest at the bottom; scrolls back by lines."""

    DEFAULT_CSS = """
    ConsoleView {
        border: round $surface-lighten-3;
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
            self.refresh()

    def scroll_lines(self, count: int) -> None:
        """Go back by ``count`` lines (forward if negative)."""
        most = max(0, len(self._lines) - self.size.height)
        self._num_below = min(most, max(0, self._num_below + count))
        self.border_subtitle = f"{self._num_below} lines below" if self._num_below else ""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A row, on the widget's background."""
        return self._row(y).apply_style(self.rich_style)

    def _row(self, y: int) -> Strip:
        """One line, cut to the width."""
        width, height = self.size
        if not self._lines:
            text = "the console is empty" if y == 0 else ""
            return Strip([Segment(fit(text, width), Style(dim=True))], width)
        end = len(self._lines) - self._num_below
        seen = self._lines[max(0, end - height) : end]
        return Strip([Segment(fit(seen[y] if y < len(seen) else "", width))], width)
