"""What a terminal shows of the bytes that a program wrote: characters and their looks."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace

from rich.cells import cell_len

_SEQUENCE = re.compile(
    r"\x1b(?:\[(?P<private>[<=>?]?)(?P<numbers>[0-9;:]*)[ -/]*(?P<final>[@-~])"
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][0-9A-Z]|(?P<plain>[^\[\]P()]))"
)
_ATTRIBUTES = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse"}
_ENDED_BY = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",)}


@dataclass(frozen=True, slots=True)
class Look:
    """How a character looks; colours as in the sequence: "1", "9", "5;236", "2;18;18;18"."""

    foreground: str = ""
    background: str = ""
    attributes: frozenset[str] = frozenset()


class VtScreen:
    """The main and the alternate screen of a terminal of ``size`` (columns, rows).

    ``modes`` are the private modes that are on (25: the cursor is shown, 1049: the alternate
    screen); ``unknown`` are the sequences that are not understood here.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.modes, self.unknown = {"25", "7"}, set[str]()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._look = Look()
        self._x = self._y = 0
        self._main: list[list[tuple[str, Look]]] = []
        self.resize(size)

    def resize(self, size: tuple[int, int]) -> None:
        """Empty the screen at another size."""
        self.columns, self.rows = size
        self._cells = [[(" ", Look())] * self.columns for _ in range(self.rows)]

    # -- looking -------------------------------------------------------------------------------

    @property
    def lines(self) -> list[str]:
        """The text of each row, blanks at the end left out."""
        return ["".join(character for character, _ in row).rstrip() for row in self._cells]

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join(self.lines)

    def looks(self, row: int) -> list[Look]:
        """How each cell of a row looks."""
        return [look for _, look in self._cells[row]]

    def looks_of(self, text: str) -> set[Look]:
        """How the first place with this text looks; nothing if it is not there."""
        for row, line in zip(self._cells, self.lines, strict=True):
            start = line.find(text)
            if start >= 0:
                first = cell_len(line[:start])
                return {look for _, look in row[first : first + cell_len(text)]}
        return set()

    # -- writing -------------------------------------------------------------------------------

    def feed(self, content: bytes) -> None:
        """Take what the program wrote."""
        text = self._rest + self._decoder.decode(content)
        position = 0
        while position < len(text):
            if text[position] != "\x1b":
                self._put(text[position])
                position += 1
                continue
            found = _SEQUENCE.match(text, position)
            if found is None:
                break  # its end is still to come
            self._obey(found)
            position = found.end()
        self._rest = text[position:]

    def _put(self, character: str) -> None:
        if character == "\r":
            self._x = 0
        elif character == "\n":
            self._y = min(self.rows - 1, self._y + 1)
        elif character == "\b":
            self._x = max(0, self._x - 1)
        elif character >= " ":
            width = cell_len(character)
            for offset in range(width):
                if self._x + offset < self.columns:
                    shown = character if offset == 0 else ""
                    self._cells[self._y][self._x + offset] = (shown, self._look)
            self._x = min(self.columns, self._x + width)

    def _obey(self, found: re.Match[str]) -> None:
        final, numbers = found["final"], found["numbers"] or ""
        if found["plain"] is not None and found["plain"] not in "78=>":
            self.unknown.add(found[0])
        if final is None:
            return
        if found["private"]:
            if found["private"] == "?" and final in "hl":
                for mode in numbers.split(";"):
                    self._set_mode(mode, is_on=final == "h")
            return
        first, *others = [int(number or 0) for number in numbers.split(";")]
        if final in "Hf":
            self._y = min(self.rows, max(1, first)) - 1
            self._x = min(self.columns, max(1, others[0] if others else 1)) - 1
        elif final == "m":
            self._look = _changed(self._look, numbers)
        elif final in "ABCD":
            step = max(1, first) * (1 if final in "BC" else -1)
            if final in "AB":
                self._y = min(self.rows - 1, max(0, self._y + step))
            else:
                self._x = min(self.columns - 1, max(0, self._x + step))
        elif final in "JK":
            self._erase(final, first)
        elif final not in "chlnptu":
            self.unknown.add(found[0])

    def _set_mode(self, mode: str, *, is_on: bool) -> None:
        if is_on == (mode in self.modes):
            return
        self.modes ^= {mode}
        if mode == "1049" and is_on:
            self._main = self._cells
            self.resize((self.columns, self.rows))
        elif mode == "1049":
            self._cells = self._main

    def _erase(self, what: str, how: int) -> None:
        blank = (" ", self._look)
        here = self._cells[self._y]
        cut = min(self._x, self.columns)
        start, end = {0: (cut, self.columns), 1: (0, cut + 1)}.get(how, (0, self.columns))
        here[start:end] = [blank] * (min(end, self.columns) - start)
        if what == "J":
            rows = {0: range(self._y + 1, self.rows), 1: range(self._y)}.get(how, range(self.rows))
            for row in rows:
                self._cells[row] = [blank] * self.columns


def _changed(look: Look, numbers: str) -> Look:
    """A look after an SGR sequence."""
    values = [int(value or 0) for value in numbers.replace(":", ";").split(";")]
    while values:
        value = values.pop(0)
        if value == 0:
            look = Look()
        elif value in _ATTRIBUTES:
            look = replace(look, attributes=look.attributes | {_ATTRIBUTES[value]})
        elif value in _ENDED_BY:
            look = replace(look, attributes=look.attributes - set(_ENDED_BY[value]))
        elif value in (38, 48):
            number = 4 if values[:1] == [2] else 2
            colour = ";".join(map(str, values[:number]))
            look = _coloured(look, value == 38, colour)
            del values[:number]
        elif value // 10 in (3, 4):
            look = _coloured(look, value // 10 == 3, "" if value % 10 == 9 else str(value % 10))
        elif value // 10 in (9, 10):
            look = _coloured(look, value // 10 == 9, str(value % 10 + 8))
    return look


def _coloured(look: Look, is_foreground: bool, colour: str) -> Look:
    if is_foreground:
        return replace(look, foreground=colour)
    return replace(look, background=colour)
