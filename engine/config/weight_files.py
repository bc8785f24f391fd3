"""Where a run's weights lie on this machine; what is missing, how large it is, how to get it.

A name is a local folder, or a hub repository that is looked up in the local hub cache. Nothing is
downloaded, nothing heavy is imported, and of the weights only the headers are read.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.fields import TrainingConfig
from engine.config.hub import hub_cache, is_offline
from engine.config.problems import Download, Problem

_SIZES_GB = {  # as published: full precision, and the .bf16 file where there is one
    "prior/diffusion_pytorch_model": (14.4, 7.18),
    "prior_lite/diffusion_pytorch_model": (4.12, 2.06),
    "text_encoder/model": (2.78, 1.39),
    "effnet_encoder": (0.0815, None),
    "previewer": (0.016, None),
    "decoder/diffusion_pytorch_model": (6.25, 3.13),
    "decoder_lite/diffusion_pytorch_model": (2.8, 1.4),
    "vqgan/diffusion_pytorch_model": (0.0737, None),
}
WEIGHT_KEYS = (
    "model_flavour",
    "pretrained_model_name_or_path",
    "pretrained_vae_model_name_or_path",
    "revision",
    "stable_cascade_use_decoder_for_validation",
    "stable_cascade_decoder_model_name_or_path",
    "stable_cascade_decoder_subfolder",
    "stable_cascade_decoder_variant",
)
"""The options that say which files a run reads."""
PUBLISHED_DECODERS = ("decoder", "decoder_lite")
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
_TOKENIZER_FILES = ("tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json")
_MAX_HEADER_BYTES = 100_000_000
_NOISE = "without the decoder validation would show raw priors (green noise)"
_PREVIEWER = (
    "or set stable_cascade_use_decoder_for_validation to false, to look through the previewer"
)


@dataclass(frozen=True, slots=True)
class WeightFiles:
    """The files a run reads. Folders are in the published (diffusers) layout."""

    prior_config: Path
    prior_weights: tuple[Path, ...]
    text_encoder: Path
    tokenizer: Path
    effnet_encoder: Path
    previewer: Path
    decoder: Path | None = None
    vqgan: Path | None = None


@dataclass(slots=True)
class _Repository:
    """A local folder or a snapshot in the hub cache, and what was looked for there in vain."""

    key: str
    name: str
    revision: str | None
    root: Path | None
    is_local: bool
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    consequence: str = ""
    needed: list[str] = field(default_factory=list)

    def file(self, path: str) -> Path:
        """A file that must be there."""
        self.needed.append(path)
        found = (self.root or Path()) / path
        if self.root is None or not found.is_file():
            self.missing.append(path)
        elif found.suffix == ".safetensors" and (why := why_damaged(found)):
            self.damaged.append(f"{path} {why}")
        return found

    def weights(self, folder: str, stem: str, variant: str | None = None) -> tuple[Path, ...]:
        """The weights of a model's folder: one file, or the shards that an index names.

        Without a variant the full-precision file is meant, else the bf16 one where only that lies.
        """
        base = (self.root or Path()) / folder
        for suffix in (f".{variant}",) if variant else ("", ".bf16"):
            index = base / f"{stem}.safetensors.index{suffix}.json"
            if self.root is not None and (base / f"{stem}{suffix}.safetensors").is_file():
                return (self.file(f"{folder}/{stem}{suffix}.safetensors"),)
            if self.root is not None and index.is_file():
                return tuple(self.file(f"{folder}/{name}") for name in self._shards(index))
        # The original trains in fp32 from the bf16 file: half the download, the same recipe.
        published = _SIZES_GB.get(f"{folder}/{stem}", (0.0, None))[1]
        suffix = f".{variant}" if variant else ".bf16" if published else ""
        return (self.file(f"{folder}/{stem}{suffix}.safetensors"),)

    def tokenizer(self, folder: str) -> Path:
        """A tokenizer's folder: tokenizer.json, or vocab.json and merges.txt."""
        base = (self.root or Path()) / folder
        if self.root is None or not any(
            all((base / name).is_file() for name in names) for names in _TOKENIZERS
        ):
            self.missing += [f"{folder}/{name}" for name in _TOKENIZER_FILES]
            self.needed += [f"{folder}/{name}" for name in _TOKENIZER_FILES]
        else:
            found = (name for name in _TOKENIZER_FILES if (base / name).is_file())
            self.needed += [f"{folder}/{name}" for name in found]
        return base

    def _shards(self, index: Path) -> list[str]:
        try:
            named = json.loads(index.read_text())["weight_map"].values()
            return sorted({str(name) for name in named})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.damaged.append(f"{index.parent.name}/{index.name} is no index of shards")
            return []


@dataclass(frozen=True, slots=True)
class NeededFile:
    """One file that a run reads; ``path`` is where it lies, or would in a local folder.

    ``problem`` says what is wrong with it (``missing``, or how it is damaged); empty if nothing is.
    """

    repository: str
    revision: str | None
    name: str
    is_local: bool
    path: Path | None
    problem: str


def needed_files(config: TrainingConfig) -> tuple[NeededFile, ...]:
    """Every weight and config file that a run with ``config`` reads, there or not."""
    opened: dict[tuple[str, str | None], _Repository] = {}
    _locate(config, opened)
    files: dict[tuple[str, str], NeededFile] = {}
    for repository in opened.values():
        damaged = dict(entry.split(" ", 1) for entry in repository.damaged)
        for name in repository.needed:
            problem = "missing" if name in repository.missing else damaged.get(name, "")
            path = repository.root / name if repository.root else None
            files[repository.name, name] = NeededFile(
                repository.name, repository.revision, name, repository.is_local, path, problem
            )
    return tuple(files.values())


def locate_weights(
    config: TrainingConfig, arguments: str = "CONFIG"
) -> tuple[WeightFiles | None, tuple[Problem, ...]]:
    """Find every weight file that ``config`` needs, or say all that is missing, by repository.

    ``arguments`` name the config to ``cascade-tui models``, which fetches what is missing.
    """
    opened: dict[tuple[str, str | None], _Repository] = {}
    files = _locate(config, opened)
    wanting = [item for item in opened.values() if item.missing or item.damaged]
    problems = tuple(_problem(repository, arguments) for repository in wanting)
    return (None if problems else files), problems


def _locate(
    config: TrainingConfig, opened: dict[tuple[str, str | None], _Repository]
) -> WeightFiles:
    prior = _open(config, "pretrained_model_name_or_path", opened)
    images = _open(config, "pretrained_vae_model_name_or_path", opened)
    folder = "prior_lite" if config.model_flavour == "stage-c-lite" else "prior"
    prior_config = prior.file(f"{folder}/config.json")
    prior_weights = prior.weights(folder, "diffusion_pytorch_model")
    text_config = prior.file("text_encoder/config.json")
    prior.weights("text_encoder", "model")
    return WeightFiles(
        prior_config=prior_config,
        prior_weights=prior_weights,
        text_encoder=text_config.parent,
        tokenizer=prior.tokenizer("tokenizer"),
        effnet_encoder=images.file("effnet_encoder.safetensors"),
        previewer=images.file("previewer.safetensors"),
        **_locate_decoder(config, opened),
    )


def _locate_decoder(
    config: TrainingConfig, opened: dict[tuple[str, str | None], _Repository]
) -> dict[str, Path | None]:
    if not config.stable_cascade_use_decoder_for_validation:
        return {}
    own = local_decoder(config.stable_cascade_decoder_subfolder)
    repository = _open(config, "stable_cascade_decoder_model_name_or_path", opened)
    folder = str(own) if own else config.stable_cascade_decoder_subfolder
    if not own and not repository.is_local and folder not in PUBLISHED_DECODERS:
        return {}  # a rule says so; there is nothing to fetch
    where = _Repository(repository.key, folder, None, own, True) if own else repository
    known = len(repository.missing) + len(repository.damaged)
    inside = "." if own else folder
    decoder = where.file(f"{inside}/config.json").parent
    where.weights(inside, "diffusion_pytorch_model", config.stable_cascade_decoder_variant)
    if own and (own.parent / "vqgan").is_dir():
        beside = _Repository(repository.key, str(own.parent), None, own.parent, True)
    else:
        beside = repository
    vqgan = beside.file("vqgan/config.json").parent
    beside.weights("vqgan", "diffusion_pytorch_model")
    for extra in (where, beside):
        if extra is not repository:
            opened[(extra.name, "decoder")] = extra
            extra.consequence = _NOISE
    if len(repository.missing) + len(repository.damaged) > known:
        repository.consequence = _NOISE
    return {"decoder": decoder, "vqgan": vqgan}


def is_folder(name: str) -> bool:
    """Whether the name of a model is a folder here, and not a hub repository."""
    try:
        return Path(name).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):  # a name too long; ~ of a user who is not known
        return False


def local_decoder(subfolder: str) -> Path | None:
    """The folder that a decoder's subfolder is when it is a path (has a slash) and lies here."""
    if "/" not in subfolder and not subfolder.startswith(("~", ".")):
        return None
    return Path(subfolder).expanduser().absolute() if is_folder(subfolder) else None


def _open(
    config: TrainingConfig, key: str, opened: dict[tuple[str, str | None], _Repository]
) -> _Repository:
    """The repository that option ``key`` names; one that was opened under another key is shared."""
    name: str = getattr(config, key)
    # A revision belongs to the prior's repository: another one has no such commit.
    revision = config.revision if key == "pretrained_model_name_or_path" else None
    is_here = is_folder(name)
    folder = Path(name).expanduser() if is_here else Path(name)
    is_local = is_here or name.startswith((".", "/", "~")) or name.count("/") != 1
    identity = (str(folder.absolute()), None) if is_local else (name, revision)
    if identity not in opened:
        if is_local:
            root = folder.absolute() if is_here else None
        else:
            root = _snapshot(name, revision or "main")
        opened[identity] = _Repository(key, name, revision, root, is_local)
    return opened[identity]


def _snapshot(repository: str, revision: str) -> Path | None:
    """The folder of a repository's revision in the local hub cache."""
    base = hub_cache() / f"models--{repository.replace('/', '--')}"
    try:
        commit = (base / "refs" / revision).read_text().strip()
    except OSError:
        commit = revision
    snapshot = base / "snapshots" / commit
    return snapshot if commit and snapshot.is_dir() else None


def why_damaged(path: Path) -> str:
    """Why a safetensors file cannot be whole, by its header and size alone; empty if it may be."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if start.startswith(b"version "):
                return "is a Git LFS pointer, not the file it points to"
            if len(start) < 8 or length > min(size - 8, _MAX_HEADER_BYTES):
                return f"is no safetensors file, or cut off ({size} bytes)"
            header = json.loads(file.read(length))
        ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
    except OSError as failure:
        return f"cannot be read: {failure.strerror or failure}"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return "is no safetensors file"
    expected = 8 + length + max(ends, default=0)
    return "" if size == expected else f"is cut off: {size} of {expected} bytes"


def _problem(repository: _Repository, arguments: str) -> Problem:
    """All that is wrong with a repository, and the command that mends it."""
    key, name, root = repository.key, repository.name, repository.root
    if repository.is_local and root is None:
        message, fix = f"the folder {name} does not exist", "give a folder, or a hub repository"
        return Problem(key, "error", message, fix)
    message = "; ".join(filter(None, [*_wanting(repository), repository.consequence]))
    other_way = [_PREVIEWER] if repository.consequence else []
    files = (*map(_with_size, repository.missing), *repository.damaged)
    if repository.is_local:
        fix = f"put the files into {root}, or give another folder"
        return Problem(key, "error", message, ", ".join([fix, *other_way]), details=files)
    command = f"cascade-tui models {arguments} --fetch"
    if is_offline():
        command = f"unset HF_HUB_OFFLINE, then: {command}"
    fix = "   ".join([command, f"(or set {key} to a folder that holds them)", *other_way])
    names = [*repository.missing, *(entry.split(" ")[0] for entry in repository.damaged)]
    size = sum(published_bytes(path) or 0 for path in names)
    details = (*files, f"or by hand: {_hub_command(repository, names)}")
    return Problem(key, "error", message, fix, details=details, download=Download(name, size))


def _wanting(repository: _Repository) -> list[str]:
    """What is missing and what is damaged: a single file by its name, more by their number."""
    missing, damaged, found = repository.missing, repository.damaged, []
    of = f"of {repository.name}"
    if repository.is_local and missing:
        lacks = missing[0] if len(missing) == 1 else f"{len(missing)} files that the run reads"
        found.append(f"{repository.root} lacks {lacks}")
    elif len(missing) == 1:
        found.append(f"{_with_size(missing[0])} {of} is not on this machine")
    elif missing:
        size = sum(published_bytes(path) or 0 for path in missing)
        amount = f", {_amount(size)}," if size else ""
        found.append(f"{len(missing)} files{amount} {of} are not on this machine")
    if len(damaged) == 1:
        where = f"{repository.root}/" if repository.is_local else ""
        found.append(where + damaged[0].replace(" ", " " if where else f" {of} ", 1))
    elif damaged:
        found.append(f"{len(damaged)} files {of} are damaged")
    return found


def _hub_command(repository: _Repository, paths: list[str]) -> str:
    """What fetches the files with the hub's own tool."""
    revision = f" --revision {shlex.quote(repository.revision)}" if repository.revision else ""
    force = " --force-download" if repository.damaged else ""
    names = " ".join(map(shlex.quote, paths))
    return f"hf download {repository.name}{revision}{force} {names}"


def published_bytes(path: str) -> int | None:
    """About how large the published file of this name is; None of one that is not known."""
    stem = path.removesuffix(".safetensors")
    full, bf16 = _SIZES_GB.get(stem.removesuffix(".bf16"), (None, None))
    size = bf16 if stem.endswith(".bf16") else full
    return None if size is None or stem == path else round(size * 1e9)


def _with_size(path: str) -> str:
    """A path with its published size."""
    size = published_bytes(path)
    return path if size is None else f"{path} ({_amount(size)})"


def _amount(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.2f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"
