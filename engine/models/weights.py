"""Weights from disk: strict about every key and shape, straight from the mapped file.

Two namings of the prior are read: diffusers' (hub folders), and the original's single files
(``stage_c*.safetensors``), which differ only in their fused attention projection (``in_proj``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.run.files import atomic_write_json

_PICKLES = {".ckpt", ".pt", ".pth", ".bin", ".pkl"}
_SHOWN = 4


class WeightsError(ValueError):
    """A weight file that is absent, damaged, or not of this network; the message says how."""


def read_tensors(
    paths: Sequence[Path], *, device: torch.device | str = "cpu", dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Read safetensors files (the shards of one model) by mmap, straight to ``device``.

    ``dtype`` converts floating-point tensors only.

    Raises:
        WeightsError: a pickle, a missing or damaged file, or a key in two shards.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        _refuse_pickle(path)
        try:
            with safe_open(path, framework="pt", device=str(device)) as file:
                for key in file.keys():  # noqa: SIM118 - a safetensors file is no dict
                    if key in tensors:
                        raise WeightsError(f"{path}: {key} is in two shards")
                    tensor = file.get_tensor(key)
                    if dtype is not None and tensor.is_floating_point():
                        tensor = tensor.to(dtype)
                    tensors[key] = tensor
        except (OSError, SafetensorError) as error:
            raise WeightsError(
                f"{path} cannot be read as safetensors: {error}. Is it whole? Fetch it again"
            ) from error
    return tensors


def load_strictly(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Give ``module`` (built on the meta device or not) exactly these tensors, without a copy.

    Raises:
        WeightsError: lists keys that are missing, unexpected, or of another shape.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    faults = []
    missing, unexpected = expected.keys() - found.keys(), found.keys() - expected.keys()
    misshapen = sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k])
    if missing:
        faults.append(f"{len(missing)} missing ({_some(missing)})")
    if unexpected:
        faults.append(f"{len(unexpected)} unexpected ({_some(unexpected)})")
    if misshapen:
        shown = (f"{k} is {list(found[k])}, expected {list(expected[k])}" for k in misshapen)
        faults.append(f"{len(misshapen)} of another shape ({_some(shown)})")
    if faults:
        raise WeightsError(
            f"{source} does not fit {type(module).__name__}: tensors {'; '.join(faults)}"
        )
    module.load_state_dict(dict(tensors), strict=True, assign=True)


def load_prior(
    config_path: Path,
    weight_paths: Sequence[Path],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = torch.float32,
) -> StableCascadePrior:
    """Load a prior in either naming; ``dtype`` None leaves it in the file's.

    Raises:
        PriorConfigError, WeightsError: the files are not a Stage C prior, or not this one.
    """
    config = PriorConfig.from_file(config_path)
    with torch.device("meta"):
        prior = StableCascadePrior(config)
    tensors = read_tensors(weight_paths, device=device, dtype=dtype)
    if is_original(tensors):
        tensors = to_diffusers(tensors)
    load_strictly(prior, tensors, ", ".join(str(path) for path in weight_paths))
    return prior


def shard_paths(folder: Path, stem: str, variant: str | None = None) -> tuple[Path, ...]:
    """The files of a model in a hub folder: one file, or the shards its index names.

    Without a ``variant`` the full-precision file is meant, or the published bf16 one where only
    that lies.

    Raises:
        WeightsError: none is there, the index is damaged, or a shard is missing.
    """
    tried = []
    for suffix in (f".{variant}",) if variant else ("", ".bf16"):
        single = folder / f"{stem}{suffix}.safetensors"
        index = folder / f"{stem}.safetensors.index{suffix}.json"
        if single.exists():
            return (single,)
        if index.exists():
            return _shards_of(index)
        tried += [single.name, index.name]
    raise WeightsError(f"{folder} holds neither {' nor '.join(tried)}")


def _shards_of(index: Path) -> tuple[Path, ...]:
    folder = index.parent
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{index} is no index of shards: {error!r}") from error
    paths = tuple(folder / name for name in names)
    if absent := [path.name for path in paths if not path.exists()]:
        raise WeightsError(f"{folder} lacks shards that {index.name} names: {_some(absent)}")
    return paths


def is_original(tensors: Mapping[str, Tensor]) -> bool:
    """Whether the keys are the original's: attention projections fused into ``in_proj``."""
    return any(key.endswith("attention.attn.in_proj_weight") for key in tensors)


def to_diffusers(original: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename original keys to diffusers', splitting ``in_proj`` in the order q, k, v."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in original.items():
        if ".attn.in_proj_" in key:
            prefix, kind = key.split("attn.in_proj_")
            parts = tensor.tensor_split(3, dim=0)
            for name, part in zip(("to_q", "to_k", "to_v"), parts, strict=True):
                renamed[f"{prefix}{name}.{kind}"] = part
        else:
            renamed[key.replace(".attn.out_proj.", ".to_out.0.")] = tensor
    return renamed


def to_original(diffusers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename diffusers keys to the original's, fusing q, k, v into ``in_proj``."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in diffusers.items():
        if ".attention.to_q." in key:
            parts = [diffusers[key.replace(".to_q.", f".to_{part}.")] for part in "qkv"]
            fused = key.replace(".attention.to_q.", ".attention.attn.in_proj_")
            renamed[fused] = torch.cat(parts, dim=0)
        elif ".attention.to_k." not in key and ".attention.to_v." not in key:
            renamed[key.replace(".attention.to_out.0.", ".attention.attn.out_proj.")] = tensor
    return renamed


def hash_weights(paths: Iterable[Path], *, memory: Path | None = None) -> str:
    """The blake2b-128 over files' contents in order: the identity of weights in every cache key.

    ``memory`` is a small JSON file which remembers each file's hash by its path, size and time of
    change, so that 14 GB are read once only.
    """
    remembered = _remembered(memory)
    entries: dict[str, list[Any]] = {}
    for path in paths:
        name, stat = str(path.resolve()), path.stat()
        entry = remembered.get(name)
        if not (isinstance(entry, list) and entry[:2] == [stat.st_size, stat.st_mtime_ns]):
            entry = [stat.st_size, stat.st_mtime_ns, _hash_file(path)]
        entries[name] = entry
    if memory is not None and any(remembered.get(name) != entries[name] for name in entries):
        memory.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_json(memory, remembered | entries)
    digests = [entry[2] for entry in entries.values()]
    if len(digests) == 1:
        return digests[0]
    return hashlib.blake2b("".join(digests).encode(), digest_size=16).hexdigest()


def _remembered(memory: Path | None) -> dict[str, Any]:
    if memory is None or not memory.exists():
        return {}
    try:
        values = json.loads(memory.read_text())
    except ValueError:  # it saves time and nothing else: a damaged one is begun again
        return {}
    return values if isinstance(values, dict) else {}


def _hash_file(path: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _refuse_pickle(path: Path) -> None:
    if path.suffix in _PICKLES:
        raise WeightsError(
            f"{path} is a pickle, which can run code when it is read; only .safetensors is loaded"
        )
    if not path.exists():
        raise WeightsError(f"{path} does not exist")


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f", … {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return ", ".join(ordered[:_SHOWN]) + more
