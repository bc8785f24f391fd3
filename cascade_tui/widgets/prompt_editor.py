"""The name and the text of one prompt, edited below the list of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Input, Static, TextArea

from cascade_tui.draft_prompts import Prompt
from cascade_tui.widgets.glyphs import GLYPHS, READY, from_printable, printable
from engine.config.prompts import picture_stem

_NO_WORDS = "it has no words yet"


class PromptEditor(Vertical):
    """Hidden until :meth:`open`; posts :class:`Taken` or :class:`Left`, and stays until hidden."""

    BINDING_GROUP_TITLE = "Editing a prompt"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Take", priority=True, id="prompt.take"),
        Binding("ctrl+j", "new_line", "New line", priority=True, id="prompt.new_line"),
        Binding("tab", "turn", "Name or text", priority=True, id="prompt.turn"),
        Binding("shift+tab", "turn", "Text or name", show=False, priority=True, id="prompt.back"),
        Binding("escape", "leave", "Leave as it was", priority=True, id="prompt.leave"),
    ]
    DEFAULT_CSS = """
    PromptEditor {
        display: none; height: auto; max-height: 60%; padding: 0 1;
        border-top: solid $primary; background: $surface; border-title-color: $foreground;
        & > Horizontal { height: auto; }
        & .label { width: 8; height: 1; color: $foreground 60%; }
        & Input { width: 1fr; height: 1; border: none; padding: 0; background: $panel; }
        & TextArea { width: 1fr; height: auto; min-height: 3; max-height: 10; border: none;
                     padding: 0; background: $panel; scrollbar-size-vertical: 1; }
        & TextArea:focus { border: none; }
        & #says { height: auto; max-height: 2; padding-left: 8; }
        & .-wrong { color: $text-error; }
        & .-right { color: $text-success; }
    }
    """

    class Taken(Message):
        """The person wants ``prompt`` (None is a new one) to have this name and text."""

        def __init__(self, prompt: Prompt | None, name: str, text: str) -> None:
            super().__init__()
            self.prompt, self.name, self.text = prompt, name, text

    class Left(Message):
        """The prompt stays as it was."""

    def __init__(self) -> None:
        super().__init__()
        self._prompt: Prompt | None = None
        self._taken: tuple[str, ...] = ()
        self._fault = ""

    def compose(self) -> ComposeResult:
        """A line for the name, lines for the text, what is wrong."""
        name = Input(compact=True, select_on_focus=False)
        name.cursor_blink = False
        text = TextArea(soft_wrap=True, tab_behavior="focus", compact=True)
        text.highlight_cursor_line = text.cursor_blink = False
        yield Horizontal(Static("Name", classes="label"), name)
        yield Horizontal(Static("Prompt", classes="label"), text)
        yield Static(id="says", markup=False)

    def open(
        self,
        prompt: Prompt | None,
        taken: Sequence[str],
        title: str,
        *,
        focus: Literal["name", "text"],
    ) -> None:
        """Edit a prompt, None is a new one; ``taken`` are the names that it cannot have."""
        self._prompt, self._taken = prompt, tuple(taken)
        self.border_title = printable(title).replace("[", r"\[")
        name, text = self.query_one(Input), self.query_one(TextArea)
        name.value = printable(prompt.name) if prompt else ""
        name.placeholder = "" if prompt else "empty: of the prompt's first words"
        name.cursor_position = len(name.value)
        text.load_text(printable(prompt.text, keep_lines=True) if prompt else "")
        text.move_cursor(text.document.end)
        self.display = True
        self._check()
        self.screen.set_focus(name if focus == "name" else text)

    @on(Input.Changed)
    @on(TextArea.Changed)
    def _check(self) -> None:
        """Say what is wrong with it, or what its pictures will be called."""
        name, text = self._typed()
        stems = {picture_stem(other): other for other in self._taken}
        is_renamed = self._prompt is None or name != self._prompt.name
        self._fault = ""
        if name in self._taken:
            self._fault = f"there is a prompt {name} already"
        elif name and is_renamed and picture_stem(name) in stems:
            other = stems[picture_stem(name)]
            self._fault = f"{name} and {other} would be drawn into the same file"
        elif not name and self._prompt is not None:
            self._fault = "a prompt needs a name"
        elif not text.strip():
            self._fault = _NO_WORDS
        says = self.query_one("#says", Static)
        drawn = (
            f"its pictures are {picture_stem(name)}-<seed>.png"
            if name
            else "its name is made of its words"
        )
        sign = GLYPHS["hint" if self._fault == _NO_WORDS else "error"] if self._fault else READY
        says.update(printable(f"{sign} {self._fault or drawn}"))
        says.set_class(self._fault not in ("", _NO_WORDS), "-wrong")
        says.set_class(not self._fault, "-right")

    def _typed(self) -> tuple[str, str]:
        name = from_printable(self.query_one(Input).value).strip()
        return name, from_printable(self.query_one(TextArea).text).strip()

    def action_take(self) -> None:
        """Take what is typed, unless something is wrong with it."""
        name, text = self._typed()
        if self._fault:
            self.app.bell()
        elif self._prompt is not None and (name, text) == (self._prompt.name, self._prompt.text):
            self.post_message(self.Left())
        else:
            self.post_message(self.Taken(self._prompt, name, text))

    def settle(self) -> None:
        """The person turned elsewhere: what is typed counts as taken, if nothing is wrong."""
        if self._fault:
            self.post_message(self.Left())
        else:
            self.action_take()

    def action_new_line(self) -> None:
        """Begin a new line of the text."""
        text = self.query_one(TextArea)
        if text.has_focus:
            text.insert("\n")

    def action_turn(self) -> None:
        """From the name to the text, and back."""
        name, text = self.query_one(Input), self.query_one(TextArea)
        self.screen.set_focus(text if name.has_focus else name)

    def action_leave(self) -> None:
        """Leave the prompt as it was."""
        self.post_message(self.Left())
