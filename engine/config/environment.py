"""What this machine is, as far as rules need it: probed without torch, so within milliseconds."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from dataclasses import dataclass, field
from importlib import metadata
from itertools import islice
from pathlib import Path

from engine.config.hub import has_token, hub_home, is_offline

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "beegfs", "gpfs",
     "afs", "davfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.goofys",
     "fuse.blobfuse2", "fuse.glusterfs", "fuse.juicefs", "fuse.mount-s3"}
)  # fmt: skip
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_PACKAGES = (
    "torch", "torchvision", "torchao", "bitsandbytes", "pytorch_optimizer", "lycoris",
    "wandb", "tensorboard", "trackio",
)  # fmt: skip
_MOST_FOLDERS, _MOST_ENTRIES = 200, 500
"""How much is looked at to find out which folder holds pictures."""
_MOUNTS = Path("/proc/self/mounts")
MAX_LOOKED_AT = 20_000
"""Directory entries after which a folder without a picture is taken for one without pictures."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU, sizes in bytes."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine's GPUs, which packages that options need are installed, and which are broken.

    ``broken`` maps a package to why importing it would fail, as far as its files tell. The last two
    say whether the hub could be pushed to.
    """

    gpus: tuple[Gpu, ...]
    packages: frozenset[str]
    broken: dict[str, str] = field(default_factory=dict)
    has_hub_token: bool = False
    is_offline: bool = False

    def has_package(self, name: str) -> bool:
        """Whether a package that an option needs is installed."""
        return name in self.packages


def probe_environment() -> Environment:
    """Look at this machine: its GPUs that this process may use, and its packages."""
    installed = frozenset(name for name in _PACKAGES if _is_installed(name))
    why = _why_torchvision_is_broken() if {"torch", "torchvision"} <= installed else ""
    return Environment(
        _probe_gpus(),
        installed,
        {"torchvision": why} if why else {},
        has_hub_token=has_token(),
        is_offline=is_offline(),
    )


def existing_parent(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    path = path.expanduser().absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def why_not_writable(folder: Path) -> str | None:
    """Why ``folder`` could not be created or written; None if it can."""
    try:
        nearest = existing_parent(folder)
    except (OSError, RuntimeError) as failure:  # a name too long; ~ of a user who is not known
        return str(failure)
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"no permission to write in {nearest}"
    return None


def free_bytes(folder: Path) -> int:
    """Free space on the file system where ``folder`` lies or would lie."""
    return shutil.disk_usage(existing_parent(folder)).free


def network_file_system(folder: Path, mounts_file: Path = _MOUNTS) -> str | None:
    """The network file system that holds ``folder``; None if it is local (or not Linux).

    The root file system counts as local: a machine without a disk has nothing faster.
    """
    try:
        mounts = mounts_file.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    target = str(existing_parent(folder).resolve())
    best, kind = "/", ""
    for line in mounts:
        _, mount, file_system, *_ = line.split(" ")
        mount = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount)
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and mount != "/" and len(mount) >= len(best):
            best, kind = mount, file_system
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


def find_images(folder: Path) -> tuple[list[Path], bool]:
    """Picture files in ``folder`` and below, except in hidden folders, and whether that is all.

    The search ends after :data:`MAX_LOOKED_AT` directory entries. Raises OSError where the folder
    itself cannot be listed.
    """
    found: list[Path] = []
    num_seen = 0

    def refuse(failure: OSError) -> None:
        if failure.filename == str(folder):
            raise failure

    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(place, name)
            for name in names
            if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES
        ]
        num_seen += len(names) + len(folders)
        if num_seen > MAX_LOOKED_AT:
            return found, False
    return found, True


def likely_folder(root: Path) -> str:
    """The one folder at ``root``, or ``root`` itself, that holds pictures; empty if there is a
    choice, or none."""
    try:
        folders = [path for path in sorted(root.iterdir()) if not path.name.startswith(".")]
        found = [path for path in folders[:_MOST_FOLDERS] if path.is_dir() and _has_picture(path)]
        if _has_picture(root):
            return "" if found else "."
    except OSError:
        return ""
    return f"{found[0]}/" if len(found) == 1 and str(found[0]).isprintable() else ""


def _has_picture(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _MOST_ENTRIES)]
    except OSError:
        return False
    return any(os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES for name in names)


def accelerate_config(path: Path | None) -> Path | None:
    """The accelerate file of a run: the one given, else the one of `accelerate config`, if any."""
    if path is not None:
        return path
    default = hub_home() / "accelerate" / "default_config.yaml"
    return default if default.is_file() else None


def _is_installed(name: str) -> bool:
    """Whether the package can be found for import, and was not left behind as an empty folder."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    return found is not None and found.origin is not None


def _why_torchvision_is_broken() -> str:
    """A torchvision for another torch imports, and then fails at its first compiled operator."""
    try:
        wanted = metadata.requires("torchvision") or []
        torch = metadata.version("torch").partition("+")[0]
        own = metadata.version("torchvision")
    except metadata.PackageNotFoundError:
        return "its package metadata is missing: it was installed by halves"
    spec = importlib.util.find_spec("torchvision")
    folders = list(spec.submodule_search_locations or []) if spec else []
    if not any(found for folder in folders for found in Path(folder).glob("_C*.*")):
        return f"torchvision {own} lacks its compiled part (_C)"
    for requirement in wanted:
        match = re.match(r"torch\s*\(?\s*(==|>=)\s*([\w.]+)", requirement)
        if match and match[1] == "==" and _release(match[2]) != _release(torch):
            return f"torchvision {own} is made for torch {match[2]}, but torch {torch} is installed"
        if match and match[1] == ">=" and _release(match[2]) > _release(torch):
            return f"torchvision {own} needs torch {match[2]} or newer, but {torch} is installed"
    return ""


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _probe_gpus() -> tuple[Gpu, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return ()
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()  # no driver: no NVIDIA GPU
    try:
        gpus = tuple(_describe(index) for index in range(pynvml.nvmlDeviceGetCount()))
    except pynvml.NVMLError:
        return ()
    finally:
        pynvml.nvmlShutdown()
    if visible is None:
        return gpus
    chosen = visible.split(",")
    if all(name.strip().isdigit() for name in chosen):
        return tuple(gpus[int(name)] for name in chosen if int(name) < len(gpus))
    return gpus[: len(chosen)]


def _describe(index: int) -> Gpu:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free))
