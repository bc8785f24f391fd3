"""A list as a small text with an entry a line."""

from __future__ import annotations

from textual import events
from textual.message import Message
from textual.widgets import TextArea


class EntriesText(TextArea):
    """Enter begins a line, and on an empty last line says that the list is done."""

    DEFAULT_CSS = """
    EntriesText {
        width: 1fr; height: auto; max-height: 6; border: none; padding: 0;
        background: $panel; scrollbar-size-vertical: 1;
        &:focus { border: none; }
    }
    """

    class Finished(Message):
        """The person pressed enter on an empty last line."""

    def __init__(self) -> None:
        super().__init__(
            soft_wrap=False, tab_behavior="focus", highlight_cursor_line=False, compact=True
        )
        self.cursor_blink = False

    def on_key(self, event: events.Key) -> None:
        """Enter on an empty last line ends the list."""
        row, column = self.cursor_location
        is_last = row == self.document.line_count - 1
        if event.key == "enter" and is_last and not column and not self.document.get_line(row):
            event.stop()
            event.prevent_default()
            self.post_message(self.Finished())
