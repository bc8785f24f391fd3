"""Fetching missing weights from the form: what is asked before, and the command that does it."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import tomli_w

from cascade_tui.draft import Draft
from cascade_tui.widgets.glyphs import printable, shown_path
from engine.config.environment import free_bytes
from engine.config.hub import hub_cache
from engine.config.problems import Download
from engine.config.weight_files import WEIGHT_KEYS

_HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Command:
    """A command, and how a person would type it."""

    arguments: tuple[str, ...]
    shown: str


def question(downloads: Sequence[Download], variables: Mapping[str, str] = os.environ) -> str:
    """What is to be fetched, from where, to where, and how much room there is."""
    cache = hub_cache(variables)
    host = urlsplit(variables.get("HF_ENDPOINT") or _HUB).netloc or _HUB
    needed = sum(download.num_bytes for download in downloads)
    names = " and ".join(dict.fromkeys(download.repository for download in downloads))
    amount = f"about {_gigabytes(needed)}" if needed else "the missing files"
    asked = f"Fetch {amount} of {names} from {host} into {shown_path(cache)}?"
    try:
        free = free_bytes(cache)
    except OSError as failure:
        return printable(f"{asked}\n\nThat folder: {failure.strerror or failure}", keep_lines=True)
    room = f"{_gigabytes(free)} are free there"
    room += ": that is not enough." if free < needed else "."
    how = "ctrl+c breaks it off. What is here by then is kept: the next time goes on from there."
    return printable(f"{asked} {room}\n\n{how}", keep_lines=True)


@contextmanager
def fetch_command(draft: Draft) -> Iterator[Command]:
    """`cascade-tui models --fetch` for the draft as it stands, unsaved edits included."""
    path = draft.document.path
    if not draft.is_changed and path.exists():
        given = [word for override in draft.overrides for word in ("--set", override)]
        yield _command([str(path), *given])
        return
    config = draft.read().config
    values = {key: getattr(config, key) for key in WEIGHT_KEYS}
    with tempfile.TemporaryDirectory(prefix="cascade-tui-") as folder:
        of_draft = Path(folder) / f"{path.stem}-unsaved.toml"
        named = {key: value for key, value in values.items() if value is not None}
        of_draft.write_text(tomli_w.dumps(named), encoding="utf-8")
        yield _command([str(of_draft)])


def _command(arguments: Sequence[str]) -> Command:
    words = ["models", *arguments, "--fetch"]
    shown = shlex.join(["cascade-tui", *words])
    return Command((sys.executable, "-m", "cascade_tui", *words), printable(shown))


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"
