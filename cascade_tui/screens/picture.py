"""One validation picture as large as the terminal allows."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Footer, Static

from cascade_tui.follow.snapshot import Picture, RunSnapshot
from cascade_tui.widgets.half_blocks import Tile, TileCache


class PictureView(Widget):
    """A picture in the middle, decoded in a thread."""

    DEFAULT_CSS = "PictureView { height: 1fr; }"

    class Decoded(Message):
        """A picture is ready to be drawn."""

        def __init__(self, wanted: tuple[Picture, int, int], tile: Tile) -> None:
            super().__init__()
            self.wanted = wanted
            self.tile = tile

    def __init__(self) -> None:
        super().__init__()
        self._picture: Picture | None = None
        self._tile = Tile()
        self._cache = TileCache()

    def show(self, picture: Picture | None) -> None:
        """Show another picture; None where a prompt has none at a step."""
        self._picture = picture
        self._look()

    def on_resize(self) -> None:
        """As large as the room allows."""
        self._look()

    def _look(self) -> None:
        if self._picture is None or not self.size:
            self._tile = Tile(problem="no picture of this prompt at this step")
            self.refresh()
            return
        wanted = (self._picture, self.size.width, self.size.height)
        self.run_worker(lambda: self._decode(*wanted), thread=True, exclusive=True)

    def _decode(self, picture: Picture, columns: int, rows: int) -> None:
        tile = self._cache.load(picture.path, columns, rows)
        self.post_message(self.Decoded((picture, columns, rows), tile))

    def on_picture_view_decoded(self, message: Decoded) -> None:
        """Draw it, unless another is wanted by now."""
        message.stop()
        if message.wanted == (self._picture, self.size.width, self.size.height):
            self._tile = message.tile
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A row, on the widget's background."""
        return self._row(y).apply_style(self.rich_style)

    def _row(self, y: int) -> Strip:
        """A row of the picture, or what is wrong with it."""
        width, height = self.size
        if self._tile.problem:
            text = self._tile.problem if y == height // 2 else ""
            return Strip([Segment(text.center(width)[:width], Style(dim=True))], width)
        row = y - (height - len(self._tile.rows)) // 2
        if not 0 <= row < len(self._tile.rows):
            return Strip.blank(width)
        margin = " " * ((width - self._tile.columns) // 2)
        return Strip([Segment(margin), *self._tile.rows[row]]).adjust_cell_length(width)


class PictureScreen(Screen[None]):
    """Left and right scrub through steps, up and down through prompts."""

    BINDING_GROUP_TITLE = "Picture"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move_step(-1)", "Earlier", key_display="←", id="picture.earlier"),
        Binding("right,l", "move_step(1)", "Later", key_display="→", id="picture.later"),
        Binding("up,k", "move_prompt(-1)", "Prompt before", key_display="↑", id="picture.before"),
        Binding("down,j", "move_prompt(1)", "Next prompt", key_display="↓", id="picture.next"),
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
        yield Footer(show_command_palette=False, compact=True)

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

    def _show(self) -> None:
        name = self._snapshot.prompts[self._prompt]
        picture = self._snapshot.picture(self._step, name)
        text = f"{name} · step {self._step}"
        if picture is not None:
            text += f" · seed {picture.seed} · {picture.kind}\n{picture.text}"
        self.query_one("#caption", Static).update(text)
        self.query_one(PictureView).show(picture)
