"""What the demo's photographs promise: few bytes, captions twice, free to use, credited."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from PIL import Image

from engine.tiny.layout import PHOTOGRAPHS_NAME, SOURCE
from engine.tiny.photographs import NoPhotographsError, load_photographs, random_crops

FOLDER = SOURCE / PHOTOGRAPHS_NAME
PATHS = sorted(FOLDER.glob("*.jpg"))
FROM_SCIKIT_IMAGE = {
    "a smiling astronaut in an orange suit": "astronaut",
    "a tabby cat with green eyes": "chelsea",
    "a red cup of coffee on a wooden table": "coffee",
    "countless galaxies in a black sky": "hubble_deep_field",
    "the retina of a human eye": "retina",
    "a rocket on its launch pad at dusk": "rocket",
}


def test_there_are_eight_small_colour_photographs() -> None:
    assert len(PATHS) == 8
    for path in PATHS:
        with Image.open(path) as picture:
            assert picture.mode == "RGB"
            assert 288 <= min(picture.size) <= max(picture.size) <= 512
        assert path.stat().st_size < 100_000


def test_each_has_a_longer_caption_in_a_text_file_of_one_line() -> None:
    for path in PATHS:
        lines = path.with_suffix(".txt").read_text().splitlines()
        assert len(lines) == 1
        assert len(lines[0]) > len(path.stem)


def test_each_is_credited_as_public_domain_or_cc0() -> None:
    rows = (FOLDER / "CREDITS.md").read_text().splitlines()
    for path in PATHS:
        (row,) = [row for row in rows if row.startswith(f"| {path.stem} |")]
        assert row.split("|")[4].strip() in ("public domain", "CC0")


@pytest.mark.parametrize(("caption", "name"), FROM_SCIKIT_IMAGE.items())
def test_those_credited_to_scikit_image_are_its_pictures(caption: str, name: str) -> None:
    with Image.open(FOLDER / f"{caption}.jpg") as picture:
        ours = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), dtype=float)
    source = Image.fromarray(getattr(skimage.data, name)())
    theirs = np.asarray(source.resize((64, 64), Image.Resampling.BOX), dtype=float)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


def test_random_crops_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    pictures = list(load_photographs(FOLDER).values())
    first = random_crops(pictures, 32, count=9, seed=1)
    assert first.shape == (9, 3, 32, 32)
    assert 0 <= first.min() <= first.max() <= 1
    assert first.equal(random_crops(pictures, 32, count=9, seed=1))
    assert not first.equal(random_crops(pictures, 32, count=9, seed=2))


def test_an_empty_folder_is_named(tmp_path) -> None:
    with pytest.raises(NoPhotographsError, match="holds no"):
        load_photographs(tmp_path)
