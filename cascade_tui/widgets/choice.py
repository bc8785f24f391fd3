"""One of a few things, chosen in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from cascade_tui.widgets.glyphs import fit


class Choice(Widget, can_focus=True):
    """Shows the label that is chosen; left and right go to another."""

    BINDING_GROUP_TITLE = "A choice"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l,space", "turn(1)", "Next choice", key_display="→", id="choice.next"),
        Binding("left,h", "turn(-1)", "Choice before", show=False, id="choice.before"),
        Binding("enter", "take", "Take the choice", show=False, id="choice.take"),
    ]
    DEFAULT_CSS = """
    Choice { height: 1; width: 1fr; }
    Choice:focus { background: $primary 30%; text-style: bold; }
    """

    class Changed(Message):
        """Another one was chosen."""

        def __init__(self, choice: Choice) -> None:
            super().__init__()
            self.choice = choice

    class Taken(Message):
        """The person goes on to the next question."""

    def __init__(self, labels: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._labels = list(labels)
        self.chosen = 0

    def show(self, labels: Sequence[str], chosen: int) -> None:
        """Offer other labels, with the one at place ``chosen``."""
        self._labels, self.chosen = list(labels), chosen
        self.refresh()

    def render(self) -> Text:
        """The label between its arrows, and which of how many it is."""
        place = f"  {self.chosen + 1} of {len(self._labels)}"
        room = self.size.width - 4 - len(place)
        return Text(f"‹ {fit(self._labels[self.chosen], room).rstrip()} ›{place}", no_wrap=True)

    def action_turn(self, by: int) -> None:
        """Choose the next or the previous one, in a circle."""
        self.chosen = (self.chosen + by) % len(self._labels)
        self.refresh()
        self.post_message(self.Changed(self))

    def action_take(self) -> None:
        """Go on."""
        self.post_message(self.Taken())

    def on_click(self) -> None:
        """A click chooses the next."""
        self.action_turn(1)
