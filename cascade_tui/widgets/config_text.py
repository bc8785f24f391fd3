"""A text editor that knows TOML and JSON a little, and marks the lines that have problems."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import TextArea

from cascade_tui.widgets.glyphs import GLYPHS, printable
from engine.config.documents import Format
from engine.config.problems import Severity

_STRING = r'"(?:[^"\\]|\\.)*"'
_VALUE = r"(?P<literal>\b(?:true|false|null|inf|nan)\b|[-+]?\b\d[\d_.:TZ+-]*(?:[eE][-+]?\d+)?)"
_TOKENS: dict[Format, re.Pattern[str]] = {
    "toml": re.compile(
        r"(?P<heading>^\s*\[\[?[^\]=]*\]\]?(?=\s*(?:#|$)))"
        r"|(?P<key>^\s*[\w.\"'-]+(?=\s*=))"
        rf"|(?P<string>{_STRING}|'[^']*')|(?P<comment>#.*$)|{_VALUE}"
    ),
    "json": re.compile(rf"(?P<key>{_STRING}(?=\s*:))|(?P<string>{_STRING})|{_VALUE}"),
}
"""What stands in a line; a string that goes over several lines is not known as one."""
_MARK_CELLS = 2
"""Cells between the number of a line and its text."""


class ConfigText(TextArea):
    """The text of a config, its parts told apart, a glyph beside each line with a problem."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "text--heading",
        "text--key",
        "text--string",
        "text--literal",
        "text--comment",
        "text--error",
        "text--warning",
        "text--hint",
    }
    DEFAULT_CSS = """
    ConfigText {
        border: none; padding: 0; height: 1fr; background: $background;
        scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        &:focus { border: none; }
        & > .text--heading { color: $text-primary; text-style: bold; }
        & > .text--key { color: $foreground; }
        & > .text--string { color: $text-success; }
        & > .text--literal { color: $text-warning; }
        & > .text--comment { color: $foreground 55%; text-style: italic; }
        & > .text--error { color: $text-error; text-style: bold; }
        & > .text--warning { color: $text-warning; text-style: bold; }
        & > .text--hint { color: $text-accent; }
    }
    """

    def __init__(self, text: str, format: Format, *, id: str | None = None) -> None:
        super().__init__(
            text,
            id=id,
            soft_wrap=False,
            tab_behavior="indent",
            show_line_numbers=True,
            highlight_cursor_line=False,
        )
        self.cursor_blink = False
        self.indent_width = 2
        self._tokens = _TOKENS[format]
        self._marks: dict[int, Severity] = {}

    def show_text(self, text: str, format: Format) -> None:
        """Edit another text instead."""
        self._tokens, self._marks = _TOKENS[format], {}
        self.load_text(text)

    def mark(self, marks: Mapping[int, Severity]) -> None:
        """Show the worst problem of each line, counted from 0; only what differs is drawn."""
        before, self._marks = self._marks, dict(marks)
        top = round(self.scroll_offset.y)
        for line in before.keys() | marks.keys():
            if before.get(line) != marks.get(line):
                x = self.gutter_width - _MARK_CELLS
                self.refresh(Region(x, line - top, _MARK_CELLS, 1))

    def go_to_line(self, line: int, column: int = 0) -> None:
        """Put the cursor there, counted from 0, and show it."""
        last = max(0, self.document.line_count - 1)
        line = max(0, min(line, last))
        column = max(0, min(column, len(self.document.get_line(line))))
        self.move_cursor((line, column), center=True)

    def get_line(self, line_index: int) -> Text:
        """A line with its parts told apart, and nothing in it that would steer a terminal."""
        line = self.document.get_line(line_index)
        shown = "\t".join(printable(part) for part in line.split("\t"))
        text = Text(shown, end="", no_wrap=True)
        for token in self._tokens.finditer(shown):
            kind = token.lastgroup
            if kind is not None:
                text.stylize(self._part(kind), token.start(), token.end())
        return text

    def render_line(self, y: int) -> Strip:
        """A line, with the glyph of its problem between number and text."""
        strip = super().render_line(y)
        severity = self._marks.get(y + round(self.scroll_offset.y))
        if severity is None:
            return strip
        start = self.gutter_width - _MARK_CELLS
        glyph = Segment(f"{GLYPHS[severity]} ", self.rich_style + self._part(severity))
        return Strip.join(
            [strip.crop(0, start), Strip([glyph], _MARK_CELLS), strip.crop(self.gutter_width)]
        )

    def _part(self, name: str) -> Style:
        full = self.get_component_rich_style(f"text--{name}")
        return Style(color=full.color, bold=full.bold, italic=full.italic)
