"""Micro-batches on the device, made ahead in a thread.

Shapes: b samples of one micro-batch on one rank, a latent grid of h x w, D the text width.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

import torch
from torch import Tensor

from engine.cache.build import CLIP_TEXT, CLIP_TEXT_POOLED, LATENTS
from engine.cache.store import ShardStore
from engine.data.noise import NO_CHANGES, NoiseChanges
from engine.data.order import Order
from engine.data.randomness import draws


@dataclass(frozen=True, slots=True)
class LoadedSample:
    """A photograph as training sees it: the cache keys of its latent and of its captions."""

    name: str
    latent_key: str
    text_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """One micro-batch, all float32.

    ``latents`` and ``noise`` [b, 16, h, w], ``u`` [b] uniform in [0, 1] (for the timestep),
    ``clip_text`` [b, 77, D], ``clip_text_pooled`` [b, 1, D]. ``noise`` is the target;
    ``input_noise``, shaped like it, is what the latents are mixed with where that differs.
    """

    latents: Tensor
    noise: Tensor
    u: Tensor
    clip_text: Tensor
    clip_text_pooled: Tensor
    names: tuple[str, ...]
    input_noise: Tensor | None = None

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Return the batch on ``device``."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Return the batch in page-locked memory, from where a GPU fetches it on its own."""
        return self._map(Tensor.pin_memory)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(
            latents=function(self.latents),
            noise=function(self.noise),
            u=function(self.u),
            clip_text=function(self.clip_text),
            clip_text_pooled=function(self.clip_text_pooled),
            names=self.names,
            input_noise=None if self.input_noise is None else function(self.input_noise),
        )


class Loader:
    """Makes the micro-batches of one rank for the steps ``first_step`` <= n < ``last_step``.

    A context manager. Micro-batch a of rank r holds the positions
    k = (a * world_size + r) * micro_batch_size + i of the global batch; what is drawn for a sample
    hangs on (seed, step, k) alone. At most ``prefetch`` steps are made ahead.
    """

    def __init__(
        self,
        order: Order,
        samples: Sequence[LoadedSample],
        latent_store: ShardStore,
        text_store: ShardStore,
        *,
        empty_text_key: str,
        seed: int,
        caption_dropout_probability: float,
        rank: int,
        world_size: int,
        micro_batch_size: int,
        num_micro_batches: int,
        first_step: int,
        last_step: int,
        device: torch.device,
        prefetch: int = 2,
        noise_changes: NoiseChanges = NO_CHANGES,
    ) -> None:
        assert order.global_batch_size == world_size * micro_batch_size * num_micro_batches
        assert prefetch >= 1
        self.num_micro_batches = num_micro_batches
        self._order = order
        self._samples = samples
        self._latent_store = latent_store
        self._text_store = text_store
        self._empty_text_key = empty_text_key
        self._seed = seed
        self._dropout = caption_dropout_probability
        self._rank, self._world_size = rank, world_size
        self._micro_batch_size = micro_batch_size
        self._steps = range(first_step, last_step)
        self._next_step = first_step
        self._device = device
        self._noise_changes = noise_changes
        self._wait_seconds = 0.0
        self._ready: queue.SimpleQueue[Batch | BaseException] = queue.SimpleQueue()
        self._room = threading.Semaphore(prefetch * num_micro_batches)
        self._closed = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="loader", daemon=True)

    def __enter__(self) -> Loader:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread; what it made ahead is dropped."""
        self._closed.set()
        self._room.release()
        if self._thread.ident is not None:
            self._thread.join()

    def micro_batches(self, step: int) -> Iterator[Batch]:
        """Yield the step's micro-batches on the device; steps are asked for one after the other.

        Raises:
            MissingEntryError, CorruptEntryError, OSError: the caches lack what a sample needs.
        """
        assert step == self._next_step, f"step {step} asked for, {self._next_step} is next"
        assert step in self._steps, f"step {step} is not in {self._steps}"
        self._next_step += 1
        for _ in range(self.num_micro_batches):
            yield self._take().to(self._device, non_blocking=True)

    def take_wait_seconds(self) -> float:
        """Return how long the consumer has waited for batches since this was last asked."""
        waited, self._wait_seconds = self._wait_seconds, 0.0
        return waited

    def assemble(self, step: int, micro_batch: int) -> Batch:
        """Return one micro-batch of this rank on the CPU."""
        plan = self._order.batch(step)
        first = (micro_batch * self._world_size + self._rank) * self._micro_batch_size
        rows = [
            self._row(step, k, self._samples[plan.indices[k]])
            for k in range(first, first + self._micro_batch_size)
        ]
        latents, noise, input_noise, u, clip_text, pooled, names = zip(*rows, strict=True)
        return Batch(
            latents=torch.stack(latents).float(),
            noise=torch.stack(noise),
            u=torch.tensor(u, dtype=torch.float32),
            clip_text=torch.stack(clip_text).float(),
            clip_text_pooled=torch.stack(pooled).float(),
            names=names,
            input_noise=None if input_noise[0] is None else torch.stack(input_noise),
        )

    def _row(
        self, step: int, k: int, sample: LoadedSample
    ) -> tuple[Tensor, Tensor, Tensor | None, float, Tensor, Tensor, str]:
        latent = self._latent_store.get(sample.latent_key)[LATENTS]
        drawn = draws(self._seed, step, k, tuple(latent.shape))
        if drawn.caption_dropout < self._dropout:
            text_key = self._empty_text_key
        else:
            text_key = sample.text_keys[int(drawn.caption_choice * len(sample.text_keys))]
        text = self._text_store.get(text_key)
        target, seen = self._noise_changes.apply(drawn.noise, self._seed, step, k)
        noise = torch.from_numpy(target)
        input_noise = None if seen is None else torch.from_numpy(seen)
        embeds = text[CLIP_TEXT], text[CLIP_TEXT_POOLED]
        return latent, noise, input_noise, drawn.u, *embeds, sample.name

    def _work(self) -> None:
        try:
            for step in self._steps:
                for micro_batch in range(self.num_micro_batches):
                    self._room.acquire()
                    if self._closed.is_set():
                        return
                    batch = self.assemble(step, micro_batch)
                    if self._device.type == "cuda":
                        batch = batch.pin_memory()
                    self._ready.put(batch)
        except BaseException as error:  # raised again where the batch is asked for
            self._ready.put(error)

    def _take(self) -> Batch:
        assert not self._closed.is_set(), "the loader is closed"
        if self._failure is not None:
            raise self._failure
        started = time.perf_counter()
        batch = self._ready.get()
        self._wait_seconds += time.perf_counter() - started
        if isinstance(batch, BaseException):
            self._failure = batch
            raise batch
        self._room.release()
        return batch
