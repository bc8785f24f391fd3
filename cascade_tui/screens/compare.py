"""The draft beside the file on disk, the defaults, a preset or a run, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Draft
from cascade_tui.draft_diff import (
    NotComparableError,
    Source,
    Values,
    compare,
    edit_to_take,
    read_source,
    values_of_draft,
    why_not_taken,
)
from cascade_tui.field_text import shown_value
from cascade_tui.screens.choose_source import ChooseSource
from cascade_tui.widgets.glyphs import GLYPHS, READY, fit, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.comparison import ABSENT, Difference
from engine.config.documents import DocumentError
from engine.config.fields import OPTIONS
from engine.config.presets import PRESETS

_GAP = 2
"""Blank cells between columns."""


class CompareScreen(ModalScreen[str | None]):
    """Each value that differs: key, theirs, ours; theirs can be taken. Ends with a key to go to."""

    BINDING_GROUP_TITLE = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "go_to_field", "To field", id="compare.field", priority=True),
        Binding("a", "take", "Take theirs", id="compare.take"),
        Binding("A", "take_all", "Take all", id="compare.take_all"),
        Binding("u", "undo", "Undo", id="compare.undo"),
        Binding("U,ctrl+r", "redo", "Redo", show=False, id="compare.redo"),
        Binding("o", "choose", "With another", id="compare.choose"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="compare.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="compare.up"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="compare.help"),
        Binding("escape,d,q", "back", "Back", key_display="esc", id="compare.back"),
    ]
    DEFAULT_CSS = """
    CompareScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & #columns { height: 1; padding: 0 1; color: $text-primary; text-style: bold; }
        & OptionList { height: 1fr; background: $background;
                     scrollbar-size-vertical: 1; }
        & OptionList:focus { background-tint: $background 0%; }
        & OptionList > .option-list--option { padding: 0 1; }
        & #none { height: auto; padding: 1 2; display: none; }
        & #detail { height: auto; min-height: 5; max-height: 8; padding: 0 1;
                    border-top: solid $foreground 40%; }
    }
    """

    class Read(Message):
        """What the draft is compared with was read; ``values`` is None if it could not be."""

        def __init__(self, source: Source, values: Values | None, reason: str = "") -> None:
            super().__init__()
            self.source, self.values, self.reason = source, values, reason

    def __init__(self, draft: Draft, source: Source, root: Path) -> None:
        """Begin with ``source``; runs to compare with are looked for below ``root``."""
        super().__init__()
        self.draft, self.source, self._root = draft, source, root
        self._theirs: Values | None = None
        self._ours = values_of_draft(draft)
        self.differences: tuple[Difference, ...] = ()
        self._failure = ""

    # -- layout --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, the columns' names, the lines, the highlighted one in full, the keys."""
        yield Static(id="title", markup=False)
        yield Static(id="columns", markup=False)
        yield Static(id="none", markup=False)
        yield OptionList(markup=False)
        yield Static(id="detail", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the other side in a thread."""
        self.query_one(OptionList).focus()
        self._read()

    def _read(self) -> None:
        self._theirs, self._failure = None, ""
        self._show()
        source, draft = self.source, self.draft.copy()
        self.run_worker(
            lambda: self._read_in_thread(source, draft), thread=True, group="read", exclusive=True
        )

    def _read_in_thread(self, source: Source, draft: Draft) -> None:
        try:
            values = read_source(source, draft)
        except NotComparableError as failure:
            self.post_message(self.Read(source, None, str(failure)))
        except DocumentError as failure:
            self.post_message(self.Read(source, None, str(failure)))
        except OSError as failure:
            reason = f"{failure.filename or source.name}: {failure.strerror or failure}"
            self.post_message(self.Read(source, None, reason))
        else:
            self.post_message(self.Read(source, values))

    @on(Read)
    def _was_read(self, event: Read) -> None:
        event.stop()
        if event.source is self.source:
            self._theirs, self._failure = event.values, event.reason
            self._show()

    @property
    def is_read(self) -> bool:
        """Whether the differences are those with the present source."""
        return self._theirs is not None

    # -- showing -------------------------------------------------------------------------------

    def on_resize(self) -> None:
        """The columns follow the width."""
        self._show()

    def _show(self) -> None:
        lines, none = self.query_one(OptionList), self.query_one("#none", Static)
        place = lines.highlighted or 0
        theirs = self._theirs
        self.differences = compare(self.source, theirs, self._ours) if theirs else ()
        none.display = not self.differences
        none.update(printable(self._why_empty(), keep_lines=True))
        number = len(self.differences)
        counted = f"{number} value{'' if number == 1 else 's'} differ{'s' if number == 1 else ''}"
        title = f"Compare  {self.draft.document.path}  ·  with {self.source.name}"
        if theirs is not None:
            title += f"  ·  {counted}"
        self.query_one("#title", Static).update(printable(title))
        heading = _row(("", "theirs", "ours"), self._widths) if self.differences else ""
        self.query_one("#columns", Static).update(heading)
        lines.clear_options()
        lines.add_options([ListOption(self._line(found)) for found in self.differences])
        lines.highlighted = min(place, number - 1) if number else None
        self._show_detail()

    def _why_empty(self) -> str:
        others = f"{shown_key('compare.choose', 'o')} compares with something else"
        if self._failure:
            return f"{GLYPHS['error']} {self._failure}\n\n{others}"
        if self._theirs is None:
            return "reading …"
        return f"{READY} every value is the same\n\n{others}"

    @property
    def _widths(self) -> tuple[int, int, int]:
        """Cells of key, theirs and ours: as wide as they need to be, as far as there is room."""
        room = max(30, self.size.width - 4)
        keys = max((len(found.key) for found in self.differences), default=0)
        told = max((len(self._told(found, "theirs")) for found in self.differences), default=0)
        key = max(12, min(keys, room * 45 // 100))
        theirs = max(12, min(told, (room - key - 2 * _GAP) // 2))
        return key, theirs, room - key - theirs - 2 * _GAP

    def _line(self, found: Difference) -> Text:
        cells = (found.key, self._told(found, "theirs"), self._told(found, "ours"))
        return Text(_row(cells, self._widths), no_wrap=True)

    def _told(self, found: Difference, side: str) -> str:
        assert self._theirs is not None
        value, values = (found.a, self._theirs) if side == "theirs" else (found.b, self._ours)
        is_about_defaults = side == "theirs" and self.source.kind == "defaults"
        told = told_value(found.key, value, None if is_about_defaults else values.given)
        return f"{told} (changed)" if found.key in values.changed else told

    def _show_detail(self) -> None:
        found = self.highlighted
        detail = self.query_one("#detail", Static)
        detail.display = found is not None
        if found is None:
            return
        text = Text(found.key, "bold")
        if found.key in OPTIONS:
            text.append(f"  {OPTIONS[found.key].help}", "not bold")
        for side in ("theirs", "ours"):
            text.append(f"\n{side:<8}", "not bold dim")
            text.append(self._told(found, side), "not bold")
        if (change := self._theirs.changed.get(found.key) if self._theirs else None) is not None:
            before = "without it" if change.old is None else f"with {shown_value(change.old)}"
            text.append(f"\ntheirs was changed while running: launched {before}", "not bold dim")
        text.plain = printable(text.plain, keep_lines=True)
        detail.update(text)

    @property
    def highlighted(self) -> Difference | None:
        """The difference under the cursor."""
        place = self.query_one(OptionList).highlighted
        return None if place is None or not self.differences else self.differences[place]

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self._show_detail()

    # -- keys ----------------------------------------------------------------------------------

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_go_to_field()

    def action_go_to_field(self) -> None:
        """Leave for the highlighted field."""
        found = self.highlighted
        if found is not None:
            self.dismiss(found.key)

    def action_take(self) -> None:
        """Give the draft their value of the highlighted line."""
        found = self.highlighted
        if found is None:
            return
        if reason := why_not_taken(found, self.draft):
            self.notify(printable(f"not taken: {reason}"), severity="warning", markup=False)
            return
        self._take((found,))

    def action_take_all(self) -> None:
        """Give the draft every value of theirs, as one step of undo."""
        wanted = [found for found in self.differences if not why_not_taken(found, self.draft)]
        if wanted:
            self._take(tuple(wanted))
            undo = shown_key("compare.undo", "u")
            self.notify(f"took {len(wanted)} values ({undo} takes them back)")

    def _take(self, wanted: tuple[Difference, ...]) -> None:
        assert self._theirs is not None
        theirs = self._theirs
        try:
            self.draft.apply_all([edit_to_take(found, theirs) for found in wanted])
        except KeyError as failure:
            self.notify(f"{failure.args[0]} is not in the file", severity="error", markup=False)
            return
        self._changed()

    def _changed(self) -> None:
        self._ours = values_of_draft(self.draft)
        self._show()

    def action_undo(self) -> None:
        """Take the last edit of the draft back."""
        self._changed() if self.draft.undo() else self.notify("nothing to undo")

    def action_redo(self) -> None:
        """Do the last undone edit again."""
        self._changed() if self.draft.redo() else self.notify("nothing to redo")

    def action_choose(self) -> None:
        """Compare with something else."""
        question = ChooseSource(self.draft.copy(), tuple(PRESETS.values()), self._root)
        self.app.push_screen(question, self._chosen)

    def _chosen(self, source: Source | None) -> None:
        if source is not None:
            self.source = source
            self._read()

    def action_back(self) -> None:
        """Back to the form."""
        self.dismiss(None)


def told_value(key: str, value: Any, given: Mapping[str, Any] | None) -> str:
    """A value in a line as it was ``given``, with a word where nobody gave it; None asks for no
    such word."""
    if value is ABSENT:
        return "(absent)"
    if given is not None and key in given:
        return shown_value(given[key]) or "(empty)"
    text = shown_value(value) or "(empty)"
    return text if given is None else f"{text} (default)"


def _row(cells: tuple[str, str, str], widths: tuple[int, int, int]) -> str:
    gap = " " * _GAP
    return gap.join(fit(cell, width) for cell, width in zip(cells, widths, strict=True)).rstrip()
