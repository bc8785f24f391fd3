"""The validation pictures of one step, side by side; older steps by scrubbing."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from cascade_tui.follow.snapshot import Picture, RunSnapshot
from cascade_tui.widgets.glyphs import fit, printable
from cascade_tui.widgets.shelf import Shelf, drawing_as_text
from cascade_tui.widgets.shown_keys import shown_key
from cascade_tui.widgets.tiles import Drawing, Tile, TileCache

_GAP = 2
_LEAST_COLUMNS = 8
_NUM_KEPT = 64
"""Pictures to which one comes back at once."""


@dataclass(frozen=True, slots=True)
class _View:
    """What is to be seen: pictures (None: not made yet) and how each is drawn."""

    pictures: tuple[tuple[str, Picture | None], ...]
    drawing: Drawing

    @property
    def columns(self) -> int:
        """The width of a tile."""
        return self.drawing.columns


class Thumbnails(Widget):
    """A row of pictures with the names of their prompts, decoded in a thread."""

    DEFAULT_CSS = """
    Thumbnails {
        border: round $foreground 40%;
        border-title-color: $foreground;
        border-subtitle-color: $text-muted;
        padding: 0 1;
    }
    """

    class Decoded(Message):
        """The pictures of a view are ready to be drawn."""

        def __init__(self, view: _View, tiles: tuple[Tile | None, ...]) -> None:
            super().__init__()
            self.view = view
            self.tiles = tiles

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "validation"
        self._snapshot: RunSnapshot | None = None
        self._pinned_step: int | None = None
        self._view: _View | None = None
        self._drawn: tuple[_View, tuple[Tile | None, ...]] | None = None
        self._cache = TileCache(_NUM_KEPT)
        self._shelf = Shelf(self, _NUM_KEPT)

    def on_mount(self) -> None:
        """Let pictures in pixels come and go."""
        self._shelf.open(self._draw_again)

    def on_unmount(self) -> None:
        """Leave nothing in the terminal's memory."""
        self._shelf.clear()

    @property
    def step(self) -> int | None:
        """The step shown: the newest unless scrubbed elsewhere; None without pictures."""
        steps = self._snapshot.picture_steps if self._snapshot else ()
        if not steps:
            return None
        return self._pinned_step if self._pinned_step in steps else steps[-1]

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the pictures of a snapshot; cheap if there is none new."""
        before, self._snapshot = self._snapshot, snapshot
        if before is None or before.pictures is not snapshot.pictures:
            self._look()

    def scrub(self, direction: int) -> None:
        """Go to the step before (-1) or after (+1); at the newest, follow the run again."""
        step = self.step
        if self._snapshot is None or step is None:
            return
        steps = self._snapshot.picture_steps
        position = min(len(steps) - 1, max(0, steps.index(step) + direction))
        self._pinned_step = None if position == len(steps) - 1 else steps[position]
        self._look()

    def on_resize(self) -> None:
        """Tiles are as large as the room allows."""
        self._look()

    def _draw_again(self) -> None:
        self._view = None
        self._look()

    def on_thumbnails_decoded(self, message: Decoded) -> None:
        """Draw what was decoded, unless something else is wanted by now."""
        message.stop()
        if message.view == self._view:
            self._shelf.put(message.tiles)
            self._drawn = (message.view, message.tiles)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A row, on the widget's background."""
        return self._row(y).apply_style(self.rich_style)

    def _row(self, y: int) -> Strip:
        """A row of names (the first) or of pictures."""
        width = self.size.width
        if self._drawn is None:
            text = "no validation pictures yet" if self.step is None else "reading…"
            if y != self.size.height // 2:
                return Strip.blank(width)
            return Strip([Segment(text.center(width)[:width], Style(dim=True))], width)
        view, tiles = self._drawn
        segments: list[Segment] = []
        for (name, _), tile in zip(view.pictures, tiles, strict=True):
            segments += self._cell(name, tile, view, y)
            segments.append(Segment(" " * _GAP))
        return Strip(segments).adjust_cell_length(width)

    def _cell(self, name: str, tile: Tile | None, view: _View, y: int) -> list[Segment]:
        """A row of one tile, exactly as wide as a tile."""
        if y == 0:
            return [Segment(fit(name, view.columns))]
        if tile is None or tile.problem:
            text = "not made yet" if tile is None else tile.problem
            lines = textwrap.wrap(printable(text), max(1, view.columns))
            line = lines[y - 1] if y <= len(lines) else ""
            return [Segment(fit(line, view.columns), Style(dim=True))]
        row = tile.rows[y - 1] if y <= len(tile.rows) else ()
        missing = view.columns - (tile.columns if row else 0)
        return [*row, Segment(" " * missing)]

    def _look(self) -> None:
        """Decode what is to be seen, if it is not what is seen."""
        step = self.step
        if self._snapshot is None or step is None or not self.size:
            if self._drawn is not None or self._view is not None:
                self._drawn = self._view = None
                self.refresh()
            self.border_title = "validation"
            self.border_subtitle = ""
            return
        steps = self._snapshot.picture_steps
        self.border_title = f"validation, step {step}"
        position = f"{steps.index(step) + 1}/{len(steps)}"
        view = self._choose(self._snapshot, step)
        hidden = len(self._snapshot.prompts) - len(view.pictures)
        more = f"{hidden} more in full size · " if hidden else ""
        keys = f"{shown_key('monitor.earlier', 'left')}/{shown_key('monitor.later', 'right')}"
        opens = f"{shown_key('monitor.picture', 'enter')} full size"
        self.border_subtitle = f"{more}{keys} step {position} · {opens}"
        if view != self._view:
            self._view = view
            self.run_worker(lambda: self._decode(view), thread=True, exclusive=True, group="tiles")

    def _choose(self, snapshot: RunSnapshot, step: int) -> _View:
        """As many prompts as fit side by side; each tile at most square."""
        width, height = self.size
        rows = max(1, height - 1)
        num_fit = max(1, (width + _GAP) // (_LEAST_COLUMNS + _GAP))
        names = snapshot.prompts[:num_fit]
        columns = (width + _GAP) // len(names) - _GAP
        columns = max(1, min(columns, max(_LEAST_COLUMNS, rows * 4)))
        pictures = tuple((n, snapshot.picture(step, n)) for n in names)
        return _View(pictures, drawing_as_text(self, columns, rows))

    def _decode(self, view: _View) -> None:
        tiles = tuple(
            None if picture is None else self._cache.load(picture.path, view.drawing)
            for _, picture in view.pictures
        )
        self.post_message(self.Decoded(view, tiles))
