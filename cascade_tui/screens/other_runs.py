"""Choose runs that lie beside one, to compare with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import SelectionList, Static
from textual.widgets._toggle_button import ToggleButton
from textual.widgets.selection_list import Selection

from cascade_tui.widgets.glyphs import READY, shown_path
from cascade_tui.widgets.shown_keys import shown_key
from engine.run.paths import RunDirectory, find_runs

_DEPTH = 2
_BUTTON_PARTS = 3


class TickedRuns(SelectionList[RunDirectory]):
    """Runs to tick: what is ticked has a sign of its own, not only a colour."""

    def render_line(self, y: int) -> Strip:
        """Textual draws the same X in both."""
        strip = super().render_line(y)
        index = self.scroll_offset.y + y
        if index >= self.option_count:
            return strip
        is_ticked = self.get_option_at_index(index).value in self.selected
        sign = READY if is_ticked else " "
        inner = ToggleButton.BUTTON_INNER
        return Strip(
            Segment(sign, part.style) if number < _BUTTON_PARTS and part.text == inner else part
            for number, part in enumerate(strip)
        )


class OtherRuns(ModalScreen[Sequence[RunDirectory] | None]):
    """Ends with the runs that were ticked, or None."""

    BINDING_GROUP_TITLE = "Other runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Show them", priority=True, id="others.take"),
        Binding("escape,q", "dismiss(None)", "Cancel", id="others.cancel"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="others.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="others.up"),
    ]
    DEFAULT_CSS = """
    OtherRuns {
        align: center middle;
        & > Vertical {
            width: 70; max-width: 100%; height: auto; max-height: 80%;
            border: round $primary; background: $surface; padding: 0 1;
        }
        & SelectionList { height: auto; max-height: 16; border: none; padding: 0; }
        & Static { height: auto; }
    }
    """

    class Found(Message):
        """The runs that there are."""

        def __init__(self, runs: Sequence[RunDirectory]) -> None:
            super().__init__()
            self.runs = runs

    def __init__(self, run: RunDirectory, most: int) -> None:
        super().__init__()
        self._run = run
        self._most = most

    def compose(self) -> ComposeResult:
        """What to do, and the runs."""
        with Vertical():
            shows = f"{shown_key('others.take', 'enter')} shows them"
            yield Static(f"space ticks up to {self._most} runs, {shows}", id="told")
            yield TickedRuns()

    def on_mount(self) -> None:
        """Look for runs in a thread: a network mount may be slow."""
        self.query_one(SelectionList).focus()
        self.run_worker(self._look, thread=True)

    def _look(self) -> None:
        root = self._run.root.absolute()
        found = find_runs(root.parent, max_depth=_DEPTH)
        others = [run for run in found if run.root.absolute() != root]
        self.post_message(self.Found(others))

    def on_other_runs_found(self, message: Found) -> None:
        """Show them."""
        parent = self._run.root.absolute().parent
        choices = self.query_one(SelectionList)
        for run in message.runs:
            name = Text(os.path.relpath(run.root.absolute(), parent))
            choices.add_option(Selection(name, run))
        choices.highlighted = 0 if message.runs else None
        if not message.runs:
            self.query_one("#told", Static).update(f"no other run lies below {shown_path(parent)}")

    def action_list(self, action: str) -> None:
        """Move in the list."""
        getattr(self.query_one(SelectionList), f"action_{action}")()

    def action_take(self) -> None:
        """End with what is ticked."""
        chosen: list[RunDirectory] = self.query_one(SelectionList).selected
        if len(chosen) > self._most:
            self.notify(f"at most {self._most} runs fit into a chart", severity="warning")
            return
        self.dismiss(chosen)
