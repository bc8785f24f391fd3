"""Widgets made of rows, which send over the wire the cells that changed and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

Span = tuple[int, int]
"""The first cell and the one after the last."""

_PLAIN = re.compile(r"[ -~\u2500-\u257f\u2800-\u28ff]*")
"""ASCII, lines and braille: a cell each."""
_NEAR_CELLS = 8
"""Changes as near as this go together: to move the cursor costs as many bytes."""


class RowWidget(Widget):
    """Draws all its rows at once in `make_rows`; `redraw` compares them with those before.

    Where more than ``MOST_REGIONS`` places differ, the rectangle around them is drawn: each place
    by itself costs time.
    """

    MOST_REGIONS: ClassVar[int] = 1000

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._base: Style | None = None
        self._made: list[Strip] = []
        self._rows: list[Strip] = []  # as made, cut where the last changes began and ended

    def make_rows(self, width: int, height: int) -> list[Strip]:  # noqa: ARG002
        """The content for this size; what is missing is left blank, what is too much cut off."""
        return []

    @property
    def plain(self) -> str:
        """What is shown, without styles and trailing spaces."""
        return "\n".join(self.render_line(y).text.rstrip() for y in range(self.size.height))

    def redraw(self) -> None:
        """Make the rows again and send the cells that differ."""
        if not self.size:
            return
        before, self._made = self._made, self._make()
        if len(before) != len(self._made) or before[0].cell_length != self.size.width:
            self._rows = list(self._made)
            self.refresh()
            return
        regions: list[Region] = []
        for y, (old, new) in enumerate(zip(before, self._made, strict=True)):
            if old != new:
                spans = changed_spans(old, new)
                regions += [Region(start, y, end - start, 1) for start, end in spans]
                self._rows[y] = _cut(new, spans)
        if len(regions) > self.MOST_REGIONS:
            regions = [Region.from_union(regions)]
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Everything is drawn anew at another size."""
        self.forget_rows()
        self.redraw()

    def notify_style_update(self) -> None:
        """Colours are part of the rows: make them anew when they are asked for."""
        super().notify_style_update()
        self.forget_rows()

    def forget_rows(self) -> None:
        """Make the rows anew when they are next asked for."""
        self._made = self._rows = []

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows of a region; what all of them have in common is looked up once."""
        self._base = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """A row on the widget's background."""
        if not self._rows:
            self._made = self._make()
            self._rows = list(self._made)
        row = self._rows[y] if y < len(self._rows) else Strip.blank(self.size.width)
        return row.apply_style(self._base or self.rich_style)

    def _make(self) -> list[Strip]:
        width, height = self.size
        rows = [row.adjust_cell_length(width) for row in self.make_rows(width, height)[:height]]
        return rows + [Strip.blank(width)] * (height - len(rows))


class TextRows(RowWidget):
    """Rows of styled text; the widget may be as high as they are many (`height: auto`)."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._num_lines = 0

    def make_lines(self, width: int) -> list[Text]:  # noqa: ARG002
        """The lines for this width."""
        return []

    def make_rows(self, width: int, height: int) -> list[Strip]:  # noqa: ARG002
        """The lines as rows."""
        return [self._strip(line) for line in self.make_lines(width)]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        """As many rows as lines."""
        self._num_lines = len(self.make_lines(width))
        return self._num_lines

    def redraw(self) -> None:
        """Make the lines again; ask for another height where their number changed."""
        if self.styles.is_auto_height and len(self.make_lines(self.size.width)) != self._num_lines:
            self.refresh(layout=True)
        super().redraw()

    def _strip(self, line: Text) -> Strip:
        return Strip(line.render(self.app.console))


def changed_spans(before: Strip, after: Strip) -> list[Span]:
    """Where two rows of one width differ, near changes joined, wide characters kept whole."""
    old, new = _cells(before), _cells(after)
    spans: list[Span] = []
    for x, cell in enumerate(new):
        if cell == old[x]:
            continue
        start, end = x, x + 1
        while start > 0 and not new[start][0]:
            start -= 1
        while end < len(new) and not new[end][0]:
            end += 1
        if spans and start - spans[-1][1] <= _NEAR_CELLS:
            spans[-1] = (spans[-1][0], end)
        else:
            spans.append((start, end))
    return spans


def _cells(row: Strip) -> list[tuple[str, Style | None]]:
    """The character and style of each cell; the second cell of a wide character has none."""
    cells: list[tuple[str, Style | None]] = []
    for text, style, _ in row:
        if text.isascii() or _PLAIN.fullmatch(text):
            cells += [(character, style) for character in text]
            continue
        for character in text:
            width = cell_len(character)
            if width == 0 and cells:
                cells[-1] = (cells[-1][0] + character, style)
            else:
                cells += [(character, style), ("", style)][:width]
    return cells


def _cut(row: Strip, spans: Iterable[Span]) -> Strip:
    """The same row with segments that begin and end where the spans do."""
    cuts = sorted({cut for span in spans for cut in span} | {row.cell_length})
    return Strip.join([part for part in row.divide([c for c in cuts if c > 0]) if part])
