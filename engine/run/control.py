"""Commands to a run: one file each, written aside and renamed in, acknowledged in the event log.

Files, not a socket: they work over a network file system, from a plain ssh one-liner, and after a
crash of anything.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from engine.run.files import atomic_write_json
from engine.run.paths import RunDirectory
from engine.run.processes import user_name

CommandName = Literal["checkpoint", "validate", "pause", "resume", "stop", "abort", "change"]
COMMANDS: tuple[CommandName, ...] = get_args(CommandName)


@dataclass(frozen=True, slots=True)
class Command:
    """One command that waits in the control folder."""

    id: str
    command: CommandName
    arguments: dict[str, Any] = field(default_factory=dict)
    path: Path = field(default_factory=Path, compare=False)


def send(run: RunDirectory, command: CommandName, **arguments: Any) -> str:
    """Leave a command for the run and return its id, under which events acknowledge it.

    Raises OSError if the run directory cannot be written.
    """
    assert command in COMMANDS, command
    run.control.mkdir(parents=True, exist_ok=True)
    identity = f"{time.time_ns():020d}-{command}-{os.urandom(4).hex()}"
    content = {
        "v": 1,
        "id": identity,
        "command": command,
        "arguments": arguments,
        "t": time.time(),
        "sender": f"{user_name()}@{os.uname().nodename}:{os.getpid()}",
    }
    atomic_write_json(run.control / f"{identity}.json", content)
    return identity


def pending(run: RunDirectory) -> list[Command]:
    """The commands that wait, oldest first. Files that are no command of ours are left alone."""
    try:
        names = sorted(name for name in os.listdir(run.control) if _is_command_file(name))
    except FileNotFoundError:
        return []
    commands = (_read(run.control / name) for name in names)
    return [command for command in commands if command is not None]


def consume(command: Command) -> bool:
    """Take the command out of the folder; False if another process took it first."""
    try:
        command.path.unlink()
    except FileNotFoundError:
        return False
    return True


def _is_command_file(name: str) -> bool:
    return name.endswith(".json") and not name.startswith(".")


def _read(path: Path) -> Command | None:
    try:
        content = json.loads(path.read_bytes())
        name, arguments = content["command"], content.get("arguments", {})
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None  # just consumed by another process, or no command of ours
    if name not in COMMANDS or not isinstance(arguments, dict):
        return None
    return Command(str(content.get("id", path.stem)), name, arguments, path)
