"""Whose memory it is on a GPU: the processes, as far as they can be looked up from here."""

from __future__ import annotations

import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_INIT = 1


@dataclass(frozen=True, slots=True)
class GpuProcess:
    """A process on a GPU. ``name`` and ``user`` are empty if it is not visible from here.

    ``memory_bytes`` is None where the driver does not tell, ``parent`` is 0 if unknown.
    """

    pid: int
    memory_bytes: int | None
    name: str = ""
    user: str = ""
    parent: int = 0


def look_up(pid: int, memory_bytes: int | None) -> GpuProcess:
    """Describe a process; in another container, or gone by now, it has no name."""
    folder = _PROC / str(pid)
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
        owner = folder.stat().st_uid
    except OSError:
        return GpuProcess(pid, memory_bytes)
    return GpuProcess(pid, memory_bytes, short_name(arguments), _user(owner), int(parent))


def short_name(arguments: Iterable[str]) -> str:
    """``python -m engine.train`` or ``python train.py``: what runs, without its folders."""
    program, *others = [argument for argument in arguments if argument] or [""]
    name = Path(program).name
    if not name.startswith("python"):
        return name
    for position, argument in enumerate(others):
        if argument == "-m" and position + 1 < len(others):
            return f"{name} -m {others[position + 1]}"
        if argument == "-c":
            return f"{name} -c"
        if not argument.startswith("-"):
            return f"{name} {Path(argument).name}"
    return name


def is_of_run(process: GpuProcess, trainer: GpuProcess | None, trainer_pid: int | None) -> bool:
    """Whether a process is a rank of the run: its first one, or another child of its launcher."""
    if trainer_pid is None:
        return False
    if trainer_pid in (process.pid, process.parent):
        return True
    return trainer is not None and trainer.parent > _INIT and process.parent == trainer.parent


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
