"""Collects entries and writes them out as shards, in a thread of its own."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

from torch import Tensor

from engine.cache.shard import pack, write_shard

_MAX_WAITING = 2

Entries = dict[str, dict[str, Tensor]]


class ShardWriter:
    """A context manager; leaving it writes what is left, also when an exception leaves it.

    A shard is closed at ``max_shard_bytes``, ``max_entries`` or ``max_seconds`` after its first
    entry, whichever comes first: that is what a kill can cost.
    """

    def __init__(
        self,
        root: Path,
        *,
        is_known: Callable[[str], bool],
        on_shard: Callable[[str, list[str]], None],
        on_close: Callable[[], None],
        max_shard_bytes: int,
        max_entries: int,
        max_seconds: float,
    ) -> None:
        self._root = root
        self._is_known = is_known
        self._on_shard = on_shard
        self._on_close = on_close
        self._max_shard_bytes = max_shard_bytes
        self._max_entries = max_entries
        self._max_seconds = max_seconds
        self._entries: Entries = {}
        self._num_bytes = 0
        self._opened_at = 0.0
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shards")
        self.bytes_added = 0

    def add(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Take in one entry; it is on disk when its shard is. A known key is passed over.

        Tensors on the CPU are not copied: leave their memory alone until the writer is closed.

        Raises:
            OSError: an earlier shard could not be written (disk full).
        """
        if key in self._entries or self._is_known(key):
            return
        entry = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        if not self._entries:
            self._opened_at = time.monotonic()
        self._entries[key] = entry
        size = sum(tensor.nbytes for tensor in entry.values())
        self._num_bytes += size
        self.bytes_added += size
        if (
            self._num_bytes >= self._max_shard_bytes
            or len(self._entries) >= self._max_entries
            or time.monotonic() - self._opened_at >= self._max_seconds
        ):
            self.flush()

    def flush(self) -> None:
        """Close the open shard and hand it to the writing thread; waits while two are waiting."""
        if self._entries:
            self._waiting.append(self._thread.submit(self._write, self._entries))
            self._entries, self._num_bytes = {}, 0
        while self._waiting and (len(self._waiting) > _MAX_WAITING or self._waiting[0].done()):
            self._waiting.popleft().result()

    def _write(self, entries: Entries) -> None:
        packed = pack(entries)
        write_shard(self._root, packed)
        self._on_shard(packed.name, list(entries))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
            while self._waiting:
                self._waiting.popleft().result()
        finally:
            self._thread.shutdown(wait=True)
            self._on_close()
