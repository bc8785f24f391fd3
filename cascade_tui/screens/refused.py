"""Why a run was not launched: every error with its fix, to mend here or to go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.widgets.glyphs import GLYPHS, fit, printable
from cascade_tui.widgets.problem_detail import words_of_fix
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.problems import Problem

_WIDTH = 90
_BESIDE = 6
"""Cells of the dialog that are not text: border, padding, scroll bar."""
_MOST_LINES = 2


@dataclass(frozen=True, slots=True)
class Chosen:
    """The error that was chosen: to be mended at once, or to be gone to."""

    problem: Problem
    is_to_mend: bool


class LaunchRefused(ModalScreen[Chosen | Literal["all"] | None]):
    """The errors that keep a run from starting, each with its fix. ``all`` are to be mended."""

    BINDING_GROUP_TITLE = "Not launched"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "mend", "Fix", tooltip="apply the fix of this error", id="refused.fix"),
        Binding("F", "mend_all", "Fix all", tooltip="apply all fixes", id="refused.fix_all"),
        Binding("escape", "cancel", "Back", id="refused.back"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="refused.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="refused.up"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="refused.help"),
    ]
    DEFAULT_CSS = """
    LaunchRefused {
        align: center middle;
        & > Vertical {
            width: 90; max-width: 95%; height: auto; max-height: 90%;
            border: round $error; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & OptionList { height: auto; max-height: 24; border: none; background: $surface;
                       scrollbar-size-vertical: 1; }
    }
    """

    def __init__(self, errors: Sequence[Problem]) -> None:
        super().__init__()
        self._errors = tuple(errors)

    def compose(self) -> ComposeResult:
        """What the keys do, and the list of errors."""
        number = len(self._errors)
        with Vertical():
            yield Static(
                f"Not launched: {number} error{'' if number == 1 else 's'}. enter goes to the "
                f"field, {shown_key('refused.fix', 'f')} applies a fix, "
                f"{shown_key('refused.fix_all', 'F')} all of them, "
                f"{shown_key('refused.back', 'escape')} goes back.",
                markup=False,
            )
            yield OptionList(markup=False)

    def on_resize(self) -> None:
        """Cut the lines to the width."""
        errors = self.query_one(OptionList)
        highlighted = errors.highlighted or 0
        width = min(_WIDTH, self.size.width * 95 // 100) - _BESIDE
        errors.set_options(ListOption(self._in_short(error, width)) for error in self._errors)
        errors.highlighted = highlighted

    def _in_short(self, error: Problem, width: int) -> Text:
        """The error in a line or two, and its fix in one."""
        told = printable(f"{GLYPHS['error']} {error.key or 'file'}: {error.message}")
        lines = [line.plain for line in Text(told).wrap(self.app.console, width)]
        if len(lines) > _MOST_LINES:
            lines[_MOST_LINES - 1 :] = [fit(" ".join(lines[_MOST_LINES - 1 :]), width)]
        text = Text("\n".join(lines))
        fix = words_of_fix(error, shown_key("refused.fix", "f"))
        return text.append(f"\n  {fit(fix, width - 2).rstrip()}", "dim") if fix else text

    @property
    def _highlighted(self) -> Problem:
        return self._errors[self.query_one(OptionList).highlighted or 0]

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        problem = self._errors[event.option_index]
        self.dismiss(Chosen(problem, is_to_mend=problem.download is not None))

    def action_mend(self) -> None:
        """Apply the fix of the highlighted error, or fetch what it misses."""
        problem = self._highlighted
        if problem.edit is None and problem.download is None:
            self.notify("this error has no fix that can be applied by itself")
        else:
            self.dismiss(Chosen(problem, is_to_mend=True))

    def action_mend_all(self) -> None:
        """Apply every fix that can be applied by itself."""
        self.dismiss("all")

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_cancel(self) -> None:
        """Back to the form."""
        self.dismiss(None)
