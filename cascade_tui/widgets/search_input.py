"""The words that a screen is searched for."""

from __future__ import annotations

from textual.geometry import Size
from textual.reactive import reactive
from textual.widgets import Input


class SearchInput(Input):
    """One line of text of a fixed width; a key in it draws that line and lays nothing out anew."""

    virtual_size = reactive(Size(0, 0))

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:
        super().__init__(placeholder=placeholder, compact=True, id=id)
        self.cursor_blink = False
