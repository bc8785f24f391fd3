"""What this machine is, as far as rules need it: probed without torch, so within milliseconds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "9p",
     "ceph", "glusterfs", "fuse.rclone", "fuse.goofys", "fuse.blobfuse2", "lustre", "beegfs"}
)  # fmt: skip
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
_PACKAGES = ("torch", "torchvision", "torchao", "wandb", "tensorboard")


@dataclass(frozen=True, slots=True)
class Gpu:
    """One NVIDIA GPU, sizes in bytes."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Environment:
    """The machine's GPUs and which of the packages that options need are installed."""

    gpus: tuple[Gpu, ...]
    packages: frozenset[str]

    def has_package(self, name: str) -> bool:
        """Whether a package that an option needs is installed."""
        return name in self.packages


def probe_environment() -> Environment:
    """Look at this machine."""
    return Environment(gpus=_probe_gpus(), packages=frozenset(_installed(_PACKAGES)))


def existing_parent(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    path = path.expanduser().absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def why_not_writable(folder: Path) -> str | None:
    """Why ``folder`` could not be created or written; None if it can."""
    nearest = existing_parent(folder)
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"no permission to write in {nearest}"
    return None


def free_bytes(folder: Path) -> int:
    """Free space on the file system where ``folder`` lies or would lie."""
    return shutil.disk_usage(existing_parent(folder)).free


def network_file_system(folder: Path) -> str | None:
    """The network file system that holds ``folder``; None if it is local (or not Linux)."""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return None
    target = str(existing_parent(folder).resolve())
    best, kind = "", ""
    for line in mounts:
        _, mount, file_system, *_ = line.split(" ")
        mount = mount.replace("\\040", " ")
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, file_system
    return kind if kind in _NETWORK_FILE_SYSTEMS else None


def holds_images(folder: Path) -> bool:
    """Whether there is at least one image file in ``folder`` or below."""
    return any(
        Path(name).suffix.lower() in IMAGE_SUFFIXES
        for _, _, names in os.walk(folder)
        for name in names
    )


def _installed(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        yield name


def _probe_gpus() -> tuple[Gpu, ...]:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()  # no driver: no NVIDIA GPU
    try:
        return tuple(_describe(index) for index in range(pynvml.nvmlDeviceGetCount()))
    finally:
        pynvml.nvmlShutdown()


def _describe(index: int) -> Gpu:
    import pynvml

    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(str(pynvml.nvmlDeviceGetName(handle)), int(memory.total), int(memory.free))
