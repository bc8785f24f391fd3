"""Writes that are whole or absent: a reader never sees half a file, a crash never leaves one."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


def fsync_directory(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def atomic_write_bytes(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Replace `path` by `content` in one rename.

    `durable` also forces it to the disk before and after the rename; without it the replacement is
    as atomic, but a power cut may bring the older file back. Raises OSError and leaves the old file
    as it was when the disk is full or the folder not writable.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            write_all(descriptor, content)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        raise
    if durable:
        fsync_directory(path.parent)


def atomic_write_text(path: Path, content: str, *, durable: bool = True) -> None:
    """`atomic_write_bytes` of UTF-8 text."""
    atomic_write_bytes(path, content.encode(), durable=durable)


def atomic_write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """`atomic_write_bytes` of indented JSON with a final newline; non-finite numbers raise."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_write_text(path, text + "\n", durable=durable)


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of `content`: one `write()` unless the kernel takes less at once."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def read_tail(path: Path, num_bytes: int) -> bytes:
    """The last `num_bytes` of a file or fewer; a missing file is empty."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - num_bytes))
            return file.read(num_bytes)
    except FileNotFoundError:
        return b""
