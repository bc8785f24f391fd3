"""From folders of photographs to an order of cached samples: scan, plan, cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from engine.cache.build import (
    CLIP_TEXT,
    CLIP_TEXT_POOLED,
    build_latent_cache,
    build_text_cache,
    plan_latent_cache,
    plan_text_cache,
)
from engine.cache.keys import latent_key, text_key
from engine.cache.progress import BuildResult, CachePlan, CacheProgress
from engine.cache.store import ShardStore
from engine.config.backends import ImageBackend, TextEmbedBackend
from engine.config.fields import TrainingConfig
from engine.config.frozen import FrozenConfig
from engine.config.weight_files import WeightFiles
from engine.data.buckets import PlannedImage, plan_image
from engine.data.loader import LoadedSample, Loader
from engine.data.order import Order
from engine.data.scan import NoImagesError, ScanReport, scan_backend
from engine.models.effnet import load_effnet_encoder
from engine.models.text import TextEncoder, hash_text_encoder
from engine.models.weights import hash_weights
from engine.training.session import Session, log

EMPTY_CAPTION = ""
_TEXT_DTYPE = torch.bfloat16


@dataclass(frozen=True, slots=True)
class Plan:
    """One photograph as this run sees it, and how often an epoch shows it."""

    image: PlannedImage
    repeats: int
    backend: ImageBackend


class StoppedEarly(Exception):  # noqa: N818 - no error: somebody asked for it
    """A stop was asked for before the first step."""


class TrainingData:
    """The samples in order, with the caches that hold their latents and embeds."""

    def __init__(
        self,
        session: Session,
        plans: list[Plan],
        latent_stores: Mapping[str, ShardStore],
        text_store: ShardStore,
        *,
        encoder_hash: str,
        text_hash: str,
    ) -> None:
        self.session = session
        self.text_store = text_store
        self._text_key = partial(text_key, encoder_hash=text_hash, dtype=_TEXT_DTYPE)
        self.latent_store = _OneOf(latent_stores)
        self.samples = [
            LoadedSample(
                name=str(plan.image.image.path),
                latent_key=latent_key(plan.image, encoder_hash=encoder_hash),
                text_keys=tuple(map(self._text_key, plan.image.image.captions)),
            )
            for plan in plans
        ]
        self.order = Order(
            [plan.image.latent for plan in plans],
            seed=session.config.seed,
            global_batch_size=session.global_batch_size,
            repeats=[plan.repeats for plan in plans],
        )

    @property
    def fingerprint(self) -> str:
        """What determines the sequence of samples: their contents, batch size and seed."""
        parts = [self.session.global_batch_size, self.session.config.seed]
        parts += [[sample.latent_key, *sample.text_keys] for sample in self.samples]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()

    def loader(self, *, first_step: int, last_step: int) -> Loader:
        """A loader of this rank's micro-batches; a context manager."""
        session, config = self.session, self.session.config
        return Loader(
            self.order,
            self.samples,
            self.latent_store,
            self.text_store,
            empty_text_key=self._text_key(EMPTY_CAPTION),
            seed=config.seed,
            caption_dropout_probability=config.caption_dropout_probability,
            rank=session.accelerator.process_index,
            world_size=session.world_size,
            micro_batch_size=config.train_batch_size,
            num_micro_batches=config.gradient_accumulation_steps,
            first_step=first_step,
            last_step=last_step,
            device=session.device,
            prefetch=config.dataloader_prefetch,
        )

    def embeds(self, caption: str) -> tuple[Tensor, Tensor]:
        """The cached clip_text [77, D] and clip_text_pooled [1, D] of a caption."""
        entry = self.text_store.get(self._text_key(caption))
        return entry[CLIP_TEXT], entry[CLIP_TEXT_POOLED]

    def names_of(self, step: int) -> list[str]:
        """The photographs of the global batch of ``step`` (0-based)."""
        return [Path(self.samples[i].name).name for i in self.order.batch(step).indices]


class _OneOf(ShardStore):
    """Several latent caches read as one: each backend may have its own folder."""

    def __init__(self, stores: Mapping[str, ShardStore]) -> None:
        self._stores = list(stores.values())

    def get(self, key: str) -> dict[str, Tensor]:
        store = next((store for store in self._stores if store.has(key)), self._stores[0])
        return store.get(key)


def prepare_data(session: Session, frozen: FrozenConfig, weights: WeightFiles) -> TrainingData:
    """Scan, plan and cache; every process takes its share of the encoding.

    Raises:
        StoppedEarly: a stop was asked for.
        NoImagesError, WeightsError: nothing to train on, or no encoder to see it with.
    """
    plans = _scan_and_plan(session, frozen)
    memory = cache_root(session.config) / "weight-hashes.json"
    text_hash = hash_text_encoder(weights.text_encoder, weights.tokenizer, memory=memory)
    encoder_hash = hash_weights([weights.effnet_encoder], memory=memory)
    text_store = ShardStore(_text_root(frozen))
    captions = {caption for plan in plans for caption in plan.image.image.captions}
    captions |= {EMPTY_CAPTION, session.config.validation_negative_prompt}
    captions |= set(validation_prompts(frozen).values())
    _cache_text(session, text_store, sorted(captions), weights, text_hash)
    stores, lost = _cache_latents(session, plans, weights, encoder_hash)
    plans = [plan for plan in plans if plan.image.image.path not in lost]
    if not plans:
        raise NoImagesError("not one photograph could be encoded: see the reasons above")
    return TrainingData(
        session, plans, stores, text_store, encoder_hash=encoder_hash, text_hash=text_hash
    )


class RanksDifferError(RuntimeError):
    """The processes do not see the same photographs."""


def check_ranks_agree(session: Session, data: TrainingData) -> None:
    """Refuse to train when a file changed between two processes' scans.

    Raises:
        RanksDifferError: the processes would train on different samples.
    """
    if session.world_size == 1:
        return
    import torch.distributed as dist

    fingerprints: list[str] = [""] * session.world_size
    dist.all_gather_object(fingerprints, data.fingerprint)
    if len(set(fingerprints)) > 1:
        raise RanksDifferError(
            "the processes see different photographs or captions: files changed while they were "
            "scanned, or a folder is not the same on every machine. Start the run again"
        )


def validation_prompts(frozen: FrozenConfig) -> dict[str, str]:
    """Name -> prompt: the library, and the single prompt under the name ``validation``."""
    prompts = dict(frozen.prompts)
    if frozen.config.validation_prompt:
        prompts.setdefault("validation", frozen.config.validation_prompt)
    return prompts


def cache_root(config: TrainingConfig) -> Path:
    """The folder of a run's own caches."""
    return Path(config.cache_dir) if config.cache_dir else Path(config.output_dir) / "cache"


def _text_root(frozen: FrozenConfig) -> Path:
    backends = [b for b in frozen.backends if isinstance(b, TextEmbedBackend)]
    chosen = next((b for b in backends if b.default), backends[0] if backends else None)
    return Path(chosen.cache_dir) if chosen else cache_root(frozen.config) / "text"


def _latent_root(config: TrainingConfig, backend: ImageBackend) -> Path:
    return Path(backend.cache_dir) if backend.cache_dir else cache_root(config) / "latents"


def _scan_and_plan(session: Session, frozen: FrozenConfig) -> list[Plan]:
    plans = []
    with session.accelerator.main_process_first():  # the others find the index filled
        for backend in frozen.backends:
            if not isinstance(backend, ImageBackend):
                continue
            root = _latent_root(session.config, backend)
            root.mkdir(parents=True, exist_ok=True)
            report = scan_backend(
                backend,
                index_path=root / f"scan-{backend.id}.json",
                should_stop=session.commands.should_stop,
            )
            _tell(session, report)
            plans += [
                Plan(plan_image(image, backend, seed=session.config.seed), backend.repeats, backend)
                for image in report.samples
            ]
    _leave_if_stopped(session)
    return plans


def _tell(session: Session, report: ScanReport) -> None:
    for entry in report.quarantined:
        session.reporter.emit("quarantine", path=str(entry.path), reason=entry.reason)
    if report.quarantined:
        shown = "; ".join(f"{e.path.name}: {e.reason}" for e in report.quarantined[:3])
        more = len(report.quarantined) - 3
        session.reporter.problem(
            "warning",
            f"{len(report.quarantined)} photographs are left out: {shown}"
            + (f"; {more} more in events.jsonl" if more > 0 else ""),
        )


def _cache_text(
    session: Session, store: ShardStore, captions: list[str], weights: WeightFiles, text_hash: str
) -> None:
    key = partial(text_key, encoder_hash=text_hash, dtype=_TEXT_DTYPE)
    session.reporter.phase("caching_text", step=0)
    rank, world_size = session.accelerator.process_index, session.world_size
    _announce(session, "text", plan_text_cache(store, captions, encoder_hash=text_hash))
    lacking = set(store.missing([key(caption) for caption in captions]))
    known = [caption for caption in captions if key(caption) not in lacking]
    mine = [caption for caption in captions if key(caption) in lacking][rank::world_size]
    encoder = None
    if mine:
        encoder = TextEncoder.load(weights.text_encoder, weights.tokenizer, device=session.device)

    def encode(texts: list[str]) -> tuple[Tensor, Tensor]:
        assert encoder is not None
        embeds = encoder.encode(texts)
        if embeds.num_truncated:
            session.reporter.problem(
                "warning", f"{embeds.num_truncated} captions are longer than 77 tokens and were cut"
            )
        return embeds.clip_text, embeds.clip_text_pooled

    result = build_text_cache(
        store,
        [*known, *mine],
        encode,
        encoder_hash=text_hash,
        dtype=_TEXT_DTYPE,
        batch_size=session.config.text_encoder_batch_size,
        report=partial(_report, session),
        should_stop=session.commands.should_stop,
    )
    _finish_caching(session, [result], [store])


def _cache_latents(
    session: Session, plans: list[Plan], weights: WeightFiles, encoder_hash: str
) -> tuple[dict[str, ShardStore], set[Path]]:
    """Fill each backend's latent cache; return the stores and the photographs that failed."""
    session.reporter.phase("caching_latents", step=0)
    lost: set[Path] = set()
    stores: dict[str, ShardStore] = {}
    by_root: dict[str, list[PlannedImage]] = {}
    for entry in plans:
        root = str(_latent_root(session.config, entry.backend))
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
    _leave_if_stopped(session, any(result.stopped for result in results))
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


def _leave_if_stopped(session: Session, stopped: bool = False) -> None:
    [agreed] = session.agree([int(stopped or session.commands.should_stop())])
    if agreed:
        raise StoppedEarly
