"""The state of a run at this moment, and what a reader may conclude from it.

Writers take turns: the supervisor writes `starting`; the trainer's first rank then owns the file
(its own pid, a heartbeat) and writes the final state and exit code itself; once the trainer is
gone, the supervisor fills in a final state if there is none. `accelerate launch` turns every
exit code but 0 into 1, so the trainer's own word wins.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from engine.run.files import atomic_write_json
from engine.run.paths import RunDirectory
from engine.run.processes import boot_id, is_same_process, pid_namespace, process_start_time

__all__ = [
    "FINAL_STATES",
    "HEARTBEAT_TIMEOUT_SECONDS",
    "RunState",
    "StateName",
    "Status",
    "boot_id",
    "derive_state",
    "is_supervised",
    "process_start_time",
    "read_status",
    "supervisor_pid",
    "write_status",
]

WrittenState = Literal["starting", "running", "paused", "finished", "failed", "stopped"]
StateName = Literal[
    "new",
    "starting",
    "running",
    "paused",
    "finished",
    "failed",
    "stopped",
    "lost",
    "lost-at-reboot",
]
FINAL_STATES: frozenset[str] = frozenset({"finished", "failed", "stopped"})

HEARTBEAT_TIMEOUT_SECONDS = 60.0
"""A run whose process cannot be looked up from here is lost after this long without a heartbeat."""


@dataclass(frozen=True, slots=True)
class Status:
    """The content of `status.json`. Times are unix seconds, `start_time` clock ticks since boot."""

    state: WrittenState
    pid: int
    pgid: int
    start_time: int
    boot_id: str = field(default_factory=boot_id)
    step: int = 0
    max_train_steps: int | None = None
    phase: str = ""
    heartbeat: float = field(default_factory=time.time)
    exit_code: int | None = None
    message: str = ""
    supervisor_pid: int | None = None
    hostname: str = field(default_factory=lambda: os.uname().nodename)
    pid_namespace: str = field(default_factory=pid_namespace)

    @classmethod
    def of_process(cls, state: WrittenState, pid: int | None = None, **others: Any) -> Status:
        """A status of the live process `pid` (by default this one): fills in what identifies it."""
        pid = os.getpid() if pid is None else pid
        start_time = process_start_time(pid)
        return cls(
            state=state,
            pid=pid,
            pgid=os.getpgid(pid),
            start_time=0 if start_time is None else start_time,
            **others,
        )

    @property
    def is_visible_here(self) -> bool:
        """Whether its pid can be looked up here: same machine, same boot, same container."""
        return self.boot_id == boot_id() and self.pid_namespace == pid_namespace()

    @property
    def is_final(self) -> bool:
        """Whether the run is over, by its own word."""
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class RunState:
    """What a reader concludes about a run; `message` says why in words when there is a why."""

    name: StateName
    exit_code: int | None = None
    step: int = 0
    max_train_steps: int | None = None
    phase: str = ""
    heartbeat_age_seconds: float | None = None
    supervised: bool = False
    message: str = ""
    pid: int | None = None

    @property
    def is_alive(self) -> bool:
        """Whether a trainer runs (or is just being started, or paused)."""
        return self.name in ("starting", "running", "paused")


def write_status(run: RunDirectory, status: Status) -> None:
    """Replace `status.json` atomically; a final state is also forced to the disk."""
    atomic_write_json(run.status, {"v": 1, **asdict(status)}, durable=status.is_final)


def read_status(run: RunDirectory) -> Status | None:
    """The last written status; None if there is none or a power cut emptied it.

    Keys that this version does not know are ignored, so that an older viewer reads a newer run.
    """
    try:
        values = json.loads(run.status.read_bytes())
        known = {item.name for item in fields(Status)}
        status = Status(**{key: value for key, value in values.items() if key in known})
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, AttributeError):
        return None
    return status if _is_sound(status) else None


def _is_sound(status: Status) -> bool:
    """Whether each value is of its kind; a file that is damaged or another program's is not."""
    counts = (status.pid, status.pgid, status.start_time, status.step)
    optional = (status.max_train_steps, status.exit_code, status.supervisor_pid)
    words = (status.boot_id, status.phase, status.message, status.hostname, status.pid_namespace)
    return (
        status.state in get_args(WrittenState)
        and all(type(number) is int for number in counts)
        and all(number is None or type(number) is int for number in optional)
        and all(isinstance(word, str) for word in words)
        and isinstance(status.heartbeat, int | float)
        and math.isfinite(status.heartbeat)
    )


def is_supervised(run: RunDirectory) -> bool:
    """Whether a supervisor holds the run's lock: the kernel's word, true after any crash.

    Asks for a shared lock without waiting, so that readers do not disturb one another.
    """
    try:
        descriptor = os.open(run.lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)  # releases a lock that we did get
    return False


def supervisor_pid(run: RunDirectory) -> int | None:
    """The pid of the supervisor that holds the lock, a number of its own machine; None for none."""
    if not is_supervised(run):
        return None
    try:
        return int(run.lock.read_text())
    except ValueError:
        return None  # it holds the lock and is about to write its pid


def derive_state(run: RunDirectory, *, now: float | None = None) -> RunState:
    """What can be said of the run from here: see `RunState`. `now` is unix seconds."""
    supervised = is_supervised(run)
    status = read_status(run)
    if status is None:
        if supervised:
            return RunState("starting", supervised=True)
        if run.events.is_file():
            return RunState("lost", message="it has events but no readable status.json")
        return RunState("new")
    age = max(0.0, (time.time() if now is None else now) - status.heartbeat)
    name, message = _conclude(status, age, supervised)
    return RunState(
        name=name,
        exit_code=status.exit_code,
        step=status.step,
        max_train_steps=status.max_train_steps,
        phase=status.phase,
        heartbeat_age_seconds=age,
        supervised=supervised,
        message=message or status.message,
        pid=status.pid,
    )


def _conclude(status: Status, age: float, supervised: bool) -> tuple[StateName, str]:
    """The state's name, and a message when it differs from what the run itself wrote."""
    if status.is_final:
        return status.state, ""
    written: StateName = "paused" if status.phase == "paused" else status.state
    if supervised:
        return written, ""  # if the trainer is gone, its supervisor is about to say so
    if status.boot_id != boot_id() and status.hostname == os.uname().nodename:
        return "lost-at-reboot", f"{status.hostname} was rebooted while it ran"
    if status.is_visible_here:
        is_lost = not is_same_process(status.pid, status.start_time)
        why = f"the trainer (process {status.pid}) ended without an error message"
        otherwise = "its supervisor is gone; the trainer goes on"
    else:  # on another machine, or in another container
        is_lost = age > HEARTBEAT_TIMEOUT_SECONDS
        why = f"no heartbeat from {status.hostname} for {age:.0f} s"
        otherwise = f"it runs on {status.hostname}"
    return ("lost", why) if is_lost else (written, otherwise)
