"""One shard: an immutable safetensors file of many entries, each with a checksum.

Tensor names are ``<key>/<field>``; the header's metadata holds the format and each key's crc32.
Any safetensors reader opens it. Reads go through ``pread`` and not through a memory map: a disk
that fails then raises an error, where a map would end the process by SIGBUS.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.run.files import fsync_directory, write_all

SUFFIX = ".safetensors"
FORMAT = "cascade-cache-1"

_DTYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_MAX_HEADER_BYTES = 100 << 20


class ShardError(RuntimeError):
    """A shard is not what it should be; the message is the reason."""


class OtherFormatError(ShardError):
    """A shard that another version of this program wrote: whole, but not for us."""


@dataclass(frozen=True, slots=True)
class Field:
    """Where one tensor of an entry lies: ``start`` and ``num_bytes`` in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Packed:
    """A shard to be written: its file name, and its bytes in parts, the tensors' own memory."""

    name: str
    parts: tuple[Any, ...]


def pack(entries: Mapping[str, Mapping[str, Tensor]]) -> Packed:
    """Lay ``entries`` out as a shard.

    The name is the hash of the header, which holds every key, shape and checksum: so it is the
    hash of the content, without reading that twice.
    """
    rows = [
        (key, name, tensor) for key, fields in entries.items() for name, tensor in fields.items()
    ]
    # The widest type first, as safetensors does, so that each tensor is aligned to its own.
    rows.sort(key=lambda row: (-row[2].itemsize, row[0], row[1]))
    checksums = {key: checksum(fields) for key, fields in sorted(entries.items())}
    header: dict[str, Any] = {"__metadata__": {"format": FORMAT, "crc32": json.dumps(checksums)}}
    end = 0
    for key, name, tensor in rows:
        begin, end = end, end + tensor.nbytes
        header[f"{key}/{name}"] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return Packed(_name_of(text), (head, *(_bytes_of(tensor) for _, _, tensor in rows)))


def write_shard(root: Path, packed: Packed) -> None:
    """Write a shard aside, force it to the disk, and rename it into the folder ``root``."""
    aside = root / f".{packed.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            for part in packed.parts:
                write_all(descriptor, part)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(aside, root / packed.name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            aside.unlink()
        raise
    fsync_directory(root)


def _name_of(header: bytes) -> str:
    return hashlib.blake2b(header, digest_size=16).hexdigest() + SUFFIX


def checksum(fields: Mapping[str, Tensor]) -> int:
    """Return the crc32 of an entry: names, dtypes, shapes and bytes of its tensors."""
    value = 0
    for name in sorted(fields):
        tensor = fields[name]
        value = _fold(value, name, _NAMES[tensor.dtype], tuple(tensor.shape), _bytes_of(tensor))
    return value


def _fold(value: int, name: str, dtype: str, shape: tuple[int, ...], content: Any) -> int:
    return zlib.crc32(content, zlib.crc32(f"{name}:{dtype}:{shape}".encode(), value))


def _bytes_of(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy()


class Shard:
    """An open shard: its keys, and its entries read and checked on demand. Safe from threads.

    Raises:
        ShardError: the file is no whole shard of this format.
        OSError: it can't be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._checksums, self._fields = self._read_header()
        except BaseException:
            self.close()
            raise

    @property
    def keys(self) -> list[str]:
        """The keys of the entries inside."""
        return list(self._fields)

    def read(self, key: str) -> dict[str, Tensor]:
        """Return the tensors of an entry, in memory of their own.

        Raises:
            ShardError: the bytes are not those that were written.
            OSError: the disk fails.
        """
        tensors: dict[str, Tensor] = {}
        value = 0
        for field in self._fields[key]:
            content = bytearray(field.num_bytes)
            if os.preadv(self._descriptor, [content], field.start) != field.num_bytes:
                raise ShardError("the file is shorter than it was")
            value = _fold(value, field.name, field.dtype, field.shape, content)
            flat = torch.frombuffer(content, dtype=_DTYPES[field.dtype])
            tensors[field.name] = flat.reshape(field.shape)
        if value != self._checksums.get(key):
            raise ShardError(f"the checksum of entry {key} is wrong: its bytes changed on disk")
        return tensors

    def close(self) -> None:
        """Close the file; reading is over."""
        os.close(self._descriptor)

    def _read_header(self) -> tuple[dict[str, int], dict[str, list[Field]]]:
        """Parse safetensors' header: 8 bytes of length, JSON, then the tensors' bytes."""
        size = os.fstat(self._descriptor).st_size
        length = int.from_bytes(os.pread(self._descriptor, 8, 0), "little")
        if not 0 < length <= min(size - 8, _MAX_HEADER_BYTES):
            raise ShardError(f"no safetensors file, or cut off ({size} bytes)")
        try:
            text = os.pread(self._descriptor, length, 8)
            if _name_of(text) != self.path.name:
                raise ValueError("it is not what the file's name says")
            header = json.loads(text)
            metadata = header.pop("__metadata__")
            if metadata["format"] != FORMAT:
                raise OtherFormatError(f"its format is {metadata['format']!r}, not {FORMAT!r}")
            checksums = json.loads(metadata["crc32"])
            fields = _fields_by_key(header, 8 + length, size)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ShardError(f"its header is damaged ({error})") from error
        return checksums, fields


def _fields_by_key(header: dict[str, Any], start: int, size: int) -> dict[str, list[Field]]:
    """Return each entry's fields by name; ValueError when they don't fill the file exactly."""
    by_key: dict[str, list[Field]] = {}
    end_of_all = 0
    for full_name, row in header.items():
        key, _, name = full_name.partition("/")
        begin, end = row["data_offsets"]
        field = Field(name, row["dtype"], tuple(row["shape"]), start + begin, end - begin)
        if math.prod(field.shape) * _DTYPES[field.dtype].itemsize != field.num_bytes:
            raise ValueError(f"{full_name} has {field.num_bytes} bytes for shape {field.shape}")
        by_key.setdefault(key, []).append(field)
        end_of_all = max(end_of_all, end)
    if start + end_of_all != size:
        raise ValueError(f"{size} bytes instead of {start + end_of_all}: cut off, or grown")
    for fields in by_key.values():
        fields.sort(key=lambda field: field.name)
    return by_key
