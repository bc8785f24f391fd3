"""Prompts down, steps across: what the run draws, through time."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from cascade_tui.follow.follower import RunFollower
from cascade_tui.follow.snapshot import Picture, RunSnapshot
from cascade_tui.picture_app import PicturesScreen
from cascade_tui.screens.picture import PictureScreen
from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.rows import RowWidget
from cascade_tui.widgets.shelf import Shelf, drawing_as_text
from cascade_tui.widgets.shown_keys import shown_key
from cascade_tui.widgets.tiles import Drawing, Tile, TileCache
from engine.run.paths import RunDirectory

_COLUMNS, _ROWS = 18, 9
"""A cell of the grid, at least: its caption and a square picture."""
_NUM_KEPT = 256
"""Pictures to which one comes back at once."""
_NONE = "no pictures yet: the first come with the first validation"

Cell = tuple[str, Picture | None]
"""A caption, and the picture if it was made."""


class PictureGrid(RowWidget):
    """Cells in rows; their pictures are decoded in a thread, only those that are shown."""

    DEFAULT_CSS = "PictureGrid { height: 1fr; padding: 0 1; }"

    class Decoded(Message):
        """A picture is ready."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: list[list[Cell]] = []
        self._chosen = (0, 0)
        self._tiles: dict[tuple[str, Drawing], Tile] = {}
        self._cache = TileCache(_NUM_KEPT)
        self._shelf = Shelf(self, _NUM_KEPT)

    def on_mount(self) -> None:
        """Let pictures in pixels come and go."""
        self._shelf.open(self.look)

    def on_unmount(self) -> None:
        """Leave nothing in the terminal's memory."""
        self._shelf.clear()

    def show(self, cells: list[list[Cell]], chosen: tuple[int, int]) -> None:
        """Show these cells, the one at (row, column) marked."""
        self._cells, self._chosen = cells, chosen
        self.look()

    def cell_size(self) -> tuple[int, int]:
        """Columns and rows of a cell's picture."""
        num_rows = max(1, len(self._cells))
        num_columns = max((len(row) for row in self._cells), default=1) or 1
        return (self.size.width // num_columns - 2, self.size.height // num_rows - 1)

    def look(self) -> None:
        """Draw what is known; decode the rest."""
        wanted = self._drawing()
        paths = [p.path for row in self._cells for _, p in row if p is not None]
        missing = [path for path in paths if (path, wanted) not in self._tiles]
        if missing and wanted.columns > 0 and wanted.rows > 0:
            self.run_worker(lambda: self._decode(missing, wanted), thread=True, exclusive=True)
        self._shelf.put([self._tiles.get((path, wanted)) for path in paths])
        self.redraw()

    def _drawing(self) -> Drawing:
        return drawing_as_text(self, *self.cell_size())

    def on_resize(self) -> None:
        """Other sizes of pictures."""
        super().on_resize()
        self.look()

    def _decode(self, paths: list[str], drawing: Drawing) -> None:
        tiles = {(p, drawing): self._cache.load(p, drawing) for p in paths}
        self._tiles = {**dict(list(self._tiles.items())[-_NUM_KEPT:]), **tiles}
        self.post_message(self.Decoded())

    def on_picture_grid_decoded(self, message: Decoded) -> None:
        """Draw them."""
        message.stop()
        self.look()

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """The grid, or a sentence where there is nothing to show."""
        if not self._cells:
            blank = [Strip.blank(width)] * (height // 2)
            return [*blank, Strip([Segment(fit(_NONE.center(width), width), Style(dim=True))])]
        drawing = self._drawing()
        strips = []
        for y, row in enumerate(self._cells):
            for line in range(drawing.rows + 1):
                parts: list[Segment] = []
                for x, cell in enumerate(row):
                    parts += self._part(cell, (y, x) == self._chosen, line, drawing)
                strips.append(Strip(parts))
        return strips

    def _part(self, cell: Cell, is_chosen: bool, line: int, drawing: Drawing) -> list[Segment]:
        """One row of one cell."""
        columns = drawing.columns
        caption, picture = cell
        if line == 0:
            text = fit(f"{'›' if is_chosen else ' '} {caption}", columns)
            return [Segment(text, Style(bold=is_chosen, reverse=is_chosen)), Segment("  ")]
        tile = self._tiles.get((picture.path, drawing)) if picture else Tile()
        problem = "not made" if picture is None else "reading…" if tile is None else tile.problem
        if tile is None or problem:
            return [Segment(fit(problem if line == 1 else "", columns + 2), Style(dim=True))]
        row = tile.rows[line - 1] if line <= len(tile.rows) else ()
        return [*row, Segment(" " * (columns + 2 - (tile.columns if row else 0)))]


class GalleryScreen(PicturesScreen):
    """The validation pictures of one run."""

    BINDING_GROUP_TITLE = "Gallery"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(0,-1)", "Earlier", key_display="←", id="gallery.earlier"),
        Binding("right,l", "move(0,1)", "Later", key_display="→", id="gallery.later"),
        Binding("up,k", "move(-1,0)", "Prompt before", show=False, id="gallery.before"),
        Binding("down,j", "move(1,0)", "Next prompt", show=False, id="gallery.next"),
        Binding("enter", "open", "Full size", id="gallery.open"),
        Binding("b", "base", "Base", tooltip="beside the first pictures", id="gallery.base"),
        Binding("m", "mark", "Mark", tooltip="mark a step to compare with", id="gallery.mark"),
        Binding("y", "copy", "Copy path", id="gallery.copy"),
        Binding(
            "o",
            "outside",
            "Open",
            tooltip="open in the desktop's viewer",
            show=False,
            id="gallery.outside",
        ),
        Binding("p", "pixels", "Pixels", tooltip="pixels or half blocks", id="gallery.pixels"),
        Binding("escape", "back", "Back", key_display="esc", id="gallery.back"),
    ]
    DEFAULT_CSS = """
    GalleryScreen #head { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                          text-overflow: ellipsis; }
    """

    class Changed(Message):
        """The run directory has something new."""

        def __init__(self, snapshot: RunSnapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self._snapshot: RunSnapshot | None = None
        self._prompt = 0
        self._step: int | None = None  # None: the newest, whichever it becomes
        self._against: int | None = None
        self._follower = RunFollower(run, lambda s: self._post(self.Changed(s)))

    def _post(self, message: Message) -> None:
        self.post_message(message)

    def compose(self) -> ComposeResult:
        """What is shown, and the grid."""
        yield Static(id="head", markup=False)
        yield PictureGrid()
        yield KeyFooter("gallery.outside", "gallery.before", "gallery.next")

    def on_mount(self) -> None:
        """Begin to follow."""
        self._follower.start()

    def on_unmount(self) -> None:
        """End the thread."""
        self._follower.stop()

    def on_gallery_screen_changed(self, message: Changed) -> None:
        """Show new pictures; anything else changes nothing here."""
        before, self._snapshot = self._snapshot, message.snapshot
        if before is None or before.pictures is not message.snapshot.pictures:
            self._show()

    def on_resize(self) -> None:
        """More or fewer steps fit."""
        self._show()

    @property
    def step(self) -> int | None:
        """The step that is looked at; None without pictures."""
        steps = self._snapshot.picture_steps if self._snapshot else ()
        if not steps:
            return None
        return self._step if self._step in steps else steps[-1]

    @property
    def picture(self) -> Picture | None:
        """The picture that is looked at."""
        if self._snapshot is None or self.step is None:
            return None
        return self._snapshot.picture(self.step, self._snapshot.prompts[self._prompt])

    def _show(self) -> None:
        grids = self.query(PictureGrid)
        if not grids or not self.size:
            return
        step = self.step
        head = self.query_one("#head", Static)
        if self._snapshot is None or step is None:
            head.update("validation pictures")
            grids.first().show([], (0, 0))
            return
        name = self._snapshot.prompts[self._prompt]
        steps: tuple[int, ...]
        names: tuple[str, ...]
        if self._against is not None:
            back = f"{shown_key('gallery.back', 'escape')}: the grid"
            head.update(f"{name} · step {self._against} beside step {step} · {back}")
            steps, names = (self._against, step), (name,)
        else:
            picture = self.picture
            text = f" · {picture.text}" if picture else ""
            head.update(f"{name} · step {step}{text}")
            steps = _window(
                self._snapshot.picture_steps, step, max(1, self.size.width // (_COLUMNS + 2))
            )
            num_rows = max(1, (self.size.height - 2) // _ROWS)
            first = max(0, min(self._prompt, len(self._snapshot.prompts) - num_rows))
            names = self._snapshot.prompts[first : first + num_rows]
        cells: list[list[Cell]] = [
            [(f"{n} {s}", self._snapshot.picture(s, n)) for s in steps] for n in names
        ]
        column = 1 if self._against is not None else steps.index(step)
        grids.first().show(cells, (names.index(name), column))

    def action_move(self, prompts: int, direction: int) -> None:
        """Go to another prompt or step."""
        if self._snapshot is None or self.step is None:
            return
        last = len(self._snapshot.prompts) - 1
        self._prompt = min(last, max(0, self._prompt + prompts))
        steps = self._snapshot.picture_steps
        position = min(len(steps) - 1, max(0, steps.index(self.step) + direction))
        self._step = None if position == len(steps) - 1 else steps[position]
        self._show()

    def action_open(self) -> None:
        """As large as the terminal allows."""
        if self._snapshot is not None and self.step is not None:
            self.app.push_screen(PictureScreen(self._snapshot, self.step, self._prompt))

    def action_base(self) -> None:
        """The first pictures beside those of now; the grid again."""
        if self._snapshot is not None and self.step is not None:
            self._against = None if self._against is not None else self._snapshot.picture_steps[0]
            self._show()

    def action_mark(self) -> None:
        """Put this step on the left; scrubbing changes the right."""
        if self.step is not None:
            self._against = self.step
            self._show()

    def action_copy(self) -> None:
        """Copy the picture's path, through the terminal (OSC 52)."""
        self.copy_path(self.picture)

    def action_outside(self) -> None:
        """Open the picture in the desktop's viewer."""
        self.open_outside(self.picture, shown_key("gallery.copy", "y"))

    async def action_back(self) -> None:
        """Back to the grid, then to the run."""
        if self._against is not None:
            self._against = None
            self._show()
        else:
            await self.app.run_action("app.show_monitor")


def _window(steps: tuple[int, ...], step: int, count: int) -> tuple[int, ...]:
    """``count`` neighbouring steps with ``step`` among them, the latest that do."""
    position = steps.index(step)
    first = max(0, min(len(steps) - count, position - count // 2))
    return steps[first : first + count]
