"""What an app that shows pictures and its widgets share: the way to draw, and the one writer."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from weakref import WeakSet

from rich.console import RenderableType
from textual.screen import Screen
from textual.signal import Signal
from textual.widget import Widget

from cascade_tui.follow.snapshot import Picture
from cascade_tui.pictures import Setting, Way, cell_pixels, choose_way
from cascade_tui.themes import ThemedApp
from cascade_tui.widgets import kitty
from cascade_tui.widgets.tiles import Drawing, Tile


class PictureApp(ThemedApp, inherit_bindings=False):
    """An app whose pictures are half blocks, or pixels where the terminal draws them."""

    picture_way: Way = "half"
    """How pictures are drawn now."""

    def use_pictures(self, asked: Setting) -> None:
        """Draw as asked, if that can be done here."""
        self._choice = choose_way(
            asked, os.environ, has_true_colour=self.console.color_system == "truecolor"
        )
        self.picture_way = self._choice.way
        self.shelves: WeakSet[Shelf] = WeakSet()
        self.redraw_pictures: Signal[None] = Signal(self, "redraw-pictures")

    def on_mount(self) -> None:
        """Say if pictures are not drawn as asked; draw again after a suspension."""
        if self._choice.refusal:
            self.notify(self._choice.refusal)
        self.app_resume_signal.subscribe(self, lambda _: self.redraw_pictures.publish(None))

    @property
    def has_pixels(self) -> bool:
        """Whether this terminal draws pixels; half blocks may be chosen nevertheless."""
        return self._choice.way not in ("half", "off")

    def toggle_pixels(self) -> None:
        """Half blocks instead of pixels, or pixels again, until the app ends."""
        self.picture_way = self._choice.way if self.picture_way == "half" else "half"
        self.redraw_pictures.publish(None)

    def send(self, sequence: str) -> None:
        """Write to the terminal, after what textual has written, never in the middle of it."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Leave nothing in the terminal's memory."""
        for shelf in self.shelves:
            shelf.clear()
        super().exit(result, return_code, message)


class PicturesScreen(Screen[None]):
    """What the screens of pictures have in common; their key for pixels is there if they are."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key for pixels where there are none."""
        if action == "pixels":
            return isinstance(self.app, PictureApp) and self.app.has_pixels
        return super().check_action(action, parameters)

    def action_pixels(self) -> None:
        """Half blocks instead of pixels, or pixels again."""
        assert isinstance(self.app, PictureApp)
        self.app.toggle_pixels()

    def copy_path(self, picture: Picture | None) -> None:
        """Copy a picture's path, through the terminal (OSC 52)."""
        if picture is None:
            self.notify("there is no picture here", severity="warning")
            return
        self.app.copy_to_clipboard(picture.path)
        self.notify(f"sent to the clipboard: {picture.path}", markup=False)


class Shelf:
    """The pictures of one widget that the terminal keeps (kitty's protocol)."""

    def __init__(self, widget: Widget, most: int) -> None:
        """Keep at most that many besides those that are shown."""
        self._widget = widget
        self._most = most
        self._kept: dict[int, None] = {}

    def open(self, draw_again: Callable[[], None]) -> None:
        """From now on, draw again when another way is chosen or the terminal has forgotten."""
        if isinstance(self._widget.app, PictureApp):
            signal = self._widget.app.redraw_pictures
            signal.subscribe(self._widget, lambda _: self._begin_again(draw_again))

    def _begin_again(self, draw_again: Callable[[], None]) -> None:
        self.clear()
        draw_again()

    def put(self, tiles: Iterable[Tile | None]) -> None:
        """Send what the terminal has not got yet; call this before the tiles are drawn."""
        app = self._widget.app
        if not isinstance(app, PictureApp):
            return
        app.shelves.add(self)
        shown = [tile for tile in tiles if tile is not None and tile.image_id]
        for tile in shown:
            if tile.image_id not in self._kept:
                app.send(tile.sent_before)
            self._kept.pop(tile.image_id, None)
            self._kept[tile.image_id] = None
        num_old = len(self._kept) - max(self._most, len(shown))
        self._delete(list(self._kept)[: max(0, num_old)])

    def clear(self) -> None:
        """Take all of them out of the terminal's memory."""
        self._delete(list(self._kept))

    def _delete(self, numbers: list[int]) -> None:
        app = self._widget.app
        if numbers and isinstance(app, PictureApp):
            app.send("".join(map(kitty.deletion, numbers)))
        for number in numbers:
            del self._kept[number]


def drawing(widget: Widget, columns: int, rows: int) -> Drawing:
    """How a widget's pictures are drawn now, each in so many characters."""
    app = widget.app
    way = app.picture_way if isinstance(app, PictureApp) else "half"
    if way in ("half", "off"):
        return Drawing(columns, rows, way)
    return Drawing(columns, rows, way, cell_pixels())


def drawing_as_text(widget: Widget, columns: int, rows: int) -> Drawing:
    """The same for pictures that change or move: those in pixels over the text would be torn."""
    wanted = drawing(widget, columns, rows)
    return Drawing(columns, rows) if wanted.way in ("sixel", "iterm") else wanted
