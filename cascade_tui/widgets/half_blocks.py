"""Pictures as half blocks: a character shows two pixels, one above the other."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

UPPER_HALF = "▀"


@dataclass(frozen=True, slots=True)
class Tile:
    """A picture in characters; ``columns`` wide. ``problem`` says why there is none."""

    rows: tuple[tuple[Segment, ...], ...] = ()
    columns: int = 0
    problem: str = ""


class TileCache:
    """Decodes pictures, and remembers them by path, time of change and size; from any thread."""

    def __init__(self, num_tiles: int = 64) -> None:
        self._tiles: dict[tuple[str, int, int, int], Tile] = {}
        self._num_tiles = num_tiles
        self._lock = threading.Lock()

    def load(self, path: str, columns: int, rows: int) -> Tile:
        """The picture, as large as it can be in ``columns`` x ``rows`` characters."""
        try:
            key = (path, Path(path).stat().st_mtime_ns, columns, rows)
            with self._lock:
                if key not in self._tiles:
                    while len(self._tiles) >= self._num_tiles:
                        del self._tiles[next(iter(self._tiles))]
                    self._tiles[key] = decode(path, columns, rows)
                return self._tiles[key]
        except FileNotFoundError:
            return Tile(problem="the file is gone")
        except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
            return Tile(problem="cannot be read")  # PIL's errors for damaged files


def decode(path: str, columns: int, rows: int) -> Tile:
    """Read and shrink a picture. Raises what PIL raises."""
    with Image.open(path) as file:
        file.draft("RGB", (columns * 2, rows * 4))
        image = file.convert("RGB")
    scale = min(columns / image.width, 2 * rows / image.height)
    width = max(1, min(columns, round(image.width * scale)))
    height = max(2, min(2 * rows, 2 * round(image.height * scale / 2)))
    pixels = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    pairs = zip(pixels[0::2].tolist(), pixels[1::2].tolist(), strict=True)
    return Tile(tuple(_row(above, below) for above, below in pairs), width)


def _row(above: list[list[int]], below: list[list[int]]) -> tuple[Segment, ...]:
    """One row of characters; neighbours of the same colours share a segment."""
    segments = []
    for (top, bottom), run in groupby(zip(above, below, strict=True)):
        style = Style(color=Color.from_rgb(*top), bgcolor=Color.from_rgb(*bottom))
        segments.append(Segment(UPPER_HALF * len(list(run)), style))
    return tuple(segments)
