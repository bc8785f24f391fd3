"""Which samples make which step: a pure function of (seed, position), whatever the world size."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_ORDER_STREAM = 0x6F72646572  # apart from the streams of engine.data.randomness


class EmptyOrderError(ValueError):
    """There is no sample to put in order."""


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """One global batch: ``indices`` of its samples, all of one shape; ``epoch`` from 0."""

    epoch: int
    indices: tuple[int, ...]


class Order:
    """The endless sequence of global batches over a set of samples.

    ``shapes[i]`` is the latent shape of sample i, and ``repeats[i]`` how often an epoch shows it
    (0 and 1 both: once). Each epoch shuffles every shape's samples, cuts them into batches of
    ``global_batch_size``, and shuffles the batches of all shapes among each other. The last batch
    of a shape is filled up from the start of that shape's own shuffle, so none is dropped.
    """

    def __init__(
        self,
        shapes: Sequence[Hashable],
        *,
        seed: int,
        global_batch_size: int,
        repeats: Sequence[int] | None = None,
    ) -> None:
        if not shapes:
            raise EmptyOrderError("there is no sample to train on")
        assert global_batch_size >= 1
        assert repeats is None or len(repeats) == len(shapes)
        self.seed = seed
        self.global_batch_size = global_batch_size
        self._groups = _grouped(shapes, repeats)
        self.batches_per_epoch = sum(-(-len(group) // global_batch_size) for group in self._groups)
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def batch(self, step: int) -> BatchPlan:
        """Return global batch ``step`` (from 0)."""
        epoch, position = divmod(step, self.batches_per_epoch)
        return BatchPlan(epoch, tuple(self._epoch(epoch)[position].tolist()))

    def epoch_of(self, step: int) -> int:
        """Return the epoch (from 0) that ``step`` belongs to."""
        return step // self.batches_per_epoch

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        """Return the batches of an epoch: [batches_per_epoch, global_batch_size] sample indices."""
        key = np.array([self.seed % 2**64, _ORDER_STREAM], np.uint64)
        counter = np.array([0, 0, 0, epoch], np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key, counter=counter))
        size = self.global_batch_size
        batches = []
        for group in self._groups:
            shuffled = generator.permutation(group)
            length = -(-len(group) // size) * size
            batches.append(np.resize(shuffled, length).reshape(-1, size))
        together = np.concatenate(batches)
        return together[generator.permutation(len(together))]


def _grouped(shapes: Sequence[Hashable], repeats: Sequence[int] | None) -> list[NDArray[np.int64]]:
    """Return the sample indices of each shape, repeated; shapes in order of first appearance."""
    number_of: dict[Hashable, int] = {}
    numbers = np.fromiter(
        (number_of.setdefault(shape, len(number_of)) for shape in shapes), np.int64, len(shapes)
    )
    times = (
        np.ones(len(shapes), np.int64)
        if repeats is None
        else np.maximum(1, np.asarray(repeats, np.int64))
    )
    return [
        np.repeat(members := np.flatnonzero(numbers == number), times[members])
        for number in range(len(number_of))
    ]
