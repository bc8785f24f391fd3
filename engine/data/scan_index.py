"""Remembers files that were decoded whole, so that the next scan need only look at their dates."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from engine.run.files import atomic_write_text

_VERSION = 1


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that decoded: its identity on disk, its content and its upright size in pixels."""

    path: str
    size_bytes: int
    mtime_ns: int
    content_id: str
    width: int
    height: int


class ScanIndex:
    """The known files of the scanned folders; an accelerator, never the source of truth."""

    def __init__(self, path: Path | None, known: dict[str, KnownFile]) -> None:
        self._path = path
        self._known = known
        self._seen: dict[str, KnownFile] = {}

    @classmethod
    def read(cls, path: Path | None) -> ScanIndex:
        """Open the index at ``path``; a missing, damaged or older one counts as empty."""
        known: dict[str, KnownFile] = {}
        if path is not None and path.is_file():
            try:
                document = json.loads(path.read_bytes())
                if document["version"] == _VERSION:
                    known = {row[0]: KnownFile(*row) for row in document["files"]}
            except (ValueError, TypeError, KeyError, IndexError):
                known = {}
        return cls(path, known)

    def get(self, path: Path, size_bytes: int, mtime_ns: int) -> KnownFile | None:
        """Return the file if it is known and has not changed since."""
        known = self._known.get(str(path))
        if known is None or (known.size_bytes, known.mtime_ns) != (size_bytes, mtime_ns):
            return None
        return known

    def put(self, known: KnownFile) -> None:
        """Remember a file that exists."""
        self._seen[known.path] = known

    def write(self, folder: Path, *, complete: bool = True) -> None:
        """Replace the file; after a complete scan of ``folder``, what is gone from it is forgotten.

        Files of other folders stay, so that several backends may share one index.
        """
        if self._path is None:
            return
        inside = os.path.join(folder, "")
        kept = {
            path: known
            for path, known in self._known.items()
            if not (complete and path.startswith(inside))
        }
        files = kept | self._seen
        if files == self._known:
            return
        rows = [
            [f.path, f.size_bytes, f.mtime_ns, f.content_id, f.width, f.height]
            for _, f in sorted(files.items())
        ]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Escaped, so that file names which are not valid Unicode survive.
        atomic_write_text(self._path, json.dumps({"version": _VERSION, "files": rows}) + "\n")
