"""Which runs and configs were opened last, remembered from one start to the next."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

from engine.run.files import atomic_write_text
from engine.run.paths import RunDirectory

_MOST_SHOWN = 8
_MOST_KEPT = 32
"""More than are shown: some will be gone."""
_writing = threading.Lock()


@dataclass(frozen=True, slots=True)
class Recent:
    """Something that was opened, and can be opened again."""

    kind: Literal["run", "config"]
    path: Path

    def __str__(self) -> str:
        """`Open run shiba — ~/output/shiba`."""
        home, path = str(Path.home()), str(self.path)
        if home != "/" and path.startswith(home + os.sep):
            path = "~" + path.removeprefix(home)
        return f"Open {self.kind} {self.path.name} — {path}"


def recent_file() -> Path:
    """Where they are kept."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "cascade-tui" / "recent.json"


def remember(path: Path) -> None:
    """Put a path in front of all others. Raises OSError if that cannot be written."""
    file = recent_file()
    with _writing:
        paths = dict.fromkeys([path.absolute(), *_remembered()])
        file.parent.mkdir(parents=True, exist_ok=True)
        kept = [str(kept) for kept in islice(paths, _MOST_KEPT)]
        atomic_write_text(file, json.dumps(kept, indent=1) + "\n", durable=False)


def recently_opened() -> list[Recent]:
    """What was opened last and is there still, the last one first."""
    return list(islice(_there_still(), _MOST_SHOWN))


def _there_still() -> Iterator[Recent]:
    for path in _remembered():
        try:
            if path.is_file():
                yield Recent("config", path)
            elif RunDirectory(path).exists():
                yield Recent("run", path)
        except OSError:
            continue  # what cannot be looked at cannot be opened either


def _remembered() -> list[Path]:
    """As it was written; nothing if that is not there, or not by us."""
    try:
        content = json.loads(recent_file().read_bytes())
    except (OSError, ValueError):
        return []
    if not isinstance(content, list):
        return []
    return [Path(item) for item in content if isinstance(item, str) and "\0" not in item]
