"""What the encoder is shown of photographs in every colour mode."""

import numpy as np
import pytest
import torch
from PIL import Image

from engine.data.buckets import plan_image
from engine.data.decode import PixelError, decode, to_rgb
from engine.data.pixels import load_pixels
from engine.data.scan import scan_backend


@pytest.fixture
def load(backend):
    """Scan the folder's one photograph and load it through a square bucket of 128 px."""

    def run(**options):
        options = {"bucket_resolutions": [(128, 128)], **options}
        [sample] = scan_backend(backend(**options)).samples
        return load_pixels(plan_image(sample, backend(**options), seed=1))

    return run


def colours(pixels):
    """The colour in the middle of each quarter: [[r, g, b], ...], 0..255, row by row."""
    return [(pixels[:, y, x] * 255).round().int().tolist() for y in (20, 76) for x in (20, 76)]


QUARTERS = [[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 250]]


def quarters(mode="RGB"):
    values = np.array(QUARTERS, np.uint8).reshape(2, 2, 3)
    return Image.fromarray(values.repeat(64, 0).repeat(64, 1)).convert(mode)


@pytest.mark.parametrize("extension", ["png", "bmp", "tiff"])
def test_pixels_are_rgb_float_in_0_to_1_with_rows_down(folder, load, extension):
    quarters().save(folder / f"photo.{extension}")
    pixels = load()
    assert pixels.shape == (3, 96, 96)
    assert pixels.dtype == torch.float32
    assert colours(pixels) == QUARTERS


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "L", "1", "LA"])
def test_every_colour_mode_gives_what_its_rgb_twin_gives(folder, load, mode):
    path = folder / "photo.tiff"
    image = quarters(mode)
    image.save(path)
    pixels = load()
    image.convert("RGB").save(path)
    assert torch.equal(pixels, load())
    if mode in ("RGBA", "CMYK"):
        assert colours(pixels) == QUARTERS


def test_a_cmyk_jpeg_has_its_colours(folder, load):
    quarters("CMYK").save(folder / "photo.jpg", quality=95)
    assert np.abs(np.array(colours(load())) - QUARTERS).max() < 12


def test_transparency_lies_on_white(folder, load):
    clear = Image.new("RGBA", (128, 128), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (0, 0, 64, 64))
    clear.save(folder / "photo.png")
    assert colours(load()) == [[200, 0, 0]] + [[255, 255, 255]] * 3


def test_a_transparent_palette_colour_lies_on_white(folder, load):
    image = quarters("RGB").quantize(4)
    image.info["transparency"] = image.getpixel((0, 0))
    image.save(folder / "photo.png")
    assert colours(load())[0] == [255, 255, 255]


def test_16_bit_grey_is_scaled_and_not_clipped(folder, load):
    values = np.full((128, 128), 32896, np.uint16)
    Image.fromarray(values).save(folder / "photo.png")
    assert colours(load()) == [[128] * 3] * 4


@pytest.mark.parametrize(("tag", "first"), [(3, 3), (6, 2), (8, 1), (2, 1)])
def test_exif_orientation_is_applied_before_the_crop(folder, load, tag, first):
    exif = Image.Exif()
    exif[0x0112] = tag
    quarters().save(folder / "photo.png", exif=exif)
    assert colours(load())[0] == QUARTERS[first]


def test_exif_data_that_could_not_be_written_again_still_turns_the_photograph(folder, load):
    orientation = b"\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00"
    resolution_as_text = b"\x01\x1a\x00\x02\x00\x00\x00\x0472\x00\x00"
    entries = b"\x00\x02" + orientation + resolution_as_text + bytes(4)
    exif = b"Exif\x00\x00MM\x00*\x00\x00\x00\x08" + entries
    quarters().save(folder / "photo.png", exif=exif)
    assert colours(load())[0] == QUARTERS[2]


def test_a_corner_crop_of_a_turned_photograph_is_its_upright_corner(folder, load):
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored picture's left edge is the upright one's top
    wide = Image.new("RGB", (256, 128), "blue")
    wide.paste("red", (0, 0, 128, 128))
    wide.save(folder / "photo.png", exif=exif)
    assert colours(load(crop=True, crop_style="corner")) == [[255, 0, 0]] * 4
    assert colours(load(crop=True, crop_style="center"))[::3] == [[255, 0, 0], [0, 0, 255]]


def test_the_one_resize_is_antialiased_bilinear_of_the_cropped_source(folder, load, photograph):
    path = photograph("photo.png", 400, 300, seed=4)
    pixels = load()
    source = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None].float() / 255
    expected = torch.nn.functional.interpolate(
        source[..., 50:350], (96, 96), mode="bilinear", antialias=True
    )[0]
    # Inside the seam: there one filter sees beyond the crop and the other does not.
    inner = slice(2, -2)
    difference = (pixels - expected)[:, inner, inner].abs().max().item()
    assert difference < 1.5 / 255


def test_a_file_that_changed_after_the_scan_is_refused(backend, photograph):
    path = photograph("photo.jpg", seed=1)
    [sample] = scan_backend(backend()).samples
    photograph("photo.jpg", seed=2)
    with pytest.raises(PixelError, match="changed after it was scanned"):
        load_pixels(plan_image(sample, backend(), seed=1))
    path.unlink()
    with pytest.raises(PixelError, match="No such file"):
        load_pixels(plan_image(sample, backend(), seed=1))


def test_a_picture_of_several_frames_gives_the_first(folder):
    frames = [quarters(), Image.new("RGB", (128, 128), "black")]
    frames[0].save(folder / "photo.tiff", save_all=True, append_images=frames[1:])
    image = to_rgb(decode((folder / "photo.tiff").read_bytes()))
    assert image.getpixel((0, 0)) == (250, 0, 0)
