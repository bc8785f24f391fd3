"""Content-addressed tensors on disk: immutable shards, and an index that can be made again.

A shard is written aside, forced to the disk and renamed to its content's hash. So a shard is
whole or absent, several processes may write into one folder at once, and what a killed process had
finished stays. The folder's listing is the truth; ``index.json`` only spares reading the headers.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from engine.cache.shard import SUFFIX, OtherFormatError, Shard, ShardError
from engine.cache.writer import ShardWriter
from engine.run.files import atomic_write_text

# Nothing else in the folder is looked at, whatever a person may keep there.
_SHARD_NAME = re.compile(rf"[0-9a-f]{{32}}{re.escape(SUFFIX)}")
_INDEX_NAME = "index.json"
_INDEX_VERSION = 1
_MAX_OPEN_SHARDS = 256
_LEFTOVER_SECONDS = 3600.0
_UNWRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})


class MissingEntryError(RuntimeError):
    """The store has no entry of this key."""


class CorruptEntryError(RuntimeError):
    """An entry's bytes are not those that were written; its shard was set aside."""


@dataclass(frozen=True, slots=True)
class ShardProblem:
    """A shard that can't be used and why; its entries count as missing."""

    path: Path
    reason: str


class ShardStore:
    """A folder of shards. Safe from threads; several processes may share the folder.

    ``problems`` lists the damaged shards met so far. Each was renamed to ``<name>.corrupt``, so
    that its entries are made again; nothing is deleted.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problems: list[ShardProblem] = []
        self._lock = threading.RLock()
        self._shard_of: dict[str, str] = {}
        self._keys_of: dict[str, list[str]] = {}
        self._stats: dict[str, tuple[int, int]] = {}
        self._open: OrderedDict[str, Shard] = OrderedDict()
        root.mkdir(parents=True, exist_ok=True)
        self._sweep_leftovers()
        self.refresh()

    def __len__(self) -> int:
        return len(self._shard_of)

    def has(self, key: str) -> bool:
        """Whether the entry is on disk."""
        return key in self._shard_of

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Return those of ``keys`` that are not on disk, each once, in order."""
        return [key for key in dict.fromkeys(keys) if key not in self._shard_of]

    @property
    def num_bytes(self) -> int:
        """How much the shards take on disk."""
        with self._lock:
            return sum(size for size, _ in self._stats.values())

    def get(self, key: str) -> dict[str, Tensor]:
        """Return the entry's tensors, checked against their checksum.

        Raises:
            MissingEntryError: there is no such entry.
            CorruptEntryError: its bytes changed on disk; all entries of that shard now count as
                missing, so that the next build makes them again.
        """
        with self._lock:
            name = self._shard_of.get(key)
            if name is None:
                raise MissingEntryError(f"the cache {self.root} has no entry {key}")
            try:
                return self._opened(name).read(key)
            except (ShardError, FileNotFoundError) as error:
                self._set_aside(name, str(error))
                raise CorruptEntryError(
                    f"cache shard {self.root / name}: {error}. It was set aside: start again, and "
                    "what it held is made again"
                ) from error

    def writer(
        self,
        *,
        max_shard_bytes: int = 64 << 20,
        max_entries: int = 4096,
        max_seconds: float = 30.0,
    ) -> ShardWriter:
        """Return a context manager with ``add(key, tensors)``; its shards join the store."""
        return ShardWriter(
            self.root,
            is_known=self.has,
            on_shard=self._adopt,
            on_close=self._write_index,
            max_shard_bytes=max_shard_bytes,
            max_entries=max_entries,
            max_seconds=max_seconds,
        )

    def refresh(self) -> None:
        """Look at the folder again: shards of other processes join, vanished ones go."""
        with self._lock:
            remembered = self._read_index()
            present = self._list_shards()
            for name in self._keys_of.keys() - present.keys():
                self._forget(name)
            is_stale = remembered.keys() != present.keys()
            for name, stat in sorted(present.items()):
                if self._stats.get(name) == stat:
                    continue
                row = remembered.get(name)
                if row is not None and row[0] == stat:
                    self._learn(name, stat, row[1])
                else:
                    is_stale = True
                    self._learn_from_header(name, stat)
            if is_stale:
                self._write_index()

    def verify(self, *, should_stop: Callable[[], bool] | None = None) -> list[ShardProblem]:
        """Read every entry against its checksum; set the damaged ones aside and return them."""
        before = len(self.problems)
        for name in sorted(self._keys_of):
            if should_stop is not None and should_stop():
                break
            try:
                shard = Shard(self.root / name)
                with contextlib.closing(shard):
                    for key in shard.keys:
                        shard.read(key)
            except (ShardError, FileNotFoundError) as error:
                with self._lock:
                    self._set_aside(name, str(error))
        return self.problems[before:]

    def close(self) -> None:
        """Close the open files."""
        with self._lock:
            while self._open:
                self._open.popitem()[1].close()

    def _opened(self, name: str) -> Shard:
        shard = self._open.get(name)
        if shard is None:
            shard = self._open[name] = Shard(self.root / name)
            if len(self._open) > _MAX_OPEN_SHARDS:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(name)
        return shard

    def _adopt(self, name: str, keys: list[str]) -> None:
        """Take in a shard that a writer of this process finished."""
        status = (self.root / name).stat()
        with self._lock:
            self._learn(name, (status.st_size, status.st_mtime_ns), keys)

    def _learn(self, name: str, stat: tuple[int, int], keys: list[str]) -> None:
        self._forget(name)
        self._stats[name] = stat
        self._keys_of[name] = keys
        for key in keys:
            self._shard_of.setdefault(key, name)

    def _learn_from_header(self, name: str, stat: tuple[int, int]) -> None:
        try:
            shard = Shard(self.root / name)
        except FileNotFoundError:
            return
        except OtherFormatError as error:
            self.problems.append(ShardProblem(self.root / name, str(error)))
            return
        except ShardError as error:
            self._set_aside(name, str(error))
            return
        self._learn(name, stat, shard.keys)
        shard.close()

    def _forget(self, name: str) -> None:
        self._stats.pop(name, None)
        if (shard := self._open.pop(name, None)) is not None:
            shard.close()
        for key in self._keys_of.pop(name, ()):
            if self._shard_of.get(key) == name:
                del self._shard_of[key]

    def _set_aside(self, name: str, reason: str) -> None:
        path = self.root / name
        self._forget(name)
        self.problems.append(ShardProblem(path, reason))
        with contextlib.suppress(FileNotFoundError), _unwritable_is_fine():
            path.rename(path.with_name(f"{name}.corrupt"))

    def _list_shards(self) -> dict[str, tuple[int, int]]:
        with os.scandir(self.root) as entries:
            return {
                entry.name: (status.st_size, status.st_mtime_ns)
                for entry in entries
                if _SHARD_NAME.fullmatch(entry.name)
                for status in [entry.stat()]
            }

    def _read_index(self) -> dict[str, tuple[tuple[int, int], list[str]]]:
        """Return name -> ((bytes, mtime_ns), keys); a missing or damaged index is empty."""
        try:
            document = json.loads((self.root / _INDEX_NAME).read_bytes())
            if document["version"] != _INDEX_VERSION:
                return {}
            return {
                name: ((size, mtime_ns), keys)
                for name, (size, mtime_ns, keys) in document["shards"].items()
            }
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _write_index(self) -> None:
        with self._lock:
            shards = {
                name: [*self._stats[name], keys] for name, keys in sorted(self._keys_of.items())
            }
        text = json.dumps({"version": _INDEX_VERSION, "shards": shards}, separators=(",", ":"))
        # It only saves time: a folder that can't be written to can still be read from.
        with _unwritable_is_fine():
            atomic_write_text(self.root / _INDEX_NAME, text + "\n", durable=False)

    def _sweep_leftovers(self) -> None:
        """Remove what killed writers left half written, once no live one can still hold it."""
        for path in self.root.glob(f".*{SUFFIX}.*.tmp"):
            with contextlib.suppress(FileNotFoundError), _unwritable_is_fine():
                if time.time() - path.stat().st_mtime > _LEFTOVER_SECONDS:
                    path.unlink()


@contextlib.contextmanager
def _unwritable_is_fine() -> Iterator[None]:
    """Pass over a folder without permission or room, or on a read-only disk."""
    try:
        yield
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
