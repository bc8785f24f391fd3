"""The one input of the form: it lies over the value of the field that is being edited."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Field, check_typed
from cascade_tui.field_text import shown_value, typed_value
from cascade_tui.widgets.glyphs import GLYPHS, READY, printable
from engine.config.problems import Edit

EMPTY = "(empty)"


def choices_of(field: Field) -> tuple[Any, ...]:
    """The values that a field can take when they are few; empty when it must be typed."""
    option = field.option
    if option is None:
        return ()
    if option.kind == "boolean":
        return (False, True)
    if option.kind == "choice":
        return (None, *option.choices) if option.is_optional else option.choices
    return ()


def next_choice(field: Field) -> Any:
    """The value after the field's present one, and after the last the first."""
    choices = choices_of(field)
    position = choices.index(field.effective) if field.effective in choices else -1
    return choices[(position + 1) % len(choices)]


class FieldEditor(Vertical):
    """Edits one field in place: text is checked at each keystroke, choices are a short list.

    Hidden until :meth:`open`; posts :class:`Done` or :class:`Cancelled` and hides again. What was
    not changed is not taken: it stays as the file spells it.
    """

    BINDING_GROUP_TITLE = "Editing a field"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Leave as it was", id="editor.cancel"),
        Binding("tab", "take(1)", "Take, next field", id="editor.next"),
        Binding("shift+tab", "take(-1)", "Take, field before", show=False, id="editor.previous"),
    ]
    DEFAULT_CSS = """
    FieldEditor {
        position: absolute;
        layer: editor;
        display: none;
        height: auto;
        background: $surface-lighten-1;
        & > Input { width: 1fr; height: 1; border: none; padding: 0; }
        & > Input { background: $surface-lighten-2; }
        & > Static { width: 1fr; height: auto; max-height: 4; padding: 0 1; }
        & > OptionList { width: 1fr; height: auto; max-height: 10; border: none; padding: 0; }
        & .-wrong { color: $text-error; }
        & .-right { color: $text-success; }
    }
    """

    class Done(Message):
        """The person gave ``field`` a value (None is its default), and goes on by ``move``."""

        def __init__(self, field: Field, value: Any, move: int = 0) -> None:
            super().__init__()
            self.field, self.value, self.move = field, value, move

    class Cancelled(Message):
        """The field stays as it was; the person goes on by ``move`` fields."""

        def __init__(self, move: int = 0) -> None:
            super().__init__()
            self.move = move

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.field: Field | None = None
        self._choices: tuple[Any, ...] = ()
        self._text = ""

    def compose(self) -> ComposeResult:
        """An input with a line for what is wrong, and a list for choices."""
        text_input = Input(compact=True, select_on_focus=False)
        text_input.cursor_blink = False
        yield text_input
        yield Static(markup=False)
        yield OptionList(markup=False)

    def open(self, field: Field, region: Region, height: int) -> None:
        """Edit ``field`` over ``region``, which lies in the parent, ``height`` lines high."""
        self.field = field
        self._choices = choices_of(field)
        self.place(region, height)
        text_input, options = self.query_one(Input), self.query_one(OptionList)
        text_input.display = not self._choices
        self.query_one(Static).display = not self._choices
        options.display = bool(self._choices)
        self.display = True
        if self._choices:
            options.clear_options()
            options.add_options(
                [ListOption(shown_value(value) or EMPTY) for value in self._choices]
            )
            present = field.effective
            options.highlighted = self._choices.index(present) if present in self._choices else 0
            self.screen.set_focus(options)
            return
        text = field.value if isinstance(field.value, str) else shown_value(field.effective)
        self._text = text_input.value = printable(text)
        text_input.cursor_position = len(text)
        text_input.placeholder = "empty: the default"
        self._say(text)
        self.screen.set_focus(text_input)

    def place(self, region: Region, height: int) -> None:
        """Lie over ``region`` of the parent, choices shifted up where there is no room below."""
        y = region.y
        if y + len(self._choices) >= height:
            y = max(0, height - len(self._choices) - 1) if self._choices else y
        self.styles.offset = (region.x, y)
        self.styles.width = region.width

    def leave(self) -> Edit | None:
        """Hide because the person turned elsewhere: text that was changed counts as taken."""
        field, text = self.field, self.query_one(Input).value
        self.close()
        if field is None or self._choices or text == self._text:
            return None
        return Edit(field.key, typed_value(field.option, text))

    def close(self) -> None:
        """Hide; the caller moves the focus."""
        self.display = False
        self.field = None

    @on(Input.Changed)
    def _check(self, event: Input.Changed) -> None:
        event.stop()
        self._say(event.value)

    def _say(self, text: str) -> None:
        if self.field is None:
            return
        problem = check_typed(self.field, text)
        message = self.query_one(Static)
        if problem is None:
            message.update(f"{READY} enter: take  esc: leave")
        else:
            message.update(f"{GLYPHS[problem.severity]} {problem.message}")
        message.set_class(problem is not None, "-wrong")
        message.set_class(problem is None, "-right")

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_take(0)

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        field = self.field
        self.close()
        if field is not None:
            self.post_message(self.Done(field, self._choices[event.option_index]))

    def action_take(self, move: int) -> None:
        """Take the text if it was changed, and go on by ``move`` fields."""
        field, edit = self.field, self.leave()
        if field is None or edit is None:
            self.post_message(self.Cancelled(move))
        else:
            self.post_message(self.Done(field, edit.value, move))

    def action_cancel(self) -> None:
        """Leave the field as it was."""
        self.close()
        self.post_message(self.Cancelled())
