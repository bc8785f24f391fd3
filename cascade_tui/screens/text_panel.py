"""A text over the screen that is shown: what help and forecast have in common."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from cascade_tui.widgets.shown_keys import shown_key


class TextPanel(ModalScreen[None]):
    """One text that scrolls; ``CLOSE_ID`` is the id of the key that closes it."""

    PANEL_TITLE = ""
    CLOSE_ID = ""
    DEFAULT_CSS = """
    TextPanel {
        align: center middle;
        & > VerticalScroll {
            width: 76; max-width: 100%; height: auto; max-height: 95%;
            border: round $primary; background: $surface; padding: 0 2;
            scrollbar-size-vertical: 1;
        }
        & Static { height: auto; }
    }
    """

    def describe(self) -> Text:
        """The text, made when the panel is shown."""
        return Text()

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        panel = VerticalScroll()
        panel.border_title = self.PANEL_TITLE
        panel.border_subtitle = f"{shown_key(self.CLOSE_ID, 'escape')} closes"
        with panel:
            yield Static(self.describe())

    def on_mount(self) -> None:
        """Arrow keys scroll the text."""
        self.query_one(VerticalScroll).focus()
