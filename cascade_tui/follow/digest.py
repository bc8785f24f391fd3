"""What was read of a long event log, kept so that the next visit need not read it again.

A digest is a file in the user's cache folder, never in the run directory: a viewer writes nothing
there. It says up to which byte of which log it goes; one that is stale, damaged or of another
version counts as none, and a new one is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from cascade_tui.follow.pyramid import Floats
from engine.run.events import Event

_VERSION = 1
_SAMPLE_BYTES = 4096
_RECENT_STEPS = 256
_MAX_BYTES = 4 << 30


class Journal:
    """The events of a log without its steps, but for the newest of those."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.recent: deque[tuple[int, Event]] = deque(maxlen=_RECENT_STEPS)
        self._ends_with_time = False

    def add(self, event: Event) -> None:
        """Keep an event."""
        self.lines.append(orjson.dumps(event))
        self._ends_with_time = False

    def add_time(self, event: Event) -> None:
        """Keep of an event only when it came."""
        line = orjson.dumps({"t": event.get("t")})
        if self._ends_with_time:
            self.lines[-1] = line
        else:
            self.lines.append(line)
        self._ends_with_time = True

    def add_steps(self, events: Sequence[Event]) -> None:
        """Keep of steps the newest, and of the last when it came."""
        position = len(self.lines)
        self.recent.extend((position, event) for event in events[-_RECENT_STEPS:])
        self.add_time(events[-1])

    def replay(self) -> Iterator[Event | list[Event]]:
        """The events in their order; the newest steps as lists where they came."""
        recent = deque(self.recent)
        for position, line in enumerate(self.lines):
            if steps := _at(recent, position):
                yield steps
            yield orjson.loads(line)
        if recent:
            yield [event for _, event in recent]


def _at(recent: deque[tuple[int, Event]], position: int) -> list[Event]:
    steps = []
    while recent and recent[0][0] == position:
        steps.append(recent.popleft()[1])
    return steps


@dataclass(frozen=True, slots=True)
class Digest:
    """A log up to the byte ``offset``.

    ``steps`` [n], and of each metric the values [n] and the summaries of their smallest blocks;
    ``facts`` are what else is to be known and cannot be found again from the journal.
    """

    offset: int
    steps: NDArray[np.int64]
    values: Sequence[Floats]
    bases: Sequence[Floats]
    journal: Journal
    facts: dict[str, Any]


def save_digest(log: Path, metrics: Sequence[str], digest: Digest) -> None:
    """Keep a digest of ``log``, in the place of an older one.

    Raises:
        OSError: the cache folder cannot be written.
    """
    content = {
        "version": _VERSION,
        "metrics": list(metrics),
        "offset": digest.offset,
        "fingerprint": _fingerprint(log, digest.offset),
        "facts": digest.facts,
        "recent": list(digest.journal.recent),
    }
    folder = digest_folder(log)
    folder.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    try:
        np.save(aside / "steps.npy", digest.steps)
        for name, values, base in zip(metrics, digest.values, digest.bases, strict=True):
            np.save(aside / f"{name}.npy", values)
            np.save(aside / f"{name}.blocks.npy", base)
        (aside / "journal.jsonl").write_bytes(b"\n".join(digest.journal.lines))
        (aside / "head.json").write_bytes(orjson.dumps(content))
        target = folder / f"{digest.offset:020d}"
        if not target.exists():
            aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    for old in _kept(folder)[1:]:  # somebody who has it mapped keeps it all the same
        shutil.rmtree(old, ignore_errors=True)
    _prune(folder.parent)


def load_digest(log: Path, metrics: Sequence[str]) -> Digest | None:
    """The newest digest of ``log``, if there is one that holds; its arrays stay in the files."""
    kept = _kept(digest_folder(log))
    try:
        return _load(kept[0], log, metrics) if kept else None
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None  # it saves time and nothing else


def _load(folder: Path, log: Path, metrics: Sequence[str]) -> Digest | None:
    head = orjson.loads((folder / "head.json").read_bytes())
    if head["version"] != _VERSION or head["metrics"] != list(metrics):
        return None
    if head["fingerprint"] != _fingerprint(log, head["offset"]):
        return None
    journal = Journal()
    journal.lines = (folder / "journal.jsonl").read_bytes().split(b"\n")
    journal.recent.extend((position, event) for position, event in head["recent"])
    steps = np.load(folder / "steps.npy", mmap_mode="r", allow_pickle=False)
    values, bases = (
        [
            np.load(folder / f"{name}{end}.npy", mmap_mode="r", allow_pickle=False)
            for name in metrics
        ]
        for end in ("", ".blocks")
    )
    if any(row.shape != steps.shape for row in values):
        return None
    return Digest(head["offset"], steps, values, bases, journal, head["facts"])


def digest_folder(log: Path) -> Path:
    """Where the digests of a log lie: in ~/.cache/cascade-tui, or below XDG_CACHE_HOME."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    name = hashlib.blake2b(os.fsencode(log.resolve()), digest_size=16).hexdigest()
    return cache / "cascade-tui" / "digests" / name


def _kept(folder: Path) -> list[Path]:
    """Whole digests, the one that goes furthest first."""
    return sorted(folder.glob("[0-9]*"), reverse=True)


def _fingerprint(log: Path, offset: int) -> str:
    """Tells another log from this one grown longer, by its beginning and what is before offset."""
    digest = hashlib.blake2b(digest_size=16)
    with log.open("rb") as file:
        if os.fstat(file.fileno()).st_size < offset:
            return ""
        digest.update(file.read(min(_SAMPLE_BYTES, offset)))
        file.seek(max(0, offset - _SAMPLE_BYTES))
        digest.update(file.read(min(_SAMPLE_BYTES, offset)))
    return digest.hexdigest()


def _prune(root: Path) -> None:
    """Remove digests of the logs that were not visited for longest, where they take too much."""
    found = []
    for folder in root.iterdir():
        files = [path.stat() for path in folder.rglob("*.npy")]
        newest = max((stat.st_mtime for stat in files), default=0.0)
        found.append((newest, sum(stat.st_size for stat in files), folder))
    total = sum(size for _, size, _ in found)
    for _, size, folder in sorted(found)[:-1]:
        if total <= _MAX_BYTES:
            return
        shutil.rmtree(folder, ignore_errors=True)
        total -= size
