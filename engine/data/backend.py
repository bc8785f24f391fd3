"""What this package asks of an image backend; ``engine.config`` declares the options themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Size(Protocol):
    """A width and a height in nominal pixels (what a picture measures before the 0.75 resize)."""

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...


class ImageBackend(Protocol):
    """One folder of photographs and how to read it."""

    @property
    def id(self) -> str: ...

    @property
    def instance_data_dir(self) -> str | Path: ...

    @property
    def resolution(self) -> Size: ...

    @property
    def bucket_resolutions(self) -> Sequence[Size]: ...

    @property
    def crop(self) -> bool: ...

    @property
    def crop_style(self) -> str: ...

    @property
    def minimum_image_size(self) -> int | None: ...

    @property
    def maximum_image_size(self) -> int | None: ...

    @property
    def target_downsample_size(self) -> int | None: ...

    @property
    def caption_strategy(self) -> str: ...

    @property
    def instance_prompt(self) -> str | None: ...

    @property
    def prepend_instance_prompt(self) -> bool: ...
