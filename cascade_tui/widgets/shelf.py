"""A widget's pictures in the terminal: how they are drawn, and those that it keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from textual.widget import Widget

from cascade_tui.picture_app import PictureApp
from cascade_tui.pictures import cell_pixels
from cascade_tui.widgets import kitty
from cascade_tui.widgets.tiles import Drawing, Tile


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
        new = "".join(tile.sent_before for tile in shown if tile.image_id not in self._kept)
        if new:
            app.send(new)  # at once: textual's writer holds few writes, and waits where it is full
        for tile in shown:
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
