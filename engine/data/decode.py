"""Decodes photographs: every pixel or a reason, upright, in RGB."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

_UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
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
        PixelError: truncated, damaged, no picture at all, or pixels that have no fixed range.
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
    if image.mode not in _PLAIN_MODES | _ALPHA_MODES | _WIDE_MODES:
        raise PixelError(f"its pixels are {image.mode} (floating point), which have no fixed range")
    return image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Return (width, height) as EXIF orientation wants the picture seen."""
    turned = image.getexif().get(_ORIENTATION_TAG, _UPRIGHT) in (5, 6, 7, 8)
    return (image.height, image.width) if turned else image.size


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the picture upright in 8-bit RGB: alpha on white, 16 bits scaled down."""
    image = ImageOps.exif_transpose(image)
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
