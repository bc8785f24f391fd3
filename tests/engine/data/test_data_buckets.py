"""The arithmetic from a photograph's size to its latent grid."""

import json
from pathlib import Path

import pytest

from engine.data.buckets import (
    choose_bucket,
    encoder_size,
    generated_buckets,
    latent_grid,
    plan_image,
)
from engine.data.scan import ImageFile

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "buckets.json").read_text())
QUICKSTART = [(1024, 1024), (896, 1152), (1152, 896)]


def image(width, height, content_id="c0ffee"):
    return ImageFile(Path("photo.jpg"), content_id, width, height, ("a photo",), "primary")


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: f"{row['width']}x{row['height']}")
def test_the_latent_grid_is_the_published_one(row):
    assert list(latent_grid(row["width"], row["height"])) == row["latent_hw"]


@pytest.mark.parametrize("row", GOLDEN["rows"], ids=lambda row: f"{row['width']}x{row['height']}")
def test_the_encoder_arrives_at_the_latent_grid_from_within_a_pixel_of_three_quarters(row):
    width, height = encoder_size((row["width"], row["height"]))
    assert [-(-height // 32), -(-width // 32)] == row["latent_hw"]
    exact_height, exact_width = row["effnet_input_hw_exact"]
    assert abs(width - exact_width) <= 1
    assert abs(height - exact_height) <= 1


def test_the_encoders_rounding_is_the_measured_one():
    for pixels, latents in GOLDEN["effnet_side"]["pairs"]:
        assert -(-pixels // 32) == latents


def test_1024_px_is_seen_at_768_and_becomes_24_latents():
    assert encoder_size((1024, 1024)) == (768, 768)
    assert encoder_size((896, 1152)) == (672, 864)
    assert latent_grid(896, 1152) == (27, 21)


@pytest.mark.parametrize("side", [128, 256, 384, 512, 768, 1024, 1536])
def test_generated_buckets_keep_to_the_grid_the_shape_and_about_the_area(side):
    buckets = generated_buckets(side, side)
    assert (side, side) in buckets
    for width, height in buckets:
        assert width % 128 == height % 128 == 0
        assert max(width, height) <= 2 * min(width, height)
        assert (height, width) in buckets
        if side >= 512:
            assert 0.87 <= width * height / side**2 <= 1.13


@pytest.mark.parametrize(
    ("size", "bucket"),
    [
        ((4000, 4000), (1024, 1024)),
        ((3000, 4000), (896, 1152)),
        ((4000, 3000), (1152, 896)),
        ((1000, 3000), (896, 1152)),
        ((960, 1024), (1024, 1024)),
    ],
)
def test_a_photograph_goes_to_the_bucket_nearest_in_aspect(size, bucket):
    assert choose_bucket(*size, QUICKSTART) == bucket


def test_of_buckets_of_one_aspect_the_nearest_in_area_is_chosen():
    buckets = [(1024, 1024), (512, 512), (768, 768)]
    assert choose_bucket(700, 700, buckets) == (768, 768)
    assert choose_bucket(4000, 4000, buckets) == (1024, 1024)


def test_without_crop_only_the_remainder_is_cut_and_evenly(backend):
    options = backend(bucket_resolutions=QUICKSTART, crop=False, crop_style="corner")
    planned = plan_image(image(3000, 4000), options, seed=1)
    left, top, right, bottom = planned.crop
    assert (top, bottom) == (pytest.approx(71.43, abs=0.01), pytest.approx(3928.57, abs=0.01))
    assert (left, right) == (0, 3000)
    assert planned.encoder_size == (672, 864)
    assert planned.latent == (27, 21)


@pytest.mark.parametrize("style", ["center", "corner", "random"])
@pytest.mark.parametrize("size", [(3000, 4000), (1024, 1024), (333, 999), (901, 1153), (40, 30)])
def test_a_crop_has_the_buckets_shape_and_lies_within_the_photograph(backend, style, size):
    options = backend(bucket_resolutions=QUICKSTART, crop=True, crop_style=style)
    planned = plan_image(image(*size), options, seed=1)
    left, top, right, bottom = planned.crop
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    width, height = planned.bucket
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=1e-3)
    assert right - left == size[0] or bottom - top == size[1]


def test_a_corner_crop_starts_at_the_corner(backend):
    options = backend(bucket_resolutions=[(1024, 1024)], crop=True, crop_style="corner")
    assert plan_image(image(3000, 2000), options, seed=1).crop == (0, 0, 2000, 2000)


def test_a_random_crop_depends_on_seed_and_content_alone(backend):
    options = backend(bucket_resolutions=[(1024, 1024)], crop=True, crop_style="random")
    first = plan_image(image(4000, 2000, "aa"), options, seed=1).crop
    assert plan_image(image(4000, 2000, "aa"), options, seed=1).crop == first
    assert plan_image(image(4000, 2000, "aa"), options, seed=2).crop != first
    assert plan_image(image(4000, 2000, "bb"), options, seed=1).crop != first
    lefts = [plan_image(image(4000, 2000, str(n)), options, seed=1).crop[0] for n in range(200)]
    assert min(lefts) < 100
    assert max(lefts) > 1900


def test_a_photograph_over_the_maximum_is_cut_from_its_downsampled_size(backend):
    options = {
        "bucket_resolutions": [(1024, 1024)],
        "crop": True,
        "maximum_image_size": 1536,
        "target_downsample_size": 1280,
    }
    left, top, right, bottom = plan_image(image(4000, 2000), backend(**options), seed=1).crop
    # 2000 px count as 1280, of which 1024 are cut out: 1600 source pixels.
    assert (right - left, bottom - top) == (1600, 1600)
    assert (left, top) == (1200, 200)
    within = plan_image(image(1536, 1200), backend(**options), seed=1).crop
    assert within == (168, 0, 1368, 1200)
    whole = plan_image(image(4000, 2000), backend(**options | {"crop": False}), seed=1).crop
    assert whole == (1000, 0, 3000, 2000)


def test_a_downsample_target_below_the_bucket_does_not_starve_the_bucket(backend):
    options = backend(
        bucket_resolutions=[(1024, 1024)],
        crop=True,
        maximum_image_size=1536,
        target_downsample_size=512,
    )
    assert plan_image(image(4000, 2000), options, seed=1).crop == (1000, 0, 3000, 2000)


def test_without_bucket_resolutions_they_are_generated_around_the_resolution(backend):
    assert plan_image(image(3000, 4000), backend(), seed=1).bucket == (896, 1152)
    assert plan_image(image(2000, 4000), backend(), seed=1).bucket == (768, 1408)
