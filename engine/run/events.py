"""The event log: one JSON object a line, appended in one `write()`, read as it grows.

Several processes append to the same file (the trainer, its supervisor): `O_APPEND` and one
`write()` a line keep the lines whole. A reader stops at the last newline, so a line that is being
written, or that a crash tore, is never seen in part.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.run.files import read_tail, write_all

SCHEMA_VERSION = 1
Event = dict[str, Any]
Loads = Callable[[bytes], Any]

_CHUNK_BYTES = 1 << 18
_FINGERPRINT_BYTES = 64
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class EventWriter:
    """Appends events to one file."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating it. A torn last line is closed off: the next one is whole."""
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        size = os.fstat(self._descriptor).st_size
        self._is_torn = size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def emit(self, kind: str, **fields: Any) -> None:
        """Append one event; adds `v` and `t` (unix seconds), unless `t` is given.

        Non-finite floats become the strings "nan", "inf", "-inf". Paths become POSIX text.
        Raises OSError if the disk is full; the line may be torn, and the next `emit` closes it off.
        """
        event = {"v": SCHEMA_VERSION, "t": round(time.time(), 3), "kind": kind, **fields}
        line = b"\n" * self._is_torn + _encode(event).encode() + b"\n"
        self._is_torn = True
        write_all(self._descriptor, line)
        self._is_torn = False

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EventReader:
    """Follows an event file as it grows, from any process, at any pace."""

    def __init__(self, path: Path, *, offset: int = 0, loads: Loads = json.loads) -> None:
        """Start at byte `offset`, which must be the start of a line (0, or a size seen before).

        `loads` may be a faster parser than the standard library's.
        """
        self.path = path
        self._loads = loads
        self.offset = offset
        self.skipped = 0
        """Lines that were no JSON object: torn by a crash, or not ours."""
        self.resets = 0
        """How often the file was truncated or replaced, after which reading began anew."""
        self.has_more = False
        """Whether the last `poll` left whole lines unread for want of time."""
        self._inode: tuple[int, int] | None = None
        self._head = b""

    def poll(self, budget_seconds: float = 0.05) -> list[Event]:
        """The next whole lines, as many as can be read in about `budget_seconds`.

        A missing file has no lines. A file that shrank or was replaced is read from its start, and
        `resets` counts it. The file is opened anew at each poll: on a network file system only
        opening shows what others appended.
        """
        deadline = time.monotonic() + budget_seconds
        self.has_more = False
        events: list[Event] = []
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return events
        try:
            self._notice_replacement(descriptor)
            while chunk := self._next_lines(descriptor):
                events.extend(self._decode(chunk))
                self.offset += len(chunk)
                if time.monotonic() >= deadline:
                    self.has_more = bool(self._next_lines(descriptor))
                    break
        finally:
            os.close(descriptor)
        return events

    def _notice_replacement(self, descriptor: int) -> None:
        """Begin anew if this is not the file read so far (an inode may be reused: look inside)."""
        stat = os.fstat(descriptor)
        inode = (stat.st_dev, stat.st_ino)
        head = os.pread(descriptor, _FINGERPRINT_BYTES, 0)
        known = self._inode is not None
        replaced = known and (inode != self._inode or not head.startswith(self._head))
        if replaced or stat.st_size < self.offset:
            self.offset = 0
            self.resets += 1
        self._inode, self._head = inode, head

    def _next_lines(self, descriptor: int) -> bytes:
        """The bytes from the offset up to and with the last newline in sight; b"" for no line."""
        size = _CHUNK_BYTES
        while True:
            chunk = os.pread(descriptor, size, self.offset)
            end = chunk.rfind(b"\n") + 1
            if end or len(chunk) < size:
                return chunk[:end]
            size *= 2  # a line longer than the chunk

    def _decode(self, chunk: bytes) -> list[Event]:
        events, num_bad = _decode_lines(chunk, self._loads)
        self.skipped += num_bad
        return events


def tail_events(path: Path, num_bytes: int = 1 << 16) -> list[Event]:
    """The events in the last `num_bytes` of the file, oldest first: cheap however long the run."""
    tail = read_tail(path, num_bytes)
    if len(tail) == num_bytes:
        tail = tail[tail.find(b"\n") + 1 :]  # the first line is cut off
    return _decode_lines(tail[: tail.rfind(b"\n") + 1])[0]


def as_float(value: object) -> float | None:
    """The number in an event's field, "nan" and "inf" included; None if it is no number."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return _NON_FINITE.get(value) if isinstance(value, str) else None


def _decode_lines(chunk: bytes, loads: Loads = json.loads) -> tuple[list[Event], int]:
    """Decode whole lines; also how many were no JSON object. Blank lines count for nothing."""
    lines = [line for line in chunk.split(b"\n") if line.strip()]
    try:
        # One parse of all lines is twice as fast as one parse a line.
        values = loads(b"[" + b",".join(lines) + b"]")
        if len(values) == len(lines) and all(type(value) is dict for value in values):
            return values, 0
    except (ValueError, RecursionError):
        pass  # some line is damaged: find out which below
    events: list[Event] = []
    for line in lines:
        try:
            value = loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            events.append(value)
    return events, len(lines) - len(events)


def _encode(event: Event) -> str:
    try:
        return _dumps(event)
    except ValueError:
        return _dumps(_finite(event))


def _dumps(event: Event) -> str:
    return json.dumps(event, ensure_ascii=False, allow_nan=False, default=_path_text)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _path_text(value: object) -> str:
    if isinstance(value, Path):
        return value.as_posix()
    raise TypeError(f"an event cannot hold a {type(value).__name__}: {value!r}")
