"""A keys file that was found right is not checked again: that would import every screen.

Light: no textual.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from engine.run.files import atomic_write_text


def checked_before(content: bytes) -> dict[str, str] | None:
    """What textual was given for a keys file of this content; None if it was not checked."""
    try:
        kept = json.loads(_file().read_bytes())
        keymap = kept["keymap"] if kept["of"] == _stamp(content) else None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    is_ours = isinstance(keymap, dict) and all(isinstance(keys, str) for keys in keymap.values())
    return keymap if is_ours else None


def keep_checked(content: bytes, keymap: dict[str, str]) -> None:
    """Remember that a keys file of this content is right."""
    kept = {"of": _stamp(content), "keymap": keymap}
    with suppress(OSError):  # without it the next start takes longer, and no more
        _file().parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(_file(), json.dumps(kept) + "\n", durable=False)


def _file() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return cache / "cascade-tui" / "keys.json"


def _stamp(content: bytes) -> str:
    """Of the keys file and of the program whose bindings it was checked with."""
    program = Path(__file__).parent
    sources = [program / "app.py", *program.glob("screens/*.py"), *program.glob("widgets/*.py")]
    times = sorted((path.name, path.stat().st_mtime_ns) for path in sources)
    return hashlib.sha256(content + repr((str(program), times)).encode()).hexdigest()
