"""Fills the caches: only what is needed and not there yet, in batches of one shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import torch
from torch import Tensor

from engine.cache.keys import latent_key, text_key
from engine.cache.progress import BuildResult, CachePlan, Meter, Report
from engine.cache.store import ShardStore
from engine.cache.writer import ShardWriter
from engine.data.buckets import PlannedImage
from engine.data.decode import PixelError
from engine.data.pixels import load_pixels
from engine.data.pool import map_ahead

CLIP_TEXT, CLIP_TEXT_POOLED, LATENTS = "clip_text", "clip_text_pooled", "latents"

EncodeText = Callable[[list[str]], tuple[Tensor, Tensor]]
EncodePixels = Callable[[Tensor], Tensor]
ShouldStop = Callable[[], bool]
Quarantine = Callable[[Path, str], None]
Item = tuple[str, PlannedImage]
Decoded = tuple[str, PlannedImage, Tensor | str]


_NUM_TOKENS, _LATENT_CHANNELS = 77, 16
_HEADER_BYTES = 160  # what a tensor's name, place and checksum take in a shard's header


class NonFiniteEmbedsError(ValueError):
    """The text encoder gave NaN or infinity for a caption."""


def plan_text_cache(
    store: ShardStore,
    captions: Iterable[str],
    *,
    encoder_hash: str,
    dtype: torch.dtype = torch.bfloat16,
    text_width: int = 1280,
) -> CachePlan:
    """Return what ``build_text_cache`` would do, without doing it; ``text_width`` is D."""
    keys = {text_key(text, encoder_hash=encoder_hash, dtype=dtype) for text in captions}
    absent = len(store.missing(keys))
    size = (_NUM_TOKENS + 1) * text_width * dtype.itemsize + 2 * _HEADER_BYTES
    return CachePlan(len(keys), len(keys) - absent, absent * size)


def plan_latent_cache(
    store: ShardStore,
    planned: Iterable[PlannedImage],
    *,
    encoder_hash: str,
    dtype: torch.dtype = torch.float32,
) -> CachePlan:
    """Return what ``build_latent_cache`` would do, without doing it."""
    sizes = {
        latent_key(image, encoder_hash=encoder_hash, dtype=dtype): math.prod(image.latent)
        for image in planned
    }
    absent = store.missing(sizes)
    num_bytes = sum(
        _LATENT_CHANNELS * sizes[key] * dtype.itemsize + _HEADER_BYTES for key in absent
    )
    return CachePlan(len(sizes), len(sizes) - len(absent), num_bytes)


def build_text_cache(
    store: ShardStore,
    captions: Iterable[str],
    encode: EncodeText,
    *,
    encoder_hash: str,
    dtype: torch.dtype = torch.bfloat16,
    batch_size: int,
    report: Report | None = None,
    should_stop: ShouldStop | None = None,
) -> BuildResult:
    """Encode the captions that the store lacks, each different one once.

    ``encode`` gives (clip_text [n, 77, D], clip_text_pooled [n, 1, D]), in memory of their own, for
    n captions. An entry holds ``clip_text`` [77, D] and ``clip_text_pooled`` [1, D] as ``dtype``.

    Raises:
        NonFiniteEmbedsError: a caption's embeds are not finite.
        OSError: the store can't be written to (disk full).
    """
    keys = {text_key(text, encoder_hash=encoder_hash, dtype=dtype): text for text in captions}
    absent = store.missing(keys)
    meter = Meter("text", needed=len(keys), hits=len(keys) - len(absent), report=report)
    stopped = False
    with store.writer() as writer:
        for start in range(0, len(absent), batch_size):
            if should_stop is not None and should_stop():
                stopped = True
                break
            batch = absent[start : start + batch_size]
            clip_text, pooled = encode([keys[key] for key in batch])
            clip_text, pooled = clip_text.to(dtype), pooled.to(dtype)
            finite = (_finite_rows(clip_text) & _finite_rows(pooled)).tolist()
            if not all(finite):
                raise NonFiniteEmbedsError(
                    "the text encoder gives NaN or infinity for "
                    f"{keys[batch[finite.index(False)]]!r}: its weights are damaged, or its "
                    "precision is too low"
                )
            for key, text_ND, pooled_1D in zip(batch, clip_text.cpu(), pooled.cpu(), strict=True):
                writer.add(key, {CLIP_TEXT: text_ND, CLIP_TEXT_POOLED: pooled_1D})
            meter.add(len(batch), num_bytes=writer.bytes_added)
    return meter.finish(stopped=stopped)


def build_latent_cache(
    store: ShardStore,
    planned: Sequence[PlannedImage],
    encode: EncodePixels,
    *,
    encoder_hash: str,
    dtype: torch.dtype = torch.float32,
    batch_size: int,
    report: Report | None = None,
    should_stop: ShouldStop | None = None,
    quarantine: Quarantine,
) -> BuildResult:
    """Encode the photographs whose latents the store lacks.

    ``encode`` gives [n, 16, h, w], in memory of its own, for pixels [n, 3, H, W] float32 in [0, 1]
    on the CPU. An entry holds ``latents`` [16, h, w] as ``dtype``. A photograph that can't be
    read, or whose latent is not finite, goes to ``quarantine`` (path, reason), and the build goes
    on.

    Raises:
        OSError: the store can't be written to (disk full).
    """
    by_key: dict[str, list[PlannedImage]] = {}
    for image in planned:
        key = latent_key(image, encoder_hash=encoder_hash, dtype=dtype)
        by_key.setdefault(key, []).append(image)

    def fail(key: str, reason: str) -> None:
        for image in by_key[key]:
            quarantine(image.image.path, reason)

    absent = store.missing(by_key)
    meter = Meter("latent", needed=len(by_key), hits=len(by_key) - len(absent), report=report)
    # By size, so that a batch is of one shape and no size comes up twice.
    items = sorted(((key, by_key[key][0]) for key in absent), key=lambda it: it[1].encoder_size)
    decoded = map_ahead(_decode, items, ahead=2 * batch_size)
    stopped = False
    with store.writer() as writer, closing(decoded):
        for batch in _batches(decoded, batch_size):
            if should_stop is not None and should_stop():
                stopped = True
                break
            failures = _encode_batch(batch, encode, dtype, writer)
            for key, reason in failures.items():
                fail(key, reason)
            meter.add(len(batch), num_bytes=writer.bytes_added, failed=len(failures))
    return meter.finish(stopped=stopped)


def _decode(item: Item) -> Decoded:
    """Return the pixels of a planned photograph, or the reason why there are none."""
    key, planned = item
    try:
        return key, planned, load_pixels(planned)
    except PixelError as error:
        return key, planned, str(error)


def _batches(decoded: Iterable[Decoded], batch_size: int) -> Iterator[list[Decoded]]:
    """Group neighbours of one encoder size, at most ``batch_size`` of them."""
    batch: list[Decoded] = []
    for row in decoded:
        if batch and (len(batch) == batch_size or batch[0][1].encoder_size != row[1].encoder_size):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _encode_batch(
    batch: Sequence[Decoded], encode: EncodePixels, dtype: torch.dtype, writer: ShardWriter
) -> dict[str, str]:
    """Encode one batch into the store; return key -> reason of what can't be had."""
    failures = {key: pixels for key, _, pixels in batch if isinstance(pixels, str)}
    good = [(key, planned, p) for key, planned, p in batch if isinstance(p, Tensor)]
    if not good:
        return failures
    latents = encode(torch.stack([pixels for _, _, pixels in good])).to(dtype)
    finite = _finite_rows(latents).tolist()
    for (key, planned, _), latent, is_finite in zip(good, latents.cpu(), finite, strict=True):
        assert tuple(latent.shape[1:]) == planned.latent, (latent.shape, planned.latent)
        if is_finite:
            writer.add(key, {LATENTS: latent})
        else:
            failures[key] = "its latent is not finite (NaN or infinity)"
    return failures


def _finite_rows(batch: Tensor) -> Tensor:
    """Return for each row whether it is finite: a sum hands NaN and infinity on, and is cheap."""
    return batch.flatten(1).sum(1, dtype=torch.float32).isfinite()
