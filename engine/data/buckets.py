"""From a photograph's size to its bucket, crop and latent grid. Pure arithmetic.

Three rulers are used. *Source* pixels are those of the photograph, upright. *Nominal* pixels are
those of the picture that the model is to draw (1024). The image encoder sees 0.75 of those (768),
and makes one latent of each 32 of what it sees: 42.67 nominal pixels a latent, rounded up.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.data.backend import ImageBackend
from engine.data.scan import ImageFile

ENCODER_SCALE = 0.75
ENCODER_STRIDE_PX = 32
NOMINAL_STRIDE_PX = 42.67
BUCKET_GRID_PX = 128
MAX_BUCKET_ASPECT = 2.0

SizeWH = tuple[int, int]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class PlannedImage:
    """A photograph and the one resize that makes the encoder's input of it.

    ``bucket`` (width, height) in nominal pixels; ``crop`` (left, top, right, bottom) in source
    pixels, fractions meant; ``encoder_size`` (width, height) that the crop is resized to;
    ``latent`` (height, width) of the latent grid.
    """

    image: ImageFile
    bucket: SizeWH
    crop: Box
    encoder_size: SizeWH
    latent: tuple[int, int]


def latent_grid(width_px: float, height_px: float) -> tuple[int, int]:
    """Return the latent grid (height, width) of a picture of nominal size.

    ceil(side / 42.67), as StableCascade's calculate_latent_sizes and diffusers' prepare_latents.
    """
    return math.ceil(height_px / NOMINAL_STRIDE_PX), math.ceil(width_px / NOMINAL_STRIDE_PX)


def encoder_size(bucket: SizeWH) -> SizeWH:
    """Return the (width, height) in pixels that the encoder sees of a nominal bucket.

    0.75 of each side, rounded; off the 128-pixel grid it is moved by what little it takes for the
    encoder, which gives ceil(n / 32), to arrive at ``latent_grid``.
    """
    rows, columns = latent_grid(*bucket)
    return _encoder_side(bucket[0], columns), _encoder_side(bucket[1], rows)


def _encoder_side(nominal_px: int, latents: int) -> int:
    side = round(ENCODER_SCALE * nominal_px)
    return min(max(side, ENCODER_STRIDE_PX * (latents - 1) + 1), ENCODER_STRIDE_PX * latents)


def generated_buckets(width_px: int, height_px: int) -> tuple[SizeWH, ...]:
    """Return buckets of about the area width x height: sides on the 128-pixel grid, up to 2:1."""
    cells = max(1.0, width_px * height_px / BUCKET_GRID_PX**2)
    nearest = max(1, round(width_px / BUCKET_GRID_PX)), max(1, round(height_px / BUCKET_GRID_PX))
    found = {nearest}
    for side in range(1, math.ceil(math.sqrt(cells * MAX_BUCKET_ASPECT)) + 1):
        other = max(1, round(cells / side))
        if max(side, other) <= MAX_BUCKET_ASPECT * min(side, other):
            found |= {(side, other), (other, side)}
    return tuple(sorted((w * BUCKET_GRID_PX, h * BUCKET_GRID_PX) for w, h in found))


def buckets_of(backend: ImageBackend) -> tuple[SizeWH, ...]:
    """Return the backend's ``bucket_resolutions``, or generated ones around its ``resolution``."""
    if backend.bucket_resolutions:
        return tuple((bucket.width, bucket.height) for bucket in backend.bucket_resolutions)
    return generated_buckets(backend.resolution.width, backend.resolution.height)


def choose_bucket(width_px: int, height_px: int, buckets: Sequence[SizeWH]) -> SizeWH:
    """Return the bucket nearest in aspect ratio; of several, the nearest in area."""
    aspect, area = math.log(width_px / height_px), math.log(width_px * height_px)

    def distance(bucket: SizeWH) -> tuple[float, float]:
        width, height = bucket
        aspect_error = abs(math.log(width / height) - aspect)
        return round(aspect_error, 9), abs(math.log(width * height) - area)

    return min(buckets, key=distance)


def plan_image(image: ImageFile, backend: ImageBackend, *, seed: int) -> PlannedImage:
    """Choose the bucket and the crop of a photograph.

    The crop covers as much of the source as the bucket's shape allows, save for a photograph over
    ``maximum_image_size``: its shorter side counts as ``target_downsample_size``, and with ``crop``
    the bucket is cut out of that. ``crop_style`` places the cut when ``crop`` is set, else it is
    the centre; a random place depends on the seed and the content alone.
    """
    bucket = choose_bucket(image.width, image.height, buckets_of(backend))
    scale = max(bucket[0] / image.width, bucket[1] / image.height)
    if backend.crop and _is_downsampled(image, backend):
        assert backend.target_downsample_size is not None
        scale = max(scale, backend.target_downsample_size / min(image.width, image.height))
    width = min(float(image.width), bucket[0] / scale)
    height = min(float(image.height), bucket[1] / scale)
    across, down = _crop_place(image.content_id, backend, seed)
    left, top = (image.width - width) * across, (image.height - height) * down
    right, bottom = min(left + width, image.width), min(top + height, image.height)
    # To a thousandth of a pixel: rounding noise of the arithmetic is no part of a cache key.
    crop = (round(left, 3), round(top, 3), round(float(right), 3), round(float(bottom), 3))
    return PlannedImage(
        image=image,
        bucket=bucket,
        crop=crop,
        encoder_size=encoder_size(bucket),
        latent=latent_grid(*bucket),
    )


def _is_downsampled(image: ImageFile, backend: ImageBackend) -> bool:
    limit, target = backend.maximum_image_size, backend.target_downsample_size
    return bool(limit and target) and max(image.width, image.height) > (limit or 0)


def _crop_place(content_id: str, backend: ImageBackend, seed: int) -> tuple[float, float]:
    """Return where in the free space the crop lies: (across, down), each in [0, 1]."""
    if not backend.crop or backend.crop_style == "center":
        return 0.5, 0.5
    if backend.crop_style == "corner":
        return 0.0, 0.0
    digest = hashlib.blake2b(f"crop/{seed}/{content_id}".encode(), digest_size=16).digest()
    return (
        int.from_bytes(digest[:8], "little") / 2**64,
        int.from_bytes(digest[8:], "little") / 2**64,
    )
