"""A question before something that cannot be undone."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from cascade_tui.widgets.shown_keys import shown_key


class Confirm(ModalScreen[bool]):
    """Asks; ``y`` or the button says yes, ``n`` or escape no. The focus is on no."""

    BINDING_GROUP_TITLE = "Before something that cannot be undone"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="confirm.yes"),
        Binding("n,escape", "answer(False)", "No", id="confirm.no"),
        Binding("left", "app.focus_previous", "Previous", show=False, id="confirm.previous"),
        Binding("right", "app.focus_next", "Next", show=False, id="confirm.next"),
    ]
    DEFAULT_CSS = """
    Confirm {
        align: center middle;
        & > Vertical {
            width: 64; max-width: 95%; height: auto; max-height: 90%;
            border: round $warning; background: $surface; padding: 1 2;
        }
        & Static { width: 1fr; height: auto; margin-bottom: 1; }
        & Horizontal { height: 1; }
        & Button { margin-right: 2; }
    }
    """
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, yes: str) -> None:
        """``yes`` says in a few words what will happen."""
        super().__init__()
        self._question, self._yes = question, yes

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical():
            yield Static(self._question, markup=False)
            with Horizontal():
                yield Button(f"{shown_key('confirm.yes', 'y')} {self._yes}", id="yes", compact=True)
                yield Button(f"{shown_key('confirm.no', 'n')} go back", id="no", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Close with this answer."""
        self.dismiss(answer)


class ConfirmFetch(Confirm):
    """Asks before a large download. It can be broken off, so the focus is on yes."""

    BINDING_GROUP_TITLE = "Before a download"
    AUTO_FOCUS = "#yes"
