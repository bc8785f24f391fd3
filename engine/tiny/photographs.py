"""The demo's photographs as tensors: whole, or cropped and mirrored at random."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.tiny.seeded import stream


class NoPhotographsError(ValueError):
    """The folder holds no photograph."""


def load_photographs(folder: Path) -> dict[str, Image.Image]:
    """Return caption -> picture for every JPEG of ``folder``, by name.

    Raises:
        NoPhotographsError: there is none.
    """
    paths = sorted(folder.glob("*.jpg"))
    if not paths:
        raise NoPhotographsError(f"{folder} holds no .jpg file: give --photographs another folder")
    return {path.stem: Image.open(path).convert("RGB") for path in paths}


def centre_crops(pictures: Sequence[Image.Image], side_px: int) -> Tensor:
    """Cut the largest centred square of each picture: [n, 3, side, side] in [0, 1]."""
    crops = []
    for picture in pictures:
        side = min(picture.size)
        left, top = (picture.width - side) / 2, (picture.height - side) / 2
        crops.append(_resized(picture, (left, top, left + side, top + side), side_px))
    return torch.stack(crops)


def random_crops(pictures: Sequence[Image.Image], side_px: int, *, count: int, seed: int) -> Tensor:
    """Cut ``count`` squares in turn from the pictures, half of them mirrored, colours shifted.

    Returns [count, 3, side, side] in [0, 1], the same for the same seed.
    """
    crops = []
    for index in range(count):
        draw = stream(seed, f"crop/{index}")
        picture = pictures[index % len(pictures)]
        side = min(picture.size) * draw.uniform(0.5, 1.0)
        left, top = draw.uniform(0, picture.width - side), draw.uniform(0, picture.height - side)
        crop = _resized(picture, (left, top, left + side, top + side), side_px)
        if draw.random() < 0.5:
            crop = crop.flip(-1)
        gains = torch.from_numpy(draw.uniform(0.75, 1.25, (3, 1, 1)).astype(np.float32))
        crops.append((crop * gains).clamp(0, 1))
    return torch.stack(crops)


def _resized(picture: Image.Image, box: tuple[float, ...], side_px: int) -> Tensor:
    small = picture.resize((side_px, side_px), Image.Resampling.BILINEAR, box=box)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1).float() / 255
