"""A config that is not valid JSON or TOML: where it breaks, and the way to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from cascade_tui.text_file import TextFile, place_of
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.problems import Problem

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp
    from cascade_tui.draft import Draft

_LINES_AROUND = 4
_WIDTH = 66
"""Characters of a line that are shown: those around the place where it breaks."""


class ParseErrorScreen(Screen[None]):
    """Says what is malformed at which line and column, and shows the text near it."""

    BINDING_GROUP_TITLE = "A file that cannot be read"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "edit_text", "Mend it here", id="parse_error.text"),
        Binding("e", "open_editor", "Open in $EDITOR", id="parse_error.editor"),
        Binding("r", "reload", "Read it again", id="parse_error.reload"),
        Binding("escape", "app.show_runs", "Back", tooltip="to the runs", id="parse_error.back"),
    ]
    DEFAULT_CSS = """
    ParseErrorScreen {
        & VerticalScroll { padding: 1 2; }
        & Static { height: auto; width: 1fr; }
    }
    """

    def __init__(self, path: Path, problem: Problem, overrides: Sequence[str] = ()) -> None:
        super().__init__()
        self.path, self.problem, self._overrides = path, problem, tuple(overrides)

    def compose(self) -> ComposeResult:
        """One text and the keys."""
        with VerticalScroll():
            yield Static(describe_parse_error(self.path, self.problem))
        yield KeyFooter()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """A file whose text cannot be read is not offered for editing here."""
        return action != "edit_text" or place_of(self.problem)[0] is not None

    def action_edit_text(self) -> None:
        """Edit the text here, with its problems at their lines."""
        from cascade_tui.screens.raw_text import RawTextScreen

        owner = cast("CascadeApp", self.app)
        line, _ = place_of(self.problem)
        try:
            content = self.path.read_bytes()
            content.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as failure:
            reason = printable(f"{self.path} cannot be read: {failure}")
            self.notify(reason, severity="error", markup=False)
            return
        file = TextFile(self.path, content=content, overrides=self._overrides)
        screen = RawTextScreen(file, owner.environment, line)
        self.app.push_screen(screen, self._mended)

    def _mended(self, draft: Draft | None) -> None:
        if draft is not None:
            cast("CascadeApp", self.app).open_draft(draft)

    def action_open_editor(self) -> None:
        """Open the file in $EDITOR, and read it again afterwards."""
        cast("CascadeApp", self.app).edit_outside(self.path, line=place_of(self.problem)[0])

    def action_reload(self) -> None:
        """Read the file again."""
        cast("CascadeApp", self.app).open_config(self.path)


def describe_parse_error(path: Path, problem: Problem) -> Text:
    """The problem, and the lines around it with the column marked."""
    text = Text()
    text.append(f"✖ {path} cannot be opened\n\n", "bold")
    text.append(problem.message + "\n")
    line, column = place_of(problem)
    if line is not None:
        at = f"line {line}" + (f", column {column}" if column is not None else "")
        text.append(f"at {at}\n", "bold")
        _append_lines(text, path, line, column)
    text.append("\n")
    if problem.fix:
        text.append(f"fix: {problem.fix}\n")
    if line is not None:
        text.append(shown_key("parse_error.text", "t"), "bold").append(" edits the text here, ")
    text.append(shown_key("parse_error.editor", "e"), "bold").append(" opens the file in $EDITOR, ")
    text.append(shown_key("parse_error.reload", "r"), "bold").append(" reads it again\n")
    text.plain = printable(text.plain, keep_lines=True)
    return text


def _append_lines(text: Text, path: Path, line: int, column: int | None) -> None:
    try:
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
    except OSError:
        return  # the message says already that it cannot be read
    text.append("\n")
    first = max(1, line - _LINES_AROUND)
    for number in range(first, min(len(lines), line + _LINES_AROUND) + 1):
        is_here = number == line
        content, shift = _cut(lines[number - 1], column or 1 if is_here else 1)
        text.append(f"{'>' if is_here else ' '} {number:>4}  ", "bold" if is_here else "dim")
        text.append(content + "\n", "bold" if is_here else "")
        if is_here and column is not None:
            text.append(" " * (8 + column - 1 - shift) + "^\n", "bold")


def _cut(content: str, column: int) -> tuple[str, int]:
    """The part of a line around a column, and by how much it moved to the left."""
    content = content.replace("\t", " ")
    start = max(0, min(column - 1 - _WIDTH // 2, len(content) - _WIDTH))
    begin, end = ("…" if start else ""), ("…" if start + _WIDTH < len(content) else "")
    return f"{begin}{content[start : start + _WIDTH]}{end}", start - len(begin)
