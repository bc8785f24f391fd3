"""Fills the caches of a run: what is needed and not there is made, by all processes together."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from engine.cache.build import (
    EncodeText,
    build_latent_cache,
    build_text_cache,
    plan_latent_cache,
    plan_text_cache,
)
from engine.cache.keys import text_key
from engine.cache.progress import BuildResult, CachePlan, CacheProgress
from engine.cache.store import ShardStore
from engine.config.backends import ImageBackend
from engine.config.cache_folders import latent_root, text_folder
from engine.config.frozen import FrozenConfig
from engine.config.weight_files import WeightFiles
from engine.data.buckets import PlannedImage
from engine.models.effnet import load_effnet_encoder
from engine.models.prior import StableCascadePrior
from engine.models.text import TextEncoder
from engine.models.weights import shard_paths
from engine.training.memory import room_on
from engine.training.session import Session, log

TEXT_DTYPE = torch.bfloat16


@dataclass(frozen=True, slots=True)
class Plan:
    """One photograph as this run sees it, and how often an epoch shows it."""

    image: PlannedImage
    repeats: int
    backend: ImageBackend


class NoRoomError(RuntimeError):
    """The GPU has no room for the text encoder beside what trains there."""


class StoppedEarly(Exception):  # noqa: N818 - no error: somebody asked for it
    """A stop was asked for before the first step."""


def text_root(frozen: FrozenConfig) -> Path:
    """The folder of the run's text cache."""
    return text_folder(frozen.config, frozen.backends)


def cache_text(
    session: Session, store: ShardStore, captions: list[str], weights: WeightFiles, text_hash: str
) -> None:
    """Encode the captions that the text cache lacks, each rank its share."""
    key = partial(text_key, encoder_hash=text_hash, dtype=TEXT_DTYPE)
    session.reporter.phase("caching_text", step=0)
    rank, world_size = session.accelerator.process_index, session.world_size
    _announce(session, "text", plan_text_cache(store, captions, encoder_hash=text_hash))
    lacking = set(store.missing([key(caption) for caption in captions]))
    known = [caption for caption in captions if key(caption) not in lacking]
    mine = [caption for caption in captions if key(caption) in lacking][rank::world_size]
    result = build_text_cache(
        store,
        [*known, *mine],
        _text_encoding(session, weights),
        encoder_hash=text_hash,
        dtype=TEXT_DTYPE,
        batch_size=session.config.text_encoder_batch_size,
        report=partial(_report, session),
        should_stop=session.commands.should_stop,
    )
    _finish_caching(session, [result], [store])


def cache_prompts(
    session: Session,
    store: ShardStore,
    texts: list[str],
    weights: WeightFiles,
    text_hash: str,
    *,
    prior: StableCascadePrior,
    step: int,
) -> None:
    """Between two steps, on one rank: encode the texts that the text cache lacks.

    The text encoder is there for the moment only; the prior makes room for it if need be.

    Raises:
        WeightsError, NonFiniteEmbedsError, OSError: the encoder cannot be read, is damaged, or
            the cache cannot be written.
        NoRoomError: it does not fit on the GPU.
    """
    key = partial(text_key, encoder_hash=text_hash, dtype=TEXT_DTYPE)
    if not store.missing([key(text) for text in texts]):
        return
    session.reporter.phase("caching_text", step=step)
    # The files may hold half as many bytes a weight as are computed with.
    needed = 2 * sum(path.stat().st_size for path in shard_paths(weights.text_encoder, "model"))
    is_too_large = False
    with room_on(session.device, needed, prior):
        try:
            build_text_cache(
                store,
                texts,
                _text_encoding(session, weights),
                encoder_hash=text_hash,
                dtype=TEXT_DTYPE,
                batch_size=session.config.text_encoder_batch_size,
            )
        except torch.OutOfMemoryError:
            is_too_large = True  # raised below: as long as it is handled, the encoder is held
    if is_too_large:
        raise NoRoomError("the GPU has no room for the text encoder, which new prompts need")


def _text_encoding(session: Session, weights: WeightFiles) -> EncodeText:
    """What encodes captions; the encoder is loaded with the first, and freed with the function."""
    encoder: TextEncoder | None = None

    def encode(texts: list[str]) -> tuple[Tensor, Tensor]:
        nonlocal encoder
        if encoder is None:
            folders = (weights.text_encoder, weights.tokenizer)
            encoder = TextEncoder.load(*folders, device=session.device)
        embeds = encoder.encode(texts)
        if embeds.num_truncated:
            session.reporter.problem(
                "warning", f"{embeds.num_truncated} captions are longer than 77 tokens and were cut"
            )
        return embeds.clip_text, embeds.clip_text_pooled

    return encode


def cache_latents(
    session: Session, plans: list[Plan], weights: WeightFiles, encoder_hash: str
) -> tuple[dict[str, ShardStore], set[Path]]:
    """Fill each backend's latent cache; return the stores and the photographs that failed."""
    session.reporter.phase("caching_latents", step=0)
    lost: set[Path] = set()
    stores: dict[str, ShardStore] = {}
    by_root: dict[str, list[PlannedImage]] = {}
    for entry in plans:
        root = str(latent_root(session.config, entry.backend))
        by_root.setdefault(root, []).append(entry.image)
    encoder = None

    def encode(pixels: Tensor) -> Tensor:
        nonlocal encoder
        if encoder is None:
            encoder = load_effnet_encoder(weights.effnet_encoder, device=session.device)
        with torch.no_grad():
            return encoder(pixels.to(session.device))

    def quarantine(path: Path, reason: str) -> None:
        lost.add(path)
        session.reporter.emit("quarantine", path=str(path), reason=reason)
        session.reporter.problem("warning", f"{path.name} is left out: {reason}")

    results = []
    rank, world_size = session.accelerator.process_index, session.world_size
    for root, images in by_root.items():
        stores[root] = ShardStore(Path(root))
        plan = plan_latent_cache(stores[root], images, encoder_hash=encoder_hash)
        _announce(session, "latent", plan)
        results.append(
            build_latent_cache(
                stores[root],
                images[rank::world_size],
                encode,
                encoder_hash=encoder_hash,
                batch_size=session.config.vae_batch_size,
                report=partial(_report, session),
                should_stop=session.commands.should_stop,
                quarantine=quarantine,
            )
        )
    _finish_caching(session, results, list(stores.values()))
    return stores, _lost_anywhere(session, lost)


def _announce(session: Session, which: str, plan: CachePlan) -> None:
    """Say what is to be made before it is begun."""
    missing = plan.needed - plan.present
    session.reporter.emit(
        "cache_plan",
        which=which,
        needed=plan.needed,
        present=plan.present,
        estimated_bytes=plan.estimated_bytes,
    )
    if session.is_main and missing:
        log.info(
            "%s cache: %d of %d to make, about %.1f MB",
            which, missing, plan.needed, plan.estimated_bytes / 1e6,
        )  # fmt: skip


def _report(session: Session, progress: CacheProgress) -> None:
    session.reporter.emit("cache", **asdict(progress))


def _finish_caching(session: Session, results: list[BuildResult], stores: list[ShardStore]) -> None:
    """Wait for the other ranks, see what they wrote, and free what the encoders held."""
    for store in stores:
        for problem in store.problems:
            session.reporter.problem("warning", f"cache: {problem}; it is made again")
    leave_if_stopped(session, any(result.stopped for result in results))
    if session.world_size > 1:
        session.wait_for_everyone()
        for store in stores:
            store.refresh()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _lost_anywhere(session: Session, lost: set[Path]) -> set[Path]:
    if session.world_size == 1:
        return lost
    import torch.distributed as dist

    gathered: list[set[Path]] = [set() for _ in range(session.world_size)]
    dist.all_gather_object(gathered, lost)
    return set().union(*gathered)


def leave_if_stopped(session: Session, stopped: bool = False) -> None:
    [agreed] = session.agree([int(stopped or session.commands.should_stop())])
    if agreed:
        raise StoppedEarly
