"""Questions about the form's files: changed by someone else, malformed, not saved."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from cascade_tui.draft import Draft
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.documents import format_of

if TYPE_CHECKING:
    from cascade_tui.screens.configure import ConfigureScreen

Answer = Literal["overwrite", "reload", "save", "discard", "cancel"]


def _answer(key: str, answer: Answer, label: str, id: str) -> Binding:
    return Binding(key, f"answer('{answer}')", label, id=id)


class Question(ModalScreen[Answer]):
    """A question with a few answers, each with a key and a button."""

    BINDING_GROUP_TITLE = "Question"
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
    ANSWERS: ClassVar[tuple[Answer, ...]] = ()
    """Each has a binding of its own."""

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question above its answers."""
        with Vertical():
            yield Static(printable(self._question, keep_lines=True), markup=False)
            yield from self.compose_more()
            with Horizontal():
                for binding in Binding.make_bindings(self.BINDINGS):
                    answer = binding.action.removeprefix("answer('").removesuffix("')")
                    if answer in self.ANSWERS:
                        key = shown_key(binding.id or "", binding.key)
                        label = f"{key} {binding.description}"
                        yield Button(label, id=answer, compact=True)
                cancel = shown_key("question.cancel", "escape")
                yield Button(f"{cancel} cancel", id="cancel", compact=True)

    def compose_more(self) -> ComposeResult:
        """What stands between the question and its answers."""
        yield from ()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.action_answer(event.button.id or "cancel")

    def action_answer(self, answer: str) -> None:
        """Close with this answer."""
        known: dict[str, Answer] = {name: name for name in self.ANSWERS}
        self.dismiss(known.get(answer, "cancel"))


class ChangedUnderneath(Question):
    """A file was changed by someone else since it was read: whose text counts?

    Shows line by line what would be overwritten.
    """

    ANSWERS = ("overwrite", "reload")
    AUTO_FOCUS = "#cancel"
    BINDING_GROUP_TITLE = "Changed by someone else"
    BINDINGS: ClassVar[list[BindingType]] = [
        _answer("o", "overwrite", "overwrite it", "underneath.overwrite"),
        _answer("r", "reload", "reload, lose my edits", "underneath.reload"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="underneath.down"),
        Binding("up,k", "scroll(-1)", "Up", show=False, id="underneath.up"),
        Binding("pagedown", "scroll(10)", "Page down", show=False, id="underneath.page_down"),
        Binding("pageup", "scroll(-10)", "Page up", show=False, id="underneath.page_up"),
    ]
    DEFAULT_CSS = """
    ChangedUnderneath {
        & > Vertical { width: 100; }
        & VerticalScroll { height: auto; max-height: 16; margin-bottom: 1;
                           scrollbar-size-vertical: 1; }
        & #diff { margin-bottom: 0; }
    }
    """

    class Compared(Message):
        """What differs between the files and the edited texts."""

        def __init__(self, lines: Sequence[str]) -> None:
            super().__init__()
            self.lines = tuple(lines)

    def __init__(self, paths: Sequence[Path], draft: Draft) -> None:
        names = ", ".join(str(path) for path in paths)
        super().__init__(f"Changed by someone else since it was opened:\n{names}")
        self._texts = {file.path: file.text() for file in draft.files if file.path in paths}

    def compose_more(self) -> ComposeResult:
        """The lines that differ."""
        with VerticalScroll(can_focus=False):
            yield Static("comparing …", id="diff", markup=False)

    def on_mount(self) -> None:
        """Read the files in a thread."""
        self.run_worker(self._compare, thread=True)

    def _compare(self) -> None:
        lines = [line for path, ours in self._texts.items() for line in diff_lines(path, ours)]
        self.post_message(self.Compared(lines))

    @on(Compared)
    def _compared(self, event: Compared) -> None:
        event.stop()
        text = Text("- on disk, + yours", "bold")
        variables = self.app.theme_variables
        for line in event.lines:
            name = {"-": "text-error", "+": "text-success"}.get(line[:1], "")
            colour = variables.get(name, "")
            text.append("\n" + printable(line), colour if colour.startswith("#") else "not bold")
        self.query_one("#diff", Static).update(text)

    def action_scroll(self, by: int) -> None:
        """Move the lines that differ."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def diff_lines(path: Path, ours: str) -> list[str]:
    """The lines by which a file on disk and an edited text differ, each with one line around it.

    What stands only on disk begins with ``-``, what stands only in the text with ``+``.
    """
    try:
        theirs = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as failure:
        return [f"  {path} cannot be read: {failure.strerror or failure}"]
    lines = difflib.unified_diff(theirs.splitlines(), ours.splitlines(), n=1, lineterm="")
    return [line for line in lines if not line.startswith(("---", "+++", "@@"))]


class MalformedText(Question):
    """The edited text cannot be read, so that the form cannot show it."""

    ANSWERS = ("discard",)
    AUTO_FOCUS = "#cancel"
    BINDING_GROUP_TITLE = "Text that cannot be read"
    BINDINGS: ClassVar[list[BindingType]] = [
        _answer("d", "discard", "discard my edits of it", "malformed.discard"),
    ]

    def __init__(self, path: Path) -> None:
        language, cancel = format_of(path).upper(), shown_key("question.cancel", "escape")
        super().__init__(
            f"The text of {path} is not valid {language}, so the form cannot show it.\n"
            f"{cancel} goes on editing, at the place where it breaks."
        )


class UnsavedEdits(Question):
    """The person leaves while there are unsaved edits."""

    ANSWERS = ("save", "discard")
    BINDING_GROUP_TITLE = "Edits not saved"
    BINDINGS: ClassVar[list[BindingType]] = [
        _answer("w", "save", "save", "unsaved.save"),
        _answer("d", "discard", "discard", "unsaved.discard"),
    ]

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} has edits that are not saved.")


def ask_about_edits(form: ConfigureScreen, act: Callable[[], None]) -> None:
    """Ask about the form's edits, and act once they are saved or given up."""

    def answered(answer: Answer | None) -> None:
        if answer == "save" and form.draft.changed_on_disk():
            form.action_save()
        elif answer == "discard" or (answer == "save" and form.save()):
            act()

    form.app.push_screen(UnsavedEdits(form.draft.document.path), answered)
