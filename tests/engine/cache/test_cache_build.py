"""Builds make what is needed and missing, once, and survive what they meet."""

import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.cache.build import (
    NonFiniteEmbedsError,
    build_latent_cache,
    build_text_cache,
    plan_latent_cache,
    plan_text_cache,
)
from engine.cache.keys import latent_key, text_key
from engine.cache.store import ShardStore
from engine.data.buckets import PlannedImage, plan_image
from engine.data.scan import scan_backend

HASH = "encoder-1"


@dataclass(frozen=True)
class Size:
    width: int
    height: int


@dataclass(frozen=True)
class Backend:
    instance_data_dir: Path
    id: str = "primary"
    resolution: Size = Size(128, 128)
    bucket_resolutions: tuple[Size, ...] = (Size(128, 128), Size(128, 256))
    crop: bool = True
    crop_style: str = "random"
    minimum_image_size: int | None = None
    maximum_image_size: int | None = None
    target_downsample_size: int | None = None
    caption_strategy: str = "filename"
    instance_prompt: str | None = None
    prepend_instance_prompt: bool = False


class Encoder:
    """Means over 32-pixel tiles as latents; remembers the batches it was given."""

    def __init__(self):
        self.batches = []

    def __call__(self, pixels):
        assert pixels.dtype == torch.float32
        assert 0 <= pixels.min() <= pixels.max() <= 1
        self.batches.append(tuple(pixels.shape))
        return torch.nn.functional.avg_pool2d(pixels, 32).mean(1, keepdim=True).repeat(1, 16, 1, 1)


class TextEncoder:
    def __init__(self):
        self.batches = []

    def __call__(self, captions):
        self.batches.append(captions)
        lengths = torch.tensor([float(len(caption)) for caption in captions])
        return lengths[:, None, None].repeat(1, 77, 8), lengths[:, None, None].repeat(1, 1, 8)


@pytest.fixture
def backend(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(6):
        photograph(folder / f"photo_{chr(97 + number)}.jpg", number, tall=number % 2)
    return Backend(folder)


def photograph(path, seed, *, tall=False):
    values = np.random.default_rng(seed).integers(0, 256, (300 if tall else 150, 170, 3), np.uint8)
    Image.fromarray(values).save(path)


def plan(backend) -> list[PlannedImage]:
    return [plan_image(sample, backend, seed=1) for sample in scan_backend(backend).samples]


def build(store, planned, encode=None, **options):
    """Build with a small batch; return (result, reason by file name)."""
    reasons = {}
    result = build_latent_cache(
        store,
        planned,
        encode or Encoder(),
        encoder_hash=options.pop("encoder_hash", HASH),
        batch_size=options.pop("batch_size", 2),
        quarantine=lambda path, reason: reasons.__setitem__(path.name, reason),
        **options,
    )
    return result, reasons


def keys_of(planned, encoder_hash=HASH):
    return [latent_key(image, encoder_hash=encoder_hash) for image in planned]


def test_each_photograph_has_its_own_latent_of_the_planned_grid(tmp_path, backend):
    store, encode, planned = ShardStore(tmp_path / "cache"), Encoder(), plan(backend)
    result, reasons = build(store, planned, encode)
    assert (result.needed, result.hits, result.made, result.failed) == (6, 0, 6, 0)
    assert not result.stopped
    assert reasons == {}
    assert sorted(encode.batches) == sorted(
        [(2, 3, 96, 96), (1, 3, 96, 96), (2, 3, 192, 96), (1, 3, 192, 96)]
    )
    found = [store.get(key)["latents"] for key in keys_of(planned)]
    for image, latents in zip(planned, found, strict=True):
        assert latents.shape == (16, *image.latent)
        assert latents.dtype == torch.float32
    assert len({tuple(latents.flatten().tolist()) for latents in found}) == 6


def test_a_second_build_makes_nothing(tmp_path, backend):
    build(ShardStore(tmp_path / "cache"), plan(backend))
    encode = Encoder()
    result, _ = build(ShardStore(tmp_path / "cache"), plan(backend), encode)
    assert (result.needed, result.hits, result.made) == (6, 6, 0)
    assert encode.batches == []


def test_one_edited_photograph_is_exactly_one_new_key(tmp_path, backend):
    store = ShardStore(tmp_path / "cache")
    before = keys_of(plan(backend))
    build(store, plan(backend))
    photograph(backend.instance_data_dir / "photo_c.jpg", 77)
    after = keys_of(plan(backend))
    assert len(set(after) - set(before)) == len(store.missing(after)) == 1
    result, _ = build(store, plan(backend))
    assert (result.hits, result.made) == (5, 1)


def test_a_renamed_or_recaptioned_photograph_needs_nothing(tmp_path, backend):
    store = ShardStore(tmp_path / "cache")
    build(store, plan(backend))
    folder = backend.instance_data_dir
    (folder / "photo_c.jpg").rename(folder / "another name.jpg")
    assert build(store, plan(backend))[0].made == 0


@pytest.mark.parametrize(
    "change",
    [
        {"crop": False},
        {"crop_style": "corner"},
        {"bucket_resolutions": (Size(256, 256), Size(256, 512))},
    ],
)
def test_another_geometry_is_another_key(backend, change):
    planned, changed = plan(backend), plan(replace(backend, **change))
    assert not set(keys_of(planned)) & set(keys_of(changed))


def test_another_encoder_or_precision_is_another_key(backend):
    [image, *_] = plan(backend)
    keys = {
        latent_key(image, encoder_hash="encoder-1"),
        latent_key(image, encoder_hash="encoder-2"),
        latent_key(image, encoder_hash="encoder-1", dtype=torch.float16),
        text_key("a dog", encoder_hash="encoder-1"),
        text_key("a dog", encoder_hash="encoder-2"),
        text_key("a dog ", encoder_hash="encoder-1"),
        text_key("a dog", encoder_hash="encoder-1", dtype=torch.float32),
    }
    assert len(keys) == 7


def test_keys_stay_what_they_are():
    assert text_key("a red barn", encoder_hash="abc") == "3af53e780ef4de833e9c1fa44fff6d02"


def test_two_files_of_one_content_are_encoded_once(tmp_path, backend):
    folder = backend.instance_data_dir
    (folder / "copy.jpg").write_bytes((folder / "photo_a.jpg").read_bytes())
    result, _ = build(ShardStore(tmp_path / "cache"), plan(backend))
    assert len(plan(backend)) == 7
    assert result.needed == result.made == 6


def test_a_photograph_lost_after_the_scan_is_quarantined_and_the_rest_is_made(tmp_path, backend):
    planned = plan(backend)
    folder = backend.instance_data_dir
    (folder / "photo_a.jpg").unlink()
    (folder / "photo_b.jpg").write_bytes(b"gone bad")
    store = ShardStore(tmp_path / "cache")
    result, reasons = build(store, planned)
    assert (result.made, result.failed) == (4, 2)
    assert reasons.keys() == {"photo_a.jpg", "photo_b.jpg"}
    assert "can't be read" in reasons["photo_a.jpg"]
    assert "changed" in reasons["photo_b.jpg"]
    assert len(store.missing(keys_of(planned))) == 2


def test_a_latent_that_is_not_finite_is_quarantined_under_each_of_its_names(tmp_path, backend):
    folder = backend.instance_data_dir
    (folder / "copy.jpg").write_bytes((folder / "photo_a.jpg").read_bytes())
    encode = Encoder()

    def first_fails(pixels):
        latents = encode(pixels)
        if len(encode.batches) == 1:
            latents[0, 0, 0, 0] = float("nan")
        return latents

    planned = [
        image for image in plan(backend) if image.image.path.name in ("photo_a.jpg", "copy.jpg")
    ]
    store = ShardStore(tmp_path / "cache")
    result, reasons = build(store, planned, first_fails)
    assert (result.made, result.failed) == (0, 1)
    assert reasons.keys() == {"photo_a.jpg", "copy.jpg"}
    assert "not finite" in reasons["copy.jpg"]
    assert len(store) == 0


def test_every_thread_decodes_though_the_encoder_takes_one_at_a_time(
    tmp_path, backend, monkeypatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    planned = plan(backend)
    contents = {image.image.path: image.image.path.read_bytes() for image in planned}
    for path in contents:
        path.unlink()
        os.mkfifo(path)
    store = ShardStore(tmp_path / "cache")
    builder = threading.Thread(target=lambda: build(store, planned, batch_size=1))
    builder.start()
    # A pipe opens for writing once somebody reads it: all six are being read at the same time.
    pipes = {path: path.open("wb") for path in contents}
    for path, pipe in pipes.items():
        with pipe:
            pipe.write(contents[path])
    builder.join()
    assert store.missing(keys_of(planned)) == []


def test_a_plan_says_what_a_build_then_does(tmp_path, backend):
    store, planned = ShardStore(tmp_path / "cache"), plan(backend)
    build(store, planned[:2])
    before = store.num_bytes
    planning = plan_latent_cache(store, planned, encoder_hash=HASH)
    result, _ = build(store, planned)
    assert (planning.needed, planning.present, planning.missing) == (6, 2, 4)
    assert (result.needed, result.hits, result.made) == (6, 2, 4)
    assert store.num_bytes - before == pytest.approx(planning.estimated_bytes, rel=0.1)
    done = plan_latent_cache(store, planned, encoder_hash=HASH)
    assert (done.missing, done.estimated_bytes) == (0, 0)


def test_a_plan_of_text_says_what_a_build_then_does(tmp_path):
    store, captions = ShardStore(tmp_path), ["a dog", "a cat", "a dog", ""]
    planning = plan_text_cache(store, captions, encoder_hash=HASH, text_width=8)
    build_text_cache(store, captions, TextEncoder(), encoder_hash=HASH, batch_size=3)
    assert (planning.needed, planning.present) == (3, 0)
    assert store.num_bytes == pytest.approx(planning.estimated_bytes, rel=0.1)
    assert plan_text_cache(store, ["a dog"], encoder_hash=HASH, text_width=8).missing == 0


def test_a_build_that_is_asked_to_stop_keeps_what_it_made(tmp_path, backend):
    encode = Encoder()
    result, _ = build(
        ShardStore(tmp_path / "cache"),
        plan(backend),
        encode,
        should_stop=lambda: len(encode.batches) == 1,
    )
    assert result.stopped
    assert result.made == 2
    again, _ = build(ShardStore(tmp_path / "cache"), plan(backend))
    assert (again.hits, again.made, again.stopped) == (2, 4, False)


def test_progress_ends_at_everything_settled(tmp_path, backend):
    build(ShardStore(tmp_path / "cache"), plan(backend)[:2])
    seen = []
    build(ShardStore(tmp_path / "cache"), plan(backend), report=seen.append)
    last = seen[-1]
    assert (last.which, last.done, last.total, last.hits) == ("latent", 6, 6, 2)
    assert last.eta_seconds == 0
    assert last.per_second > 0
    assert last.bytes == 2 * 16 * 3 * 3 * 4 + 2 * 16 * 6 * 3 * 4
    assert [p.done for p in seen] == sorted(p.done for p in seen)


def test_progress_of_nothing_to_do_is_told_once(tmp_path, backend):
    build(ShardStore(tmp_path / "cache"), plan(backend))
    seen = []
    build(ShardStore(tmp_path / "cache"), plan(backend), report=seen.append)
    assert [(p.done, p.total, p.per_second, p.eta_seconds) for p in seen] == [(6, 6, 0.0, None)]


def test_each_different_caption_is_encoded_once(tmp_path):
    store, encode = ShardStore(tmp_path), TextEncoder()
    captions = ["a dog", "a cat", "a dog", "", "a good dog"]
    result = build_text_cache(store, captions, encode, encoder_hash=HASH, batch_size=3)
    assert (result.needed, result.made) == (4, 4)
    assert encode.batches == [["a dog", "a cat", ""], ["a good dog"]]
    entry = store.get(text_key("a good dog", encoder_hash=HASH))
    assert entry["clip_text"].shape == (77, 8)
    assert entry["clip_text_pooled"].shape == (1, 8)
    assert entry["clip_text"].dtype == torch.bfloat16
    assert entry["clip_text"].unique().tolist() == [10.0]
    more = build_text_cache(store, [*captions, "new"], encode, encoder_hash=HASH, batch_size=3)
    assert (more.hits, more.made) == (4, 1)


def test_a_text_build_stops_when_asked(tmp_path):
    encode = TextEncoder()
    result = build_text_cache(
        ShardStore(tmp_path),
        list("abcdef"),
        encode,
        encoder_hash=HASH,
        batch_size=2,
        should_stop=lambda: len(encode.batches) == 2,
    )
    assert (result.made, result.stopped) == (4, True)


def test_embeds_that_are_not_finite_end_the_build_and_name_the_caption(tmp_path):
    def broken(captions):
        clip_text, pooled = TextEncoder()(captions)
        return clip_text, pooled * float("inf")

    store = ShardStore(tmp_path)
    with pytest.raises(NonFiniteEmbedsError, match="'a dog'"):
        build_text_cache(store, ["a dog"], broken, encoder_hash=HASH, batch_size=2)
    assert len(store) == 0
