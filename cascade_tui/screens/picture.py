"""One validation picture as large as the terminal allows."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from cascade_tui.follow.snapshot import Picture, RunSnapshot
from cascade_tui.picture_app import PictureApp, PicturesScreen
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shelf import Shelf, drawing
from cascade_tui.widgets.shown_keys import shown_key
from cascade_tui.widgets.tiles import Drawing, Tile, TileCache

_NUM_KEPT = 16
"""Pictures to which one comes back at once; in pixels each takes a megabyte."""

_SETTLED_SECONDS = 0.05
"""Frames that follow each other as fast as this get their pixels once."""


class PictureView(Widget):
    """A picture in the middle, decoded in a thread."""

    DEFAULT_CSS = "PictureView { height: 1fr; }"

    class Decoded(Message):
        """A picture is ready to be drawn."""

        def __init__(self, wanted: tuple[Picture, Drawing], tile: Tile) -> None:
            super().__init__()
            self.wanted = wanted
            self.tile = tile

    def __init__(self) -> None:
        super().__init__()
        self._wanted: tuple[Picture, Drawing] | None = None
        self._picture: Picture | None = None
        self._tile = Tile()
        self._cache = TileCache(_NUM_KEPT)
        self._shelf = Shelf(self, _NUM_KEPT)
        self._is_to_be_drawn_over = False

    def on_mount(self) -> None:
        """Let pictures in pixels come and go."""
        self._shelf.open(self._look)

    def on_unmount(self) -> None:
        """Leave nothing in the terminal's memory."""
        self._shelf.clear()

    def show(self, picture: Picture | None) -> None:
        """Show another picture; None where a prompt has none at a step."""
        self._picture = picture
        self._look()

    def on_resize(self) -> None:
        """As large as the room allows."""
        self._shelf.clear()
        self._look()

    def _look(self) -> None:
        if self._picture is None or not self.size:
            self._wanted = None
            self._tile = Tile(problem="no picture of this prompt at this step")
            self.refresh()
            return
        wanted = self._wanted = (self._picture, drawing(self, *self.size))
        self.run_worker(lambda: self._decode(*wanted), thread=True, exclusive=True)

    def _decode(self, picture: Picture, drawing: Drawing) -> None:
        tile = self._cache.load(picture.path, drawing)
        self.post_message(self.Decoded((picture, drawing), tile))

    def on_picture_view_decoded(self, message: Decoded) -> None:
        """Draw it, unless another is wanted by now."""
        message.stop()
        if message.wanted == self._wanted:
            self._tile = message.tile
            self._shelf.put([self._tile])
            self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows, whenever textual writes some of them; pixels lie over them afterwards."""
        if self._tile.drawn_over and not self._is_to_be_drawn_over:
            self._is_to_be_drawn_over = True
            self.set_timer(_SETTLED_SECONDS, self._draw_over)
        return super().render_lines(crop)

    def _draw_over(self) -> None:
        """Draw the pixels, unless something lies above: there the half blocks do."""
        self._is_to_be_drawn_over = False
        app, tile = self.app, self._tile
        is_covered = app.screen is not self.screen or bool(self.screen.query("Toast"))
        if is_covered or not tile.drawn_over or not isinstance(app, PictureApp):
            return
        left, top = self._corner()
        row, column = self.region.y + top + 1, self.region.x + left + 1
        app.send(f"\x1b7\x1b[{row};{column}H{tile.drawn_over}\x1b8")

    def _corner(self) -> tuple[int, int]:
        """Column and row of the picture's first character in this widget."""
        width, height = self.size
        return (width - self._tile.columns) // 2, (height - len(self._tile.rows)) // 2

    def render_line(self, y: int) -> Strip:
        """A row, on the widget's background."""
        return self._row(y).apply_style(self.rich_style)

    def _row(self, y: int) -> Strip:
        """A row of the picture, or what is wrong with it."""
        width, height = self.size
        if self._tile.problem:
            text = self._tile.problem if y == height // 2 else ""
            return Strip([Segment(text.center(width)[:width], Style(dim=True))], width)
        left, top = self._corner()
        row = y - top
        if not 0 <= row < len(self._tile.rows):
            return Strip.blank(width)
        return Strip([Segment(" " * left), *self._tile.rows[row]]).adjust_cell_length(width)


class PictureScreen(PicturesScreen):
    """Left and right scrub through steps, up and down through prompts."""

    BINDING_GROUP_TITLE = "Picture"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move_step(-1)", "Earlier", key_display="←", id="picture.earlier"),
        Binding("right,l", "move_step(1)", "Later", key_display="→", id="picture.later"),
        Binding("up,k", "move_prompt(-1)", "Prompt before", key_display="↑", id="picture.before"),
        Binding("down,j", "move_prompt(1)", "Next prompt", key_display="↓", id="picture.next"),
        Binding("y", "copy", "Copy path", show=False, id="picture.copy"),
        Binding(
            "o",
            "outside",
            "Open",
            tooltip="open in the desktop's viewer",
            show=False,
            id="picture.outside",
        ),
        Binding("p", "pixels", "Pixels", tooltip="pixels or half blocks", id="picture.pixels"),
        Binding("escape,enter", "app.pop_screen", "Back", key_display="esc", id="picture.back"),
    ]
    DEFAULT_CSS = """
    PictureScreen #caption { height: 2; padding: 0 1; background: $surface; }
    """

    def __init__(self, snapshot: RunSnapshot, step: int, prompt: int = 0) -> None:
        """Begin with that prompt, by its position, at ``step``, which has pictures."""
        super().__init__()
        self._snapshot = snapshot
        self._step, self._prompt = step, prompt

    def compose(self) -> ComposeResult:
        """What it is, and the picture."""
        yield Static(id="caption", markup=False)
        yield PictureView()
        yield KeyFooter("picture.copy", "picture.outside")

    def on_mount(self) -> None:
        """Show the first."""
        self._show()

    def action_move_step(self, direction: int) -> None:
        """Go to an earlier or later step."""
        steps = self._snapshot.picture_steps
        position = steps.index(self._step) + direction
        self._step = steps[min(len(steps) - 1, max(0, position))]
        self._show()

    def action_move_prompt(self, direction: int) -> None:
        """Go to another prompt; after the last comes the first."""
        self._prompt = (self._prompt + direction) % len(self._snapshot.prompts)
        self._show()

    def action_copy(self) -> None:
        """Copy the picture's path, through the terminal (OSC 52)."""
        name = self._snapshot.prompts[self._prompt]
        self.copy_path(self._snapshot.picture(self._step, name))

    def action_outside(self) -> None:
        """Open the picture in the desktop's viewer."""
        name = self._snapshot.prompts[self._prompt]
        self.open_outside(self._snapshot.picture(self._step, name), shown_key("picture.copy", "y"))

    def _show(self) -> None:
        name = self._snapshot.prompts[self._prompt]
        picture = self._snapshot.picture(self._step, name)
        text = f"{name} · step {self._step}"
        if picture is not None:
            text += f" · seed {picture.seed} · {picture.kind}\n{picture.text}"
        self.query_one("#caption", Static).update(text)
        self.query_one(PictureView).show(picture)
