"""Decodes photographs: every pixel or a reason, upright, in RGB."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

_ORIENTATION_TAG = 0x0112
# EXIF 2.3, 4.6.4 A: what turns a stored picture upright, by its orientation. ImageOps does the same
# and then writes the rest of the EXIF data anew, which fails on photographs that are sound.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PLAIN_MODES = frozenset({"1", "L", "P", "RGB", "CMYK", "YCbCr", "LAB", "HSV"})
_ALPHA_MODES = frozenset({"LA", "La", "PA", "RGBA", "RGBa"})
_WIDE_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})


class PixelError(ValueError):
    """A photograph's pixels can't be had; the message is the reason."""


def content_id_of(content: bytes) -> str:
    """Return blake2b-128 of a file's bytes in hex."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def decode(content: bytes) -> Image.Image:
    """Decode every pixel of a photograph's bytes (of several frames the first), not yet upright.

    Raises:
        PixelError: truncated, damaged (in its EXIF data too, as it may then lie on its side), no
            picture at all, or pixels that have no fixed range.
    """
    try:
        image = Image.open(io.BytesIO(content))
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file leads them to
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, UnidentifiedImageError):
            reason = "not a picture in a known format"
        raise PixelError(f"can't be decoded: {reason}") from error
    try:
        _orientation(image)
    except Exception as error:  # as above
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PixelError(f"its EXIF data is damaged: {reason}") from error
    if image.mode not in _PLAIN_MODES | _ALPHA_MODES | _WIDE_MODES:
        raise PixelError(f"its pixels are {image.mode} (floating point), which have no fixed range")
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) as EXIF orientation wants the picture seen."""
    return (image.height, image.width) if _orientation(image) in (5, 6, 7, 8) else image.size


def _orientation(image: Image.Image) -> object:
    return image.getexif().get(_ORIENTATION_TAG)


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture upright in 8-bit RGB: alpha on white, 16 bits scaled down."""
    orientation = _orientation(image)
    if isinstance(orientation, int) and orientation in _TURNS:
        image = image.transpose(_TURNS[orientation])
    if image.mode in _WIDE_MODES:
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def read_bytes(path: Path) -> bytes:
    """Read a photograph's file.

    Raises:
        PixelError: the system can't.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise PixelError(f"can't be read: {error.strerror}") from error
