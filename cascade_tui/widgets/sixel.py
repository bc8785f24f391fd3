"""Pictures as sixels: six pixels above each other in a character, colour by colour."""

from __future__ import annotations

import numpy as np
from PIL import Image

_NUM_COLOURS = 256
_BAND = 6


def sixels(image: Image.Image) -> str:
    """The escape sequence that draws an RGB picture at the cursor, pixel by pixel.

    256 colours, chosen for this picture. Pixels below the last whole band of six are left out, so
    that nothing scrolls.
    """
    height = max(_BAND, image.height // _BAND * _BAND)
    indexed = image.crop((0, 0, image.width, height)).quantize(
        _NUM_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
    )
    pixels = np.asarray(indexed)
    palette = np.asarray(indexed.getpalette("RGB"), dtype=np.float64).reshape(-1, 3)
    colours = [
        f"#{number};2;{red};{green};{blue}"
        for number, (red, green, blue) in enumerate(np.rint(palette / 2.55).astype(int).tolist())
    ]
    bands = (_band(pixels[y : y + _BAND]) for y in range(0, height, _BAND))
    return f'\x1bP0;1;0q"1;1;{image.width};{height}' + "".join(colours) + "-".join(bands) + "\x1b\\"


def _band(pixels: np.ndarray) -> str:
    """Six rows of pixels: a row of characters for each of their colours, one over the other."""
    colours, positions = np.unique(pixels, return_inverse=True)
    positions = positions.reshape(pixels.shape)
    width = pixels.shape[1]
    bits = np.zeros((len(colours), width), dtype=np.uint8)
    for y in range(_BAND):
        bits[positions[y], np.arange(width)] |= 1 << y
    flat = bits.ravel()
    is_start = np.ones(len(flat), dtype=bool)
    is_start[1:] = flat[1:] != flat[:-1]
    is_start[::width] = True  # no run goes on in the row of the next colour
    starts = np.flatnonzero(is_start)
    lengths = np.diff(starts, append=len(flat))
    runs: list[list[str]] = [[] for _ in colours]
    for row, value, length in zip(
        (starts // width).tolist(), flat[starts].tolist(), lengths.tolist(), strict=True
    ):
        character = chr(63 + value)
        runs[row].append(f"!{length}{character}" if length > 3 else character * length)
    return "$".join(f"#{c}{''.join(r)}" for c, r in zip(colours.tolist(), runs, strict=True))
