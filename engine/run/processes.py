"""Which process is which: identity that survives reused pids, reboots and containers (Linux)."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


def process_start_time(pid: int) -> int | None:
    """When a live process started, in clock ticks since boot; None if it is gone or a zombie.

    Field 22 of /proc/<pid>/stat: together with the boot id it tells a process from a later one that
    got the same pid.
    """
    fields = _stat_fields(pid)
    return None if fields is None or fields[0] in "ZXx" else int(fields[19])


def is_same_process(pid: int | None, start_time: int | None) -> bool:
    """Whether the process that had this pid and start time is still alive."""
    return pid is not None and pid > 0 and process_start_time(pid) == start_time is not None


@cache
def boot_id() -> str:
    """The kernel's random name of this boot; "" where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def pid_namespace() -> str:
    """The namespace that gives this process's pids a meaning; another container has another."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def descendants(pid: int) -> list[int]:
    """Pids of all live processes below `pid`, parents before children."""
    children: dict[int, list[int]] = {}
    for child in _all_pids():
        fields = _stat_fields(child)
        if fields is not None and fields[0] not in "ZXx":
            children.setdefault(int(fields[1]), []).append(child)
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(0), [])
        found += below
        queue += below
    return found


def become_subreaper() -> None:
    """Orphans below this process become its children: it can wait for them and stop them."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def send_signal(pid: int, number: signal.Signals) -> bool:
    """Signal one process; False if it is gone already."""
    assert pid > 1, pid  # 0 and below mean groups, 1 is init
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def num_oom_kills() -> int:
    """How many processes of this control group the kernel killed for memory so far."""
    try:
        group = next(
            line[3:].strip()
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        )
        report = (Path("/sys/fs/cgroup") / group.lstrip("/") / "memory.events").read_text()
    except (OSError, StopIteration):
        return 0  # no version-2 control group here: nothing to learn
    counts = dict(line.split() for line in report.splitlines())
    return int(counts.get("oom_kill", 0))


def user_name() -> str:
    """The user's name, or number in a container that has no entry for it."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _all_pids() -> Iterator[int]:
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            yield int(entry.name)


def _stat_fields(pid: int) -> list[str] | None:
    """Fields 3 onwards of /proc/<pid>/stat (state first); a name may hold spaces and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()
