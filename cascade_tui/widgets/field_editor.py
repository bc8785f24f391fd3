"""The one editor of the form: it lies over the value of the field that is being edited."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.message import Message
from textual.widgets import Input, OptionList, Static, TextArea
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Field, check_typed
from cascade_tui.field_help import (
    completed,
    names_a_path,
    parts_of,
    stepped,
    suggest_paths,
    suggest_sizes,
)
from cascade_tui.field_text import shown_value, typed_value
from cascade_tui.widgets.entries_text import EntriesText
from cascade_tui.widgets.glyphs import GLYPHS, READY, from_printable, printable
from cascade_tui.widgets.problem_detail import describe_range
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.options import Option
from engine.config.problems import Edit

EMPTY = "(empty)"
Mode = Literal["text", "choice", "several", "entries"]


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


def mode_of(field: Field) -> Mode:
    """How a field is edited: typed, chosen, several of a few ticked, or an entry a line."""
    if choices_of(field):
        return "choice"
    if field.option is not None and field.option.kind == "list":
        return "several" if field.option.choices else "entries"
    return "text"


class FieldEditor(Vertical):
    """Edits one field in place, each kind in its own way; what is typed is checked at each key.

    Hidden until :meth:`open`; posts :class:`Done` or :class:`Cancelled` and hides again. What was
    not changed is not taken: it stays as the file spells it.
    """

    BINDING_GROUP_TITLE = "Editing a field"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Leave as it was", id="editor.cancel"),
        Binding("tab", "complete", "Complete, or take and next", id="editor.next"),
        Binding("shift+tab", "take(-1)", "Take, field before", show=False, id="editor.previous"),
        Binding("up", "move(-1)", "Suggestion before, number up", show=False, id="editor.up"),
        Binding("down", "move(1)", "Next suggestion, number down", show=False, id="editor.down"),
        Binding("pageup", "move(-10)", "Ten up", show=False, id="editor.page_up"),
        Binding("pagedown", "move(10)", "Ten down", show=False, id="editor.page_down"),
        Binding("space", "tick", "Tick or untick", show=False, id="editor.tick"),
    ]
    DEFAULT_CSS = """
    FieldEditor {
        position: absolute;
        layer: editor;
        display: none;
        height: auto;
        background: $panel;
        & > Horizontal { width: 1fr; height: 1; }
        & Input { width: 1fr; height: 1; border: none; padding: 0; }
        & Input { background: $panel; }
        & #unit { width: auto; height: 1; padding: 0 1; background: $panel;
                  color: $foreground 60%; }
        & #message { width: 1fr; height: auto; max-height: 4; padding: 0 1; }
        & > OptionList { width: 1fr; height: auto; max-height: 10; border: none; padding: 0; }
        &.-suggesting > OptionList { max-height: 6; scrollbar-size-vertical: 1; }
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

    class Suggested(Message):
        """What ``text`` can be completed to."""

        def __init__(self, text: str, suggestions: list[str]) -> None:
            super().__init__()
            self.text, self.suggestions = text, suggestions

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.field: Field | None = None
        self._mode: Mode = "text"
        self._choices: tuple[Any, ...] = ()
        self._ticked: set[str] = set()
        self._text = ""
        self._filled = ""
        self._words = ""
        self.suggestions: list[str] = []

    def compose(self) -> ComposeResult:
        """An input with its unit, lines for a list, what is wrong, and choices or suggestions."""
        with Horizontal():
            text_input = Input(compact=True, select_on_focus=False)
            text_input.cursor_blink = False
            yield text_input
            yield Static(id="unit", markup=False)
        yield EntriesText()
        yield Static(id="message", markup=False)
        yield OptionList(markup=False)

    # -- opening and closing -------------------------------------------------------------------

    def open(self, field: Field, region: Region, height: int) -> None:
        """Edit ``field`` over ``region``, which lies in the parent, ``height`` lines high."""
        self.field, self._mode = field, mode_of(field)
        self._choices, self.suggestions, self._filled = choices_of(field), [], ""
        if self._mode == "several" and field.option is not None:
            self._choices = field.option.choices
        self.place(region, height)
        self.query_one(Horizontal).display = self._mode == "text"
        self.query_one(EntriesText).display = self._mode == "entries"
        self.query_one("#message").display = self._mode != "choice"
        self.query_one(OptionList).display = bool(self._choices)
        self.remove_class("-suggesting")
        self.display = True
        if self._mode == "text":
            self._open_text(field)
        elif self._mode == "entries":
            self._open_entries(field)
        else:
            self._open_choices(field)

    def _open_text(self, field: Field) -> None:
        text_input = self.query_one(Input)
        text = field.value if isinstance(field.value, str) else shown_value(field.effective)
        self._text = text_input.value = printable(text)
        text_input.cursor_position = len(text)
        text_input.placeholder = "empty: the default"
        unit = self.query_one("#unit", Static)
        unit.display = bool(field.option and field.option.unit)
        unit.update(field.option.unit if field.option else "")
        self._say(text)
        self._suggest(self._text)
        self.screen.set_focus(text_input)

    def _open_entries(self, field: Field) -> None:
        entries = self.query_one(EntriesText)
        self._text = printable("\n".join(parts_of(field.effective)), keep_lines=True)
        entries.load_text(self._text)
        entries.move_cursor(entries.document.end)
        self._say(self._text + "\n")
        self.screen.set_focus(entries)

    def _open_choices(self, field: Field) -> None:
        options = self.query_one(OptionList)
        present = field.effective
        self._ticked = set(parts_of(present)) if self._mode == "several" else set()
        self._text = ",".join(self._ticked_in_order())
        options.clear_options()
        options.add_options([ListOption(self._choice_line(value)) for value in self._choices])
        options.highlighted = self._choices.index(present) if present in self._choices else 0
        tick, leave = shown_key("editor.tick", "space"), shown_key("editor.cancel", "escape")
        self._say_on(f"{tick}: on or off  enter: take  {leave}: leave", is_wrong=False)
        self.screen.set_focus(options)

    def place(self, region: Region, height: int) -> None:
        """Lie over ``region`` of the parent, choices shifted up where there is no room below."""
        num_lines = len(self._choices) + (self._mode == "several")
        y = region.y
        if num_lines and y + num_lines >= height:
            y = max(0, height - num_lines - 1)
        self.styles.offset = (region.x, y)
        self.styles.width = region.width

    def leave(self) -> Edit | None:
        """Hide because the person turned elsewhere: what was changed counts as taken."""
        field, mode = self.field, self._mode
        self.close()
        if field is None or mode == "choice":
            return None
        if mode == "several":
            ticked = self._ticked_in_order()
            return Edit(field.key, ticked or None) if ",".join(ticked) != self._text else None
        text = self.query_one(Input).value
        if mode == "entries":
            text = self.query_one(EntriesText).text
        if text == self._text:
            return None
        return Edit(field.key, typed_value(field.option, text + "\n" * (mode == "entries")))

    def close(self) -> None:
        """Hide; the caller moves the focus."""
        self.display = False
        self.field = None

    # -- what is typed -------------------------------------------------------------------------

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._say(event.value)
        if event.value != self._filled:
            self._suggest(event.value)

    @on(TextArea.Changed)
    def _entries_typed(self, event: TextArea.Changed) -> None:
        event.stop()
        self._say(event.text_area.text + "\n")

    def _say(self, text: str) -> None:
        if self.field is None:
            return
        problem = check_typed(self.field, text)
        if problem is not None:
            self._say_on(f"{GLYPHS[problem.severity]} {problem.message}", is_wrong=True)
            return
        leave = shown_key("editor.cancel", "escape")
        keys = f"enter: take  {leave}: leave"
        if self._mode == "entries":
            keys = f"one a line  {shown_key('editor.next', 'tab')}: take  {leave}: leave"
        option = self.field.option
        limits = describe_range(option) if option is not None else ""
        self._say_on(f"{READY} {limits + '  ' if limits else ''}{keys}", is_wrong=False)

    def _say_on(self, words: str, *, is_wrong: bool) -> None:
        message = self.query_one("#message", Static)
        if words != self._words:
            self._words = words
            message.update(words)
        message.set_class(is_wrong, "-wrong")
        message.set_class(not is_wrong, "-right")

    # -- suggestions ---------------------------------------------------------------------------

    def _suggest(self, text: str) -> None:
        option = self.field.option if self.field is not None else None
        if option is not None and names_a_path(option):
            search = partial(self._look_for_paths, from_printable(text), text, option)
            self.run_worker(search, thread=True, group="suggest", exclusive=True)
        elif option is not None and option.kind == "resolution":
            self._show_suggestions(suggest_sizes(text))
        else:
            self._show_suggestions([])

    def _look_for_paths(self, path: str, text: str, option: Option) -> None:
        found = [printable(name) for name in suggest_paths(path, option)]
        self.post_message(self.Suggested(text, found))

    @on(Suggested)
    def _suggested(self, event: Suggested) -> None:
        event.stop()
        if self.field is not None and self.query_one(Input).value == event.text:
            self._show_suggestions(event.suggestions)

    def _show_suggestions(self, found: list[str]) -> None:
        if self._mode != "text":
            return
        text = self.query_one(Input).value
        found = [] if found == [text] else found
        if not found and not self.suggestions:
            return
        self.suggestions = found
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([ListOption(text) for text in self.suggestions])
        options.highlighted = found.index(text) if text in self.suggestions else None
        options.display = bool(self.suggestions)
        self.set_class(bool(self.suggestions), "-suggesting")

    def _fill(self, text: str) -> None:
        """Put a text into the input as if it was typed, keeping the suggestions."""
        text_input = self.query_one(Input)
        self._filled = text_input.value = text
        text_input.cursor_position = len(text)

    def action_move(self, by: int) -> None:
        """Go through the suggestions, or without any to another number."""
        field, options = self.field, self.query_one(OptionList)
        if field is None or self._mode != "text":
            return
        if self.suggestions:
            place = -1 if options.highlighted is None else options.highlighted
            if place < 0 and by < 0:
                return
            options.highlighted = max(0, min(place + by, len(self.suggestions) - 1))
            self._fill(self.suggestions[options.highlighted])
        elif field.option is not None and field.option.kind in ("integer", "number"):
            self._fill(stepped(field.option, self.query_one(Input).value, -by))

    def action_complete(self) -> None:
        """Complete the path as far as there is one way; else take it, and go to the next field."""
        text = self.query_one(Input).value
        longer = completed(text, self.suggestions)
        if self._mode == "text" and longer != text and text and not text.endswith("/"):
            self._filled = ""
            self.query_one(Input).value = longer
            self.query_one(Input).cursor_position = len(longer)
        else:
            self.action_take(1)

    # -- choices -------------------------------------------------------------------------------

    def _choice_line(self, value: Any) -> str:
        if self._mode == "several":
            return f"[{'x' if value in self._ticked else ' '}] {value}"
        return shown_value(value) or EMPTY

    def _ticked_in_order(self) -> list[str]:
        return [value for value in self._choices if value in self._ticked]

    def action_tick(self) -> None:
        """Tick or untick the highlighted choice; `none` stands alone."""
        options = self.query_one(OptionList)
        if self._mode != "several" or options.highlighted is None:
            return
        value = self._choices[options.highlighted]
        self._ticked ^= {value}
        if value in self._ticked:
            self._ticked &= {value} if value == "none" else set(self._choices) - {"none"}
        for index, choice in enumerate(self._choices):
            options.replace_option_prompt_at_index(index, self._choice_line(choice))

    @on(OptionList.OptionSelected)
    def _choose(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if self._mode == "text":  # a click on a suggestion
            self._filled = ""
            self.query_one(Input).value = self.suggestions[event.option_index]
            self.screen.set_focus(self.query_one(Input))
            return
        if self._mode == "several":
            self.action_take(0)
            return
        field = self.field
        self.close()
        if field is not None:
            self.post_message(self.Done(field, self._choices[event.option_index]))

    # -- taking --------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_take(0)

    @on(EntriesText.Finished)
    def _entries_finished(self, event: EntriesText.Finished) -> None:
        event.stop()
        self.action_take(0)

    def action_take(self, move: int) -> None:
        """Take what was changed, and go on by ``move`` fields."""
        field, edit = self.field, self.leave()
        if field is None or edit is None:
            self.post_message(self.Cancelled(move))
        else:
            self.post_message(self.Done(field, edit.value, move))

    def action_cancel(self) -> None:
        """Leave the field as it was."""
        self.close()
        self.post_message(self.Cancelled())
