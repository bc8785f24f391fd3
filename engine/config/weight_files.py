"""Where a run's weights lie on this machine; what is missing, how large it is, how to get it.

A name is a local folder, or a hub repository that is looked up in the local hub cache. Nothing is
downloaded and nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine.config.fields import TrainingConfig
from engine.config.problems import Problem, error

_SIZES_GB = {  # published sizes, fp32 and bf16
    "prior": (14.4, 7.18),
    "prior_lite": (4.12, 2.06),
    "text_encoder": (2.78, 1.39),
    "effnet_encoder.safetensors": (0.0815, 0.0815),
    "previewer.safetensors": (0.016, 0.016),
    "decoder": (6.25, 3.13),
    "decoder_lite": (2.8, 1.4),
    "vqgan": (0.0737, 0.0737),
}
PUBLISHED_DECODERS = ("decoder", "decoder_lite")


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
    """A local folder or a snapshot in the hub cache, and what was looked for in vain."""

    key: str
    name: str
    revision: str | None
    root: Path | None
    is_local: bool
    missing: list[str] = field(default_factory=list)

    def file(self, path: str, entry: str = "") -> Path:
        """A file that must be there; ``entry`` is the name under which its size is known."""
        found = (self.root or Path()) / path
        if self.root is None or not found.is_file():
            self.missing.append(f"{path}{_size(entry or path)}")
        return found

    def weights(self, folder: str, stem: str, variant: str | None) -> tuple[Path, ...]:
        """The weights of a model's folder: one file, or the shards that its index names."""
        name = f"{stem}.{variant}" if variant else stem
        base = (self.root or Path()) / folder
        index = base / f"{stem}.safetensors.index{'.' + variant if variant else ''}.json"
        if (
            self.root is not None
            and not (base / f"{name}.safetensors").is_file()
            and index.is_file()
        ):
            names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
            return tuple(self.file(f"{folder}/{shard}", folder) for shard in names)
        return (self.file(f"{folder}/{name}.safetensors", f"{folder}:{variant}"),)


def locate_weights(
    config: TrainingConfig,
) -> tuple[WeightFiles | None, tuple[Problem, ...]]:
    """Find every weight file that ``config`` needs, or say all that is missing."""
    decoder_repositories: list[_Repository] = []
    prior_repository = _open(config, "pretrained_model_name_or_path")
    image_repository = _open(config, "pretrained_vae_model_name_or_path")
    folder = "prior_lite" if config.model_flavour == "stage-c-lite" else "prior"
    prior_repository.weights("text_encoder", "model", None)
    files = WeightFiles(
        prior_config=prior_repository.file(f"{folder}/config.json"),
        prior_weights=prior_repository.weights(folder, "diffusion_pytorch_model", None),
        text_encoder=prior_repository.file("text_encoder/config.json").parent,
        tokenizer=prior_repository.file("tokenizer/tokenizer_config.json").parent,
        effnet_encoder=image_repository.file("effnet_encoder.safetensors"),
        previewer=image_repository.file("previewer.safetensors"),
        **_locate_decoder(config, decoder_repositories),
    )
    problems = [_problem(repository) for repository in (prior_repository, image_repository)]
    problems += [_problem(repository, _NOISE) for repository in decoder_repositories]
    found = tuple(problem for problem in problems if problem is not None)
    return (None if found else files), found


_NOISE = (
    " Without the decoder validation would show raw priors (green noise); set "
    "stable_cascade_use_decoder_for_validation to false to look through the previewer."
)


def _locate_decoder(
    config: TrainingConfig, repositories: list[_Repository]
) -> dict[str, Path | None]:
    if not config.stable_cascade_use_decoder_for_validation:
        return {}
    repository = _open(config, "stable_cascade_decoder_model_name_or_path")
    repositories.append(repository)
    folder, variant = (
        config.stable_cascade_decoder_subfolder,
        config.stable_cascade_decoder_variant,
    )
    decoder = repository.file(f"{folder}/config.json").parent
    repository.weights(folder, "diffusion_pytorch_model", variant)
    vqgan = repository.file("vqgan/config.json").parent
    repository.weights("vqgan", "diffusion_pytorch_model", None)
    return {"decoder": decoder, "vqgan": vqgan}


def _open(config: TrainingConfig, key: str) -> _Repository:
    name: str = getattr(config, key)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _Repository(key, name, None, folder.absolute(), is_local=True)
    looks_local = name.startswith((".", "/", "~")) or name.count("/") != 1
    root = None if looks_local else _snapshot(name, config.revision or "main")
    return _Repository(key, name, config.revision, root, is_local=looks_local)


def _snapshot(repository: str, revision: str) -> Path | None:
    """The folder of a repository's revision in the local hub cache."""
    base = hub_cache() / f"models--{repository.replace('/', '--')}"
    reference = base / "refs" / revision
    commit = reference.read_text().strip() if reference.is_file() else revision
    snapshot = base / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def hub_cache() -> Path:
    """Where huggingface_hub keeps its files: HF_HUB_CACHE, HF_HOME/hub, or ~/.cache."""
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"]).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    return Path(home).expanduser() / "hub"


def _problem(repository: _Repository, consequence: str = "") -> Problem | None:
    if not repository.missing:
        return None
    if repository.is_local and repository.root is None:
        message = f"the folder {repository.name} does not exist"
        fix = "give a folder that is there, or a hub repository."
        return error(repository.key, message, (fix + consequence).rstrip("."))
    place = "is not in the hub cache" if repository.root is None else "lacks files"
    listed = ", ".join(repository.missing)
    message = f"{repository.name} {place}: needs {listed}"
    if repository.is_local:
        fix = f"put the missing files into {repository.root}, or give another folder."
    else:
        wanted = " ".join(f'"{pattern}"' for pattern in _patterns(repository.missing))
        revision = f" --revision {repository.revision}" if repository.revision else ""
        fix = (
            f"hf download {repository.name}{revision} --include {wanted} (or set {repository.key} "
            "to a folder that holds them)."
        )
    return error(repository.key, message, (fix + consequence).rstrip("."))


def _patterns(missing: Sequence[str]) -> list[str]:
    """What to pass to `hf download --include`: the files, and the whole tokenizer."""
    paths = (entry.split(" ")[0] for entry in missing)
    return ["tokenizer/*" if path.startswith("tokenizer/") else path for path in paths]


def _size(entry: str) -> str:
    folder, _, variant = entry.partition(":")
    sizes = _SIZES_GB.get(folder)
    if sizes is None:
        return ""
    size = sizes[variant == "bf16"]
    return f" ({size:.2f} GB)" if size >= 1 else f" ({size * 1000:.0f} MB)"
