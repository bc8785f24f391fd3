"""The text of a config or of its file of backends, with its problems at their lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Draft
from cascade_tui.screens.draft_screen import CHECK_DELAY_SECONDS
from cascade_tui.screens.unsaved import Answer, ChangedUnderneath, MalformedText
from cascade_tui.text_file import LineProblem, TextFile, place_of, problems_of
from cascade_tui.text_lines import with_endings
from cascade_tui.widgets.config_text import ConfigText
from cascade_tui.widgets.glyphs import GLYPHS, READY, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.documents import DocumentError, format_of
from engine.config.environment import Environment
from engine.config.problems import Problem, Severity

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "hint": 2}


class RawTextScreen(ModalScreen[Draft | None]):
    """An editor for the text itself. Leaving takes the text into the draft as one step of undo.

    Ends with the draft, None if a malformed file is left malformed.
    """

    BINDING_GROUP_TITLE = "Text"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "To the form", key_display="esc", priority=True, id="text.back"),
        Binding("ctrl+o", "save", "Save", id="text.save"),
        Binding("ctrl+n", "next_problem", "Next problem", id="text.next"),
        Binding("ctrl+t", "other_file", "Other file", id="text.other"),
        Binding("f1", "app.help", "Help", id="text.help"),
    ]
    DEFAULT_CSS = """
    RawTextScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & #problems { height: auto; max-height: 30%; background: $background;
                      border-top: solid $foreground 40%; scrollbar-size-vertical: 1; }
        & #problems > .option-list--option { padding: 0 1; }
        & #verdict { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                     text-overflow: ellipsis; }
    }
    """

    class Checked(Message):
        """A thread has checked ``text``."""

        def __init__(self, text: str, problems: Sequence[LineProblem]) -> None:
            super().__init__()
            self.text, self.problems = text, tuple(problems)

    def __init__(
        self, file: TextFile, environment: Environment | None = None, line: int | None = None
    ) -> None:
        """Begin at ``line``, counted from 1."""
        super().__init__()
        self.file, self._environment, self._first_line = file, environment, line
        self._original, self._num_files = file.text, len(file.siblings())
        self.problems: tuple[LineProblem, ...] = ()
        self._checked_text: str | None = None
        self._timer: Timer | None = None
        self._shown_title = ""

    # -- layout --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, text, problems, verdict, keys."""
        yield Static(id="title", markup=False)
        yield ConfigText(self._original, format_of(self.file.path), id="text")
        problems = OptionList(id="problems", markup=False)
        problems.can_focus = False
        yield problems
        yield Static("checking …", id="verdict", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin in the text."""
        area = self.query_one(ConfigText)
        area.focus()
        if self._first_line is not None:
            area.go_to_line(self._first_line - 1)
        self._show_title()
        self._check()

    @property
    def text(self) -> str:
        """The text as it would be saved: what was not edited is as it was, byte for byte."""
        return with_endings(self._original, self.query_one(ConfigText).document.lines)

    @property
    def is_checked(self) -> bool:
        """Whether the problems are those of the text as it stands."""
        return self._checked_text == self.text

    def _show_title(self) -> None:
        mark = "  ·  • edited" if self.text != self._original else ""
        others = ""
        if self._num_files > 1:
            others = f"  ·  {shown_key('text.other', 'ctrl+t')}: the other file"
        title = printable(f"Text  {self.file.path}{mark}{others}")
        if title != self._shown_title:
            self._shown_title = title
            self.query_one("#title", Static).update(title, layout=False)

    # -- problems ------------------------------------------------------------------------------

    @on(TextArea.Changed)
    def _edited(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(CHECK_DELAY_SECONDS, self._check)

    def _check(self) -> None:
        self._show_title()
        text, file, environment = self.text, self.file.apart(), self._environment
        self.run_worker(
            lambda: self.post_message(self.Checked(text, problems_of(file, text, environment))),
            thread=True,
            group="check",
            exclusive=True,
        )

    @on(Checked)
    def _was_checked(self, event: Checked) -> None:
        event.stop()
        if event.text != self.text:
            return  # another check is on its way
        self._checked_text, self.problems = event.text, event.problems
        marks: dict[int, Severity] = {}
        for found in self.problems:
            if found.line is not None:
                known = marks.get(found.line, "hint")
                marks[found.line] = min(found.problem.severity, known, key=_RANK.__getitem__)
        self.query_one(ConfigText).mark(marks)
        self._show_problems()

    def _show_problems(self) -> None:
        listed = self.query_one("#problems", OptionList)
        listed.clear_options()
        listed.add_options([ListOption(_line_of(found)) for found in self.problems])
        listed.display = bool(self.problems)
        counts = [
            f"{GLYPHS[severity]} {number} {severity}{'' if number == 1 else 's'}"
            for severity in ("error", "warning", "hint")
            if (number := sum(found.problem.severity == severity for found in self.problems))
        ]
        has_errors = any(found.problem.severity == "error" for found in self.problems)
        words = [*([] if has_errors else [f"{READY} can be launched"]), *counts]
        self.query_one("#verdict", Static).update("  ".join(words))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self._go_to(self.problems[event.option_index])

    def _go_to(self, found: LineProblem) -> None:
        area = self.query_one(ConfigText)
        if found.line is not None:
            area.go_to_line(found.line, found.column)
        self.query_one("#problems", OptionList).highlighted = self.problems.index(found)
        area.focus()

    def action_next_problem(self) -> None:
        """Go to the next line with a problem, after the last to the first."""
        here = self.query_one(ConfigText).cursor_location
        placed = sorted(
            (found for found in self.problems if found.line is not None),
            key=lambda found: (found.line or 0, found.column),
        )
        after = [found for found in placed if (found.line or 0, found.column) > here]
        if placed:
            self._go_to((after or placed)[0])
        else:
            self.notify("no line has a problem")

    # -- taking and leaving --------------------------------------------------------------------

    def _take(self) -> bool:
        """Give the draft the text; False if it is malformed."""
        text = self.text
        try:
            self.file = self.file.taken(text)
        except DocumentError as failure:
            self._malformed(failure.problem)
            return False
        self._original, self._num_files = text, len(self.file.siblings())
        self.refresh_bindings()
        self._show_title()
        return True

    def _malformed(self, problem: Problem) -> None:
        line, column = place_of(problem)
        if line is not None:
            self.query_one(ConfigText).go_to_line(line - 1, (column or 1) - 1)

    def action_back(self) -> None:
        """Take the text into the draft and leave; a malformed text may be left behind."""
        if self.text == self._original or self._take():
            self.dismiss(self.file.draft)
            return
        self.app.push_screen(MalformedText(self.file.path), self._leave_answered)

    def _leave_answered(self, answer: Answer | None) -> None:
        if answer == "discard":
            self.dismiss(self.file.draft)

    def action_save(self) -> None:
        """Take the text and write the files; one that was changed meanwhile is asked about."""
        if self.text == self._original and self.file.draft is None:
            self.notify("nothing to save")
        elif self.text != self._original and not self._take():
            self.notify("not saved: the text is malformed at the cursor", severity="error")
        else:
            self._save_unless_changed()

    def _save_unless_changed(self) -> None:
        draft = self.file.draft
        assert draft is not None
        if paths := draft.changed_on_disk():
            self.app.push_screen(ChangedUnderneath(paths, draft), self._conflict_answered)
        else:
            self._write(draft)

    def _conflict_answered(self, answer: Answer | None) -> None:
        draft = self.file.draft
        assert draft is not None
        if answer == "overwrite":
            self._write(draft)
        elif answer == "reload":
            self.dismiss(None)
            cast("CascadeApp", self.app).open_config(draft.document.path, draft.overrides)

    def _write(self, draft: Draft) -> None:
        try:
            paths = draft.save()
        except OSError as failure:
            reason = f"not saved: {failure.filename or ''} {failure.strerror or failure}"
            self.notify(printable(reason), severity="error", markup=False)
            return
        names = ", ".join(str(path) for path in paths)
        self.notify(f"saved {printable(names)}" if paths else "nothing to save", markup=False)

    # -- another file --------------------------------------------------------------------------

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """The other file only where there is one."""
        if action == "other_file":
            return self._num_files > 1
        return True

    def action_other_file(self) -> None:
        """Edit the next of the draft's files."""
        if self.text != self._original and not self._take():
            return
        self.file = (*self.file.siblings()[1:], self.file)[0]
        self._original = self.file.text
        area = self.query_one(ConfigText)
        area.show_text(self._original, format_of(self.file.path))
        if self.file.malformed_line is not None:
            area.go_to_line(self.file.malformed_line - 1)
        self._show_title()
        self._check()


def _line_of(found: LineProblem) -> Text:
    place = f"{found.line + 1:>4}" if found.line is not None else "   –"
    problem = found.problem
    key = f"{problem.key}: " if problem.key else ""
    line = f"{GLYPHS[problem.severity]} {place}  {key}{problem.message}"
    return Text(printable(line), no_wrap=True, overflow="ellipsis")
