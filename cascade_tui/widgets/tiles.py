"""Pictures made ready for the terminal, in the way in which it draws them."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cascade_tui.pictures import Way
from cascade_tui.widgets import kitty
from cascade_tui.widgets.half_blocks import Rows, half_block_size, half_blocks
from cascade_tui.widgets.sixel import sixels

_MOST_PX = 1000
"""Sixels have no scale: larger pictures cost seconds, and some terminals take no more."""
_OFF = "pictures are off"


@dataclass(frozen=True, slots=True)
class Drawing:
    """How to draw, in how many characters, of how many pixels each."""

    columns: int
    rows: int
    way: Way = "half"
    cell_px: tuple[int, int] = (10, 20)


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in characters; ``columns`` wide. ``problem`` says why there is none."""

    rows: Rows = ()
    columns: int = 0
    problem: str = ""
    image_id: int = 0
    """The number that the terminal knows it by; 0 if it keeps no picture."""
    sent_before: str = ""
    """What the terminal must have got before the rows are drawn."""
    drawn_over: str = ""
    """What draws it in pixels over the rows, with the cursor at the first of them."""


class TileCache:
    """Decodes pictures, and remembers them by path, time of change and size; from any thread."""

    def __init__(self, num_tiles: int = 64) -> None:
        self._tiles: dict[tuple[str, int, Drawing], Tile] = {}
        self._num_tiles = num_tiles
        self._lock = threading.Lock()

    def load(self, path: str, drawing: Drawing) -> Tile:
        """The picture, as large as it can be in that many characters."""
        if drawing.way == "off":
            return Tile(problem=_OFF)
        try:
            key = (path, Path(path).stat().st_mtime_ns, drawing)
            with self._lock:
                if key not in self._tiles:
                    while len(self._tiles) >= self._num_tiles:
                        del self._tiles[next(iter(self._tiles))]
                    self._tiles[key] = draw(path, drawing)
                return self._tiles[key]
        except FileNotFoundError:
            return Tile(problem="the file is gone")
        except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
            return Tile(problem="cannot be read")  # PIL's errors for damaged files


def draw(path: str, drawing: Drawing) -> Tile:
    """Read a picture and make it ready. Raises what PIL raises."""
    columns, rows, way = drawing.columns, drawing.rows, drawing.way
    with Image.open(path) as file:
        if way == "half":
            file.draft("RGB", (columns * 2, rows * 4))
        image = file.convert("RGB")
    if way == "half":
        columns, rows = half_block_size(image, columns, rows)
        return Tile(half_blocks(image, columns, rows), columns)
    columns, rows = cell_size(image, drawing)
    width, height = columns * drawing.cell_px[0], rows * drawing.cell_px[1]
    if way == "sixel":
        sequence = sixels(image.resize((width, height), Image.Resampling.LANCZOS))
        return Tile(half_blocks(image, columns, rows), columns, drawn_over=sequence)
    if way == "iterm":
        sequence = inline_image(_png(image, width, height), columns, rows)
        return Tile(half_blocks(image, columns, rows), columns, drawn_over=sequence)
    number = kitty.new_id()
    return Tile(
        kitty.placeholders(number, columns, rows),
        columns,
        image_id=number,
        sent_before=kitty.transmission(number, _png(image, width, height), columns, rows),
    )


def cell_size(image: Image.Image, drawing: Drawing) -> tuple[int, int]:
    """Columns and rows of a picture as large as it can be, by the pixels of a character."""
    cell_width, cell_height = drawing.cell_px
    width, height = drawing.columns * cell_width, drawing.rows * cell_height
    if drawing.way == "sixel":
        width, height = min(width, _MOST_PX), min(height, _MOST_PX)
    scale = min(width / image.width, height / image.height)
    columns = min(drawing.columns, kitty.MOST_CELLS, round(image.width * scale / cell_width))
    rows = min(drawing.rows, kitty.MOST_CELLS, round(image.height * scale / cell_height))
    return max(1, columns), max(1, rows)


def inline_image(png: bytes, columns: int, rows: int) -> str:
    """iTerm2's sequence for a picture at the cursor, stretched over exactly so many cells."""
    keys = f"inline=1;size={len(png)};width={columns};height={rows}"
    payload = base64.standard_b64encode(png).decode("ascii")
    return f"\x1b]1337;File={keys};preserveAspectRatio=0;doNotMoveCursor=1:{payload}\x07"


def _png(image: Image.Image, width: int, height: int) -> bytes:
    """The picture as a file, shrunk to what is shown of it: the terminal enlarges by itself."""
    small = image.copy()
    small.thumbnail((width, height), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    small.save(stream, "PNG")
    return stream.getvalue()
