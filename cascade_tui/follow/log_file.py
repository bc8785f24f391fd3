"""A log of any size, read where it is looked at: no index, nothing held in memory."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cascade_tui.follow.console import clean

Level = Literal["", "warning", "error"]

BLOCK_BYTES = 1 << 20
_BITE_BYTES = 1 << 16
_MOST_CHARACTERS = 4000
_MOST_TRACEBACK_LINES = 400
_ERROR = rb"(?i:\b(?:error|critical|fatal)\b)|[A-Za-z](?:Error|Exception)\b|Traceback \(most"
_WARNING = rb"(?i:\bwarn(?:ing)?\b)|[A-Za-z]Warning\b"
LEVEL_PATTERNS: dict[Level, re.Pattern[bytes]] = {
    "error": re.compile(_ERROR),
    "warning": re.compile(_ERROR + b"|" + _WARNING),
}
"""What the lines of a level, or of a worse one, hold."""
_HEAD = re.compile(r"^(\[?\w+\]?:? )?Traceback \(most recent call last\):")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A line, or a whole traceback: bytes [start, end) of the file, and its text."""

    start: int
    end: int
    lines: tuple[str, ...]

    @property
    def is_traceback(self) -> bool:
        """Whether it can be folded."""
        return len(self.lines) > 1

    @property
    def level(self) -> Level:
        """How bad it is."""
        text = "\n".join(self.lines).encode()
        if LEVEL_PATTERNS["error"].search(text):
            return "error"
        return "warning" if LEVEL_PATTERNS["warning"].search(text) else ""


class LogFile:
    """Walks the entries of a file by their byte offsets, forwards and backwards.

    A line without an end is broken at multiples of `BLOCK_BYTES`, so that no step reads more than
    two of them. Reads with `pread`: a file that is truncated meanwhile is short, not a fault.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self._descriptor = -1
        self._inode: tuple[int, int] | None = None

    def poll(self) -> bool:
        """Look again; True if the file grew, shrank, or is another one. Raises OSError."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return False
        inode = (found.st_dev, found.st_ino)
        if inode == self._inode and found.st_size == self.size:
            return False
        if inode != self._inode:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            self.close()
            self._descriptor, self._inode = descriptor, inode
        self.size = found.st_size
        return True

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._inode = -1, None

    def read(self, start: int, end: int) -> bytes:
        """The bytes [start, end), fewer if the file has shrunk."""
        if end <= start or self._descriptor < 0:
            return b""
        return os.pread(self._descriptor, end - start, start)

    # -- lines -------------------------------------------------------------------------------

    def line_end(self, start: int) -> int:
        """Where the line ends that begins at ``start``."""
        limit = min(self.size, (start // BLOCK_BYTES + 1 + bool(start % BLOCK_BYTES)) * BLOCK_BYTES)
        position = start
        while position < limit:
            bite = self.read(position, min(limit, position + _BITE_BYTES))
            found = bite.find(b"\n")
            if found >= 0:
                return position + found + 1
            if not bite:
                break
            position += len(bite)
        return limit

    def line_start(self, end: int) -> int:
        """Where the line begins that ends at ``end`` (or the one which holds the byte before)."""
        block = max(0, end - 1) // BLOCK_BYTES * BLOCK_BYTES
        found = self._last_newline(block, end - 1)
        if found < 0 and block:
            found = self._last_newline(block - BLOCK_BYTES, block)
        return found + 1 if found >= 0 else block

    def _last_newline(self, start: int, end: int) -> int:
        """The last newline in [start, end); -1 for none."""
        while end > start:
            first = max(start, end - _BITE_BYTES)
            found = self.read(first, end).rfind(b"\n")
            if found >= 0:
                return first + found
            end = first
        return -1

    def line(self, start: int) -> tuple[str, int]:
        """The line at ``start`` as a terminal would leave it, and where it ends."""
        end = self.line_end(start)
        content = self.read(start, end).rstrip(b"\r\n").rpartition(b"\r")[2]
        text = clean(content[: _MOST_CHARACTERS * 4])
        return (text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"), end

    # -- entries -----------------------------------------------------------------------------

    def entry(self, start: int) -> LogEntry:
        """The entry that begins at ``start``."""
        text, end = self.line(start)
        lines = [text]
        if head := _HEAD.match(text):
            prefix = head.group(1) or ""
            while end < self.size and len(lines) < _MOST_TRACEBACK_LINES:
                text, end = self.line(end)
                lines.append(text)
                if not _is_within(text, prefix):
                    break
        return LogEntry(start, end, tuple(lines))

    def entry_before(self, end: int) -> LogEntry | None:
        """The entry that ends at ``end``; None at the start of the file."""
        return self.entry_at(end - 1) if end > 0 else None

    def entry_at(self, offset: int) -> LogEntry:
        """The entry that holds the byte at ``offset``."""
        start = position = self.line_start(offset + 1)
        for _ in range(_MOST_TRACEBACK_LINES):
            text = self.line(position)[0]
            if _HEAD.match(text):
                entry = self.entry(position)
                return entry if entry.end > start else self.entry(start)
            if position == 0 or (
                position != start
                and text.partition(": ")[2][:1] != " "
                and not text.startswith(" ")
            ):
                break
            position = self.line_start(position)
        return self.entry(start)

    # -- searching ---------------------------------------------------------------------------

    def find(
        self,
        pattern: re.Pattern[bytes],
        start: int,
        *,
        backwards: bool,
        is_cancelled: Callable[[], bool] = bool,
    ) -> Iterator[int]:
        """Starts of the lines that match, from byte ``start`` towards an end of the file.

        Made for threads: reads a block at a time, and asks between two whether to go on.
        """
        position = start
        while (position > 0) if backwards else (position < self.size):
            if is_cancelled():
                return
            if backwards:
                first, last = self.line_start(max(1, position - BLOCK_BYTES)), position
            else:
                first = position
                last = self.line_end(self.line_start(min(self.size, position + BLOCK_BYTES)))
                last = max(last, self.line_end(first))
            block = self.read(first, last)
            found = (block.rfind(b"\n", 0, m.start()) + 1 for m in pattern.finditer(block))
            starts = list(dict.fromkeys(first + number for number in found))
            yield from reversed(starts) if backwards else starts
            position = first if backwards else last


def _is_within(text: str, prefix: str) -> bool:
    """Whether a line of a traceback has others after it."""
    return text.removeprefix(prefix).startswith(" ")
