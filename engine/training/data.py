"""From folders of photographs to an order of cached samples: scan, plan, cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor

from engine.cache.build import CLIP_TEXT, CLIP_TEXT_POOLED
from engine.cache.keys import latent_key, text_key
from engine.cache.store import ShardStore
from engine.config.backends import ImageBackend
from engine.config.cache_folders import cache_root, latent_root
from engine.config.frozen import FrozenConfig
from engine.config.weight_files import WeightFiles
from engine.data.buckets import plan_image
from engine.data.held_out import held_out
from engine.data.loader import LoadedSample, Loader
from engine.data.noise import NoiseChanges
from engine.data.order import Order
from engine.data.scan import NoImagesError, ScanReport, scan_backend
from engine.models.text import hash_text_encoder
from engine.models.weights import hash_weights
from engine.training.caching import (
    TEXT_DTYPE,
    Plan,
    cache_latents,
    cache_text,
    leave_if_stopped,
    text_root,
)
from engine.training.session import Session

EMPTY_CAPTION = ""


class TrainingData:
    """The samples in order, with the caches that hold their latents and embeds.

    Raises:
        NoImagesError: every photograph is held out.
    """

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
        self.text_hash = text_hash
        self._text_key = partial(text_key, encoder_hash=text_hash, dtype=TEXT_DTYPE)
        self.latent_store = _OneOf(latent_stores)
        apart = held_out(
            [plan.image.image.content_id for plan in plans], session.config.validation_split
        )
        trained = [plan for plan in plans if plan.image.image.content_id not in apart]
        if not trained:
            raise NoImagesError(
                "validation_split holds every photograph out: lower it, or add photographs"
            )

        def loaded(plan: Plan) -> LoadedSample:
            return LoadedSample(
                name=str(plan.image.image.path),
                latent_key=latent_key(plan.image, encoder_hash=encoder_hash),
                text_keys=tuple(map(self._text_key, plan.image.image.captions)),
            )

        self.samples = list(map(loaded, trained))
        self.held_out = [loaded(p) for p in plans if p.image.image.content_id in apart]
        self.order = Order(
            [plan.image.latent for plan in trained],
            seed=session.config.seed,
            global_batch_size=session.global_batch_size,
            repeats=[plan.repeats for plan in trained],
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
            noise_changes=NoiseChanges(config.noise_offset, config.input_perturbation),
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
    text_store = ShardStore(text_root(frozen))
    captions = {caption for plan in plans for caption in plan.image.image.captions}
    captions |= {EMPTY_CAPTION, session.config.validation_negative_prompt}
    captions |= set(frozen.validation_prompts.values())
    cache_text(session, text_store, sorted(captions), weights, text_hash)
    stores, lost = cache_latents(session, plans, weights, encoder_hash)
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


def _scan_and_plan(session: Session, frozen: FrozenConfig) -> list[Plan]:
    plans = []
    with session.accelerator.main_process_first():  # the others find the index filled
        for backend in frozen.backends:
            if not isinstance(backend, ImageBackend):
                continue
            root = latent_root(session.config, backend)
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
    leave_if_stopped(session)
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
