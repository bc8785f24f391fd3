"""The last lines of a log of any size, and those that come after."""

from __future__ import annotations

import os
import re
from collections import deque
from pathlib import Path

_CHUNK_BYTES = 1 << 16
# Colours and cursor moves, titles and links, and the short ones: ECMA-48, 5.4 and 5.6.
_ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[ -/]*[0-~])")


class ConsoleTail:
    """Follows a log file; keeps its last ``num_lines`` lines.

    A carriage return starts its line again, as on a terminal; escape sequences are left out.
    """

    def __init__(self, path: Path, num_lines: int = 200) -> None:
        self.path = path
        self._lines: deque[str] = deque(maxlen=num_lines)
        self._num_lines = num_lines
        self._offset: int | None = None
        self._rest = b""
        self._starts_within = False  # whether reading began in the middle of a line

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines, oldest first; the last may still be growing."""
        rest = (clean(self._rest),) if self._rest.strip() else ()
        return (*self._lines, *rest)[-self._num_lines :]

    def poll(self) -> bool:
        """Read what is new; True if there was something."""
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if self._offset is None or size < self._offset:
                    self._start_near_end(size)
                assert self._offset is not None
                file.seek(self._offset)
                content = file.read(size - self._offset)
        except FileNotFoundError:
            return False
        if not content:
            return False
        self._offset += len(content)
        *whole, self._rest = (self._rest + content).split(b"\n")
        if self._starts_within and whole:
            del whole[0]  # its beginning was not read
            self._starts_within = False
        self._lines.extend(clean(line) for line in whole[-self._num_lines :])
        return True

    def _start_near_end(self, size: int) -> None:
        self._lines.clear()
        self._rest = b""
        self._offset = max(0, size - _CHUNK_BYTES)
        self._starts_within = self._offset > 0


def clean(line: bytes) -> str:
    """A line as a terminal would leave it: after its last carriage return, without escapes."""
    text = line.decode(errors="replace").rstrip("\r")
    text = _ESCAPE.sub("", text).rpartition("\r")[2].replace("\t", "    ")
    return "".join(character for character in text if character.isprintable())
