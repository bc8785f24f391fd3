"""A backend as plain values, and photographs made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True)
class Backend:
    instance_data_dir: Path
    id: str = "primary"
    resolution: Size = Size(1024, 1024)
    bucket_resolutions: tuple[Size, ...] = ()
    crop: bool = False
    crop_style: str = "center"
    minimum_image_size: int | None = None
    maximum_image_size: int | None = None
    target_downsample_size: int | None = None
    caption_strategy: str = "filename"
    instance_prompt: str | None = None
    prepend_instance_prompt: bool = False


def with_buckets(*sizes: tuple[int, int]) -> tuple[Size, ...]:
    return tuple(Size(width, height) for width, height in sizes)


def picture(width: int, height: int, *, seed: int = 0) -> Image.Image:
    """Noise, so that a cut-off file can't be taken for a whole one."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "photographs"
    path.mkdir()
    return path


@pytest.fixture
def backend(folder: Path) -> Callable[..., Backend]:
    """Make a backend over ``folder`` with the given options."""

    def make(**options: object) -> Backend:
        if "bucket_resolutions" in options:
            options["bucket_resolutions"] = with_buckets(*options["bucket_resolutions"])
        return Backend(folder, **options)

    return make


@pytest.fixture
def photograph(folder: Path) -> Callable[..., Path]:
    """Save a photograph of noise in ``folder``: name, width, height."""

    def save(name: str, width: int = 64, height: int = 64, seed: int = 0, **options) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(width, height, seed=seed).save(path, **options)
        return path

    return save
