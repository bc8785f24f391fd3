"""Disks, memory, limits, locale, terminal, and the settings that lie around."""

from __future__ import annotations

import codecs
import os
import re
import resource
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from cascade_tui.doctor.calling import check_notify, check_tmux
from cascade_tui.doctor.findings import Finding, error, ok, warning
from engine.config.environment import (
    accelerate_config,
    existing_parent,
    free_bytes,
    network_file_system,
    why_not_writable,
)
from engine.config.hub import has_token, hub_cache, is_offline

_GB = 1e9
_LEAST_DISK_GB, _USUAL_DISK_GB = 1.0, 20.0
_LEAST_SHARED_BYTES = 256 * 2**20
_LEAST_OPEN_FILES = 1024
_LEAST_SIZE = (80, 24)


def check_disk(check: str, folder: Path) -> Iterator[Finding]:
    """There is room and leave to write where runs or weights go, on a disk of this machine."""
    why = why_not_writable(folder)
    if why is not None:
        yield error(check, f"{folder} cannot be written: {why}", "choose another folder")
        return
    free = free_bytes(folder) / _GB
    told = f"{folder}: {free:.1f} GB free"
    kind = network_file_system(folder)
    if free < _LEAST_DISK_GB:
        yield error(check, told, "free some space, or choose a folder on another disk")
    elif kind is not None:
        fix = "keep caches and checkpoints on a local disk: set cache_dir and output_dir"
        yield warning(check, f"{told}; it lies on a network mount ({kind})", fix)
    elif free < _USUAL_DISK_GB:
        fix = "free some space: weights take up to 20 GB, each checkpoint of a full run 29 GB"
        yield warning(check, told, fix)
    else:
        yield ok(check, told)


def memory_limit(
    groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Bytes that a job or a container leaves its processes still; None without a limit."""
    try:
        match = re.search(r"^0::(.*)$", groups.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        return None  # not Linux
    left: list[int] = []
    folder = root / (match[1].strip("/") if match else "")
    for level in [folder, *folder.parents]:
        if not level.is_relative_to(root):
            break
        try:
            limit = (level / "memory.max").read_text().strip()
            used = int((level / "memory.current").read_text()) - _file_cache(level)
        except (OSError, ValueError):
            continue  # the root has no limit
        if limit.isdecimal():
            left.append(max(0, int(limit) - used))
    return min(left, default=None)


def _file_cache(group: Path) -> int:
    """Bytes of files that a group has read and that make room when it needs some."""
    try:
        text = (group / "memory.stat").read_text()
    except OSError:
        return 0
    return sum(map(int, re.findall(r"^(?:in)?active_file (\d+)$", text, re.MULTILINE)))


def check_memory(path: Path = Path("/proc/meminfo"), limit: int | None = None) -> Iterator[Finding]:
    """There is memory to read the weights into; a job's `limit` counts if it is lower."""
    try:
        match = re.search(
            r"^MemAvailable:\s*(\d+) kB", path.read_text(errors="replace"), re.MULTILINE
        )
    except OSError:
        return  # not Linux
    if match is None:
        return
    available = int(match[1]) * 1024
    told = f"{available / _GB:.1f} GB of memory available"
    if limit is not None and limit < available:
        told = f"{limit / _GB:.1f} GB of memory left to this job or container"
        available = limit
    if available < 8 * _GB:
        yield warning("memory", told, "16 GB are wanted to load the 3.6B prior; close something")
    else:
        yield ok("memory", told)


def check_shared_memory(folder: Path = Path("/dev/shm")) -> Iterator[Finding]:
    """Processes of a run on several GPUs talk through shared memory."""
    if not folder.is_dir():
        return
    size = shutil.disk_usage(folder).total
    told = f"{folder} holds {size / 2**20:.0f} MiB"
    if size < _LEAST_SHARED_BYTES:
        fix = "start the container with --shm-size=8g or --ipc=host"
        yield warning("shared memory", f"{told}: too little for several GPUs (NCCL)", fix)
    else:
        yield ok("shared memory", told)


def check_open_files(limit: int | None = None) -> Iterator[Finding]:
    """The number of files that a process may have open."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    told = "no limit" if soft == resource.RLIM_INFINITY else f"{soft} at once"
    if soft != resource.RLIM_INFINITY and soft < _LEAST_OPEN_FILES:
        yield warning("open files", f"{told}: too few for large caches", "ulimit -n 4096")
    else:
        yield ok("open files", told)


def check_locale(
    encoding: str | None = None, variables: Mapping[str, str] = os.environ
) -> Iterator[Finding]:
    """Text goes out as UTF-8."""
    encoding = encoding or sys.stdout.encoding or "ascii"
    name = next(
        (variables[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if variables.get(key)), ""
    )
    told = f"{encoding}{f', {name}' if name else ''}"
    if codecs.lookup(encoding).name == "utf-8":
        yield ok("locale", told)
    else:
        fix = "export LC_ALL=C.UTF-8, or CASCADE_TUI_ASCII=1 to draw in ASCII"
        yield warning("locale", f"{told} is not UTF-8: charts and signs cannot be shown", fix)


def check_terminal(
    *,
    is_terminal: bool,
    size: tuple[int, int],
    variables: Mapping[str, str] = os.environ,
) -> Iterator[Finding]:
    """The terminal can show the app."""
    check, term = "terminal", variables.get("TERM", "")
    if not is_terminal:
        yield ok(check, "none here: commands print lines, as with --no-ui")
        return
    has_colors = variables.get("COLORTERM") in ("truecolor", "24bit")
    told = f"{term or 'TERM is not set'}, {size[0]}x{size[1]}"
    told += ", 16 million colours" if has_colors else ", 256 colours or fewer"
    if term in ("", "dumb"):
        fix = "export TERM=xterm-256color"
        yield warning(check, f"{told}: the app cannot be shown", fix)
    elif term == "linux":
        fix = "export CASCADE_TUI_ASCII=1"
        yield warning(check, f"{told}: the console's font has no charts", fix)
    elif size[0] < _LEAST_SIZE[0] or size[1] < _LEAST_SIZE[1]:
        yield warning(check, f"{told} is small", "make it 80x24 or larger")
    else:
        yield ok(check, told)
    if variables.get("TMUX") and not term.startswith(("tmux", "screen")):
        message = f"TERM is {term} inside tmux: keys and colours may come out wrong"
        fix = "set -g default-terminal tmux-256color in ~/.tmux.conf"
        yield warning("tmux", message, fix)
    if variables.get("NO_COLOR"):
        yield ok("colours", "switched off by NO_COLOR")


def check_hub(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Whether weights can be fetched: switched off, or with a token. The token is not read."""
    if is_offline(variables):
        fix = "unset HF_HUB_OFFLINE to fetch weights with `hf download`"
        told = f"HF_HUB_OFFLINE={variables['HF_HUB_OFFLINE']}: nothing can be fetched"
        yield warning("hub", told, fix)
        return
    folder, token = (
        hub_cache(variables),
        "with a token" if has_token(variables) else "without a token",
    )
    yield ok("hub", f"weights are looked for in {folder}; {token} (the published ones need none)")


def check_accelerate() -> Iterator[Finding]:
    """The file of `accelerate config`, which applies to every run that names no other."""
    from engine.config.context import Context
    from engine.config.environment import Environment
    from engine.config.fields import TrainingConfig
    from engine.config.machine_rules import accelerate_file

    path = accelerate_config(None)
    if path is None:
        yield ok("accelerate", "no file of `accelerate config`: everything is passed explicitly")
        return
    found = list(accelerate_file(Context(TrainingConfig(), (), {}, Environment((), frozenset()))))
    for problem in found:
        yield error("accelerate", problem.message, problem.fix)
    if found:
        return
    precision = re.search(
        r"^\s*\"?mixed_precision\"?\s*:\s*\W?(\w+)", path.read_text(errors="replace"), re.MULTILINE
    )
    if precision and precision[1].lower() not in ("no", "false"):
        message = (
            f"{path} has mixed_precision {precision[1]}; Stage C trains with no, whatever it says"
        )
        yield warning("accelerate", message, "run `accelerate config` again and answer no")
    else:
        yield ok("accelerate", f"{path} applies to runs that name no other")


def check_machine(folder: Path) -> Iterator[Finding]:
    """Everything of this machine but GPUs and packages; runs go to `folder`."""
    yield from check_disk("disk", folder)
    hub = hub_cache()
    if _disk_of(hub) != _disk_of(folder):
        yield from check_disk("disk of the hub cache", hub)
    yield from check_memory(limit=memory_limit())
    yield from check_shared_memory()
    yield from check_open_files()
    yield from check_locale()
    is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    columns, rows = shutil.get_terminal_size()
    yield from check_terminal(is_terminal=is_terminal, size=(columns, rows))
    if is_terminal:
        yield from check_tmux()
    yield from check_notify()
    yield from check_hub()
    yield from check_accelerate()


def _disk_of(folder: Path) -> int:
    return existing_parent(folder).stat().st_dev
