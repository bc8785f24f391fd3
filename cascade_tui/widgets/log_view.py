"""The lines of a log, drawn around a cursor; only what is seen is read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from rich.cells import chop_cells
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from cascade_tui.follow.log_file import LogEntry, LogFile
from cascade_tui.widgets.glyphs import GLYPHS, fit
from cascade_tui.widgets.rows import RowWidget

_STYLES = {"error": Style(color="red"), "warning": Style(color="yellow"), "": Style()}
_MOST_WRAPPED_ROWS = 8


class LogView(RowWidget, can_focus=True):
    """Shows a `LogFile`; with ``only`` set, no entries but those that begin there."""

    DEFAULT_CSS = "LogView { height: 1fr; padding: 0 1; }"

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self.file = file
        self.only: Sequence[int] | None = None
        self.is_following = True
        self.is_wrapped = False
        self.empty = "the log is empty"
        self._top = 0
        self.cursor = 0
        self._unfolded: set[int] = set()

    # -- moving ------------------------------------------------------------------------------

    def move(self, count: int) -> None:
        """Go ``count`` entries down, or up if negative; at the last one, follow."""
        step = self._after if count > 0 else self._before
        for _ in range(abs(count)):
            found = step(self.cursor)
            if found is None:
                break
            self.cursor = found
        self.is_following = count > 0 and self._after(self.cursor) is None
        self.redraw()

    def go_to(self, start: int) -> None:
        """Put the cursor on the entry that holds this byte."""
        self.cursor = self.file.entry_at(start).start
        self.is_following = False
        self._top = self._back_from(self.cursor, self.size.height // 2)
        self.redraw()

    def go_to_start(self) -> None:
        """The first entry."""
        self.cursor = self._top = self.only[0] if self.only else 0
        self.is_following = False
        self.redraw()

    def follow(self) -> None:
        """The last entry, and those that come."""
        self.is_following = True
        self.redraw()

    def toggle_fold(self) -> bool:
        """Unfold the traceback under the cursor, or fold it; False if there is none."""
        if not self.file.size or not self.file.entry(self.cursor).is_traceback:
            return False
        self._unfolded ^= {self.cursor}
        self.redraw()
        return True

    def _after(self, start: int) -> int | None:
        if self.only is not None:
            position = bisect_right(self.only, start)
            return self.only[position] if position < len(self.only) else None
        end = self.file.entry(start).end
        return end if start < end < self.file.size else None

    def _before(self, start: int) -> int | None:
        if self.only is not None:
            position = bisect_left(self.only, start) - 1
            return self.only[position] if position >= 0 else None
        entry = self.file.entry_before(start)
        return None if entry is None else entry.start

    def _last(self) -> int | None:
        if self.only is not None:
            return self.only[-1] if self.only else None
        entry = self.file.entry_before(self.file.size)
        return None if entry is None else entry.start

    def _back_from(self, start: int, num_rows: int) -> int:
        """The entry ``num_rows`` rows above the end of the one at ``start``, or the first."""
        rows = len(self._rows_of(self.file.entry(start), self.size.width))
        while rows < num_rows:
            before = self._before(start)
            if before is None:
                break
            rows += len(self._rows_of(self.file.entry(before), self.size.width))
            if rows > num_rows:
                break
            start = before
        return start

    # -- drawing -----------------------------------------------------------------------------

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """Entries from the top, so that the cursor is among them."""
        last = self._last()
        if last is None:
            return [Strip([Segment(fit(self.empty, width), Style(dim=True))])]
        if self.is_following or self.cursor > last:
            self.cursor = last
            self._top = self._back_from(last, height)
        elif self.cursor < self._top:
            self._top = self.cursor
        rows, is_seen = self._page(width, height)
        if not is_seen:
            self._top = self._back_from(self.cursor, height)
            rows, _ = self._page(width, height)
        return rows

    def _page(self, width: int, height: int) -> tuple[list[Strip], bool]:
        """The rows from the top; whether all of the cursor's entry (or its start) is in them."""
        rows: list[Strip] = []
        position: int | None = self._top
        is_seen = False
        while position is not None and len(rows) < height:
            added = self._rows_of(self.file.entry(position), width)
            if position == self.cursor:
                is_seen = len(rows) + len(added) <= height or not rows
            rows += added
            position = self._after(position)
        return rows, is_seen

    def _rows_of(self, entry: LogEntry, width: int) -> list[Strip]:
        """The rows of one entry: a mark for the cursor, a sign of its level, and the text."""
        lines = list(entry.lines)
        level = entry.level
        if entry.is_traceback and entry.start in self._unfolded:
            lines[0] = f"▾ {lines[0]}"
        elif entry.is_traceback:
            lines = [f"▸ traceback of {len(lines)} lines: {lines[-1].strip()}"]
        room = max(1, width - 4)
        if self.is_wrapped:
            lines = [part for line in lines for part in _wrapped(line, room)]
        sign = {"error": GLYPHS["error"], "warning": GLYPHS["warning"]}.get(level, " ")
        is_here = entry.start == self.cursor and self.has_focus
        style = _STYLES[level] + Style(bold=True) if is_here else _STYLES[level]
        rows = []
        for number, line in enumerate(lines):
            lead = f"{'›' if is_here and not number else ' '} {' ' if number else sign} "
            rows.append(Strip([Segment(fit(lead + fit(line, room), width), style)]))
        return rows


def _wrapped(line: str, width: int) -> list[str]:
    """A line in pieces of ``width`` cells, no more of them than a screen bears."""
    pieces = chop_cells(line, width) or [""]
    if len(pieces) > _MOST_WRAPPED_ROWS:
        pieces = [*pieces[: _MOST_WRAPPED_ROWS - 1], "…"]
    return pieces
