"""Questions about the form's files: changed by someone else, not saved, not launchable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.widgets.glyphs import GLYPHS, printable
from engine.config.problems import Problem

Answer = Literal["overwrite", "reload", "save", "discard", "cancel"]


class Question(ModalScreen[Answer]):
    """A question with a few answers, each with a key and a button."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "answer('cancel')", "Cancel", id="question.cancel"),
        Binding("left", "app.focus_previous", "Previous", show=False, id="question.previous"),
        Binding("right", "app.focus_next", "Next", show=False, id="question.next"),
    ]
    DEFAULT_CSS = """
    Question {
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
    ANSWERS: ClassVar[tuple[tuple[str, Answer, str], ...]] = ()

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question
        for key, answer, label in self.ANSWERS:
            self._bindings.bind(key, f"answer('{answer}')", label)

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical():
            yield Static(printable(self._question, keep_lines=True), markup=False)
            with Horizontal():
                for key, answer, label in self.ANSWERS:
                    yield Button(f"{key} {label}", id=answer, compact=True)
                yield Button("esc cancel", id="cancel", compact=True)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id or "cancel")

    def action_answer(self, answer: str) -> None:
        """Close with this answer."""
        known: dict[str, Answer] = {name: name for _, name, _ in self.ANSWERS}
        self.dismiss(known.get(answer, "cancel"))


class ChangedUnderneath(Question):
    """A file was changed by someone else since it was read: whose text counts?"""

    ANSWERS = (("o", "overwrite", "overwrite it"), ("r", "reload", "reload, lose my edits"))

    def __init__(self, paths: Sequence[Path]) -> None:
        names = ", ".join(str(path) for path in paths)
        super().__init__(f"Changed by someone else since it was opened:\n{names}")


class UnsavedEdits(Question):
    """The person leaves while there are unsaved edits."""

    ANSWERS = (("w", "save", "save"), ("d", "discard", "discard"))

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has edits that are not saved.")


class LaunchRefused(ModalScreen[str | None]):
    """The errors that keep a run from starting; choosing one goes to its field."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Back", id="refused.back"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="refused.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="refused.up"),
    ]
    DEFAULT_CSS = """
    LaunchRefused {
        align: center middle;
        & > Vertical {
            width: 90; max-width: 95%; height: auto; max-height: 90%;
            border: round $error; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & OptionList { height: auto; max-height: 16; border: none; background: $surface; }
    }
    """

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__()
        self._errors = tuple(errors)

    def compose(self) -> ComposeResult:
        """The list of errors."""
        number = len(self._errors)
        with Vertical():
            yield Static(
                f"Not launched: {number} error{'' if number == 1 else 's'}. "
                "Enter goes to the field, esc goes back.",
                markup=False,
            )
            yield OptionList(
                *(
                    ListOption(printable(f"{GLYPHS['error']} {e.key or 'file'}: {e.message}"))
                    for e in self._errors
                ),
                markup=False,
            )

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._errors[event.option_index].key)

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_cancel(self) -> None:
        """Back to the form."""
        self.dismiss(None)
