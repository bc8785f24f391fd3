"""What a run has left on disk, and what was changed while it ran, as sections of its report."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_tui.headless_view import format_bytes
from cascade_tui.plots.svg_chart import escaped
from engine.run.paths import RunDirectory

if TYPE_CHECKING:
    from engine.config.live import ChangedValue


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A checkpoint or an export, by its path in the run directory; size None if not known."""

    name: str
    num_bytes: int | None


def checkpoints_of(run: RunDirectory) -> tuple[StoredFile, ...]:
    """Every whole checkpoint, with the size that its manifest tells."""
    folders = (run.checkpoint_dir(step) for step in run.checkpoint_steps())
    return tuple(StoredFile(_name(folder, run), _manifest_bytes(folder)) for folder in folders)


def exports_of(run: RunDirectory) -> tuple[StoredFile, ...]:
    """Every exported file, and every folder of files as one."""
    try:
        found = sorted(run.export.iterdir())
        return tuple(StoredFile(_name(path, run), _bytes_of(path)) for path in found)
    except OSError:
        return ()  # nothing was exported, or it went away meanwhile


def files_section(checkpoints: tuple[StoredFile, ...], exports: tuple[StoredFile, ...]) -> str:
    """A table of both; empty without any."""
    rows = [*_rows("checkpoint", checkpoints), *_rows("export", exports)]
    if not rows:
        return ""
    return f'<div class="scroll"><table>{"".join(rows)}</table></div>'


def changes_table(changes: tuple[ChangedValue, ...]) -> str:
    """What was changed while the run went on; empty if nothing was."""
    if not changes:
        return ""
    rows = "".join(
        f"<tr><td>{escaped(change.key)}</td>"
        f'<td class="value soft">{_shown(change.old)}</td>'
        f'<td class="value">{_shown(change.new)}</td></tr>'
        for change in changes
    )
    head = "<tr><th>changed while it ran</th><th>at the launch</th><th>at last</th></tr>"
    return f'<div class="scroll"><table class="wide">{head}{rows}</table></div>'


def _rows(what: str, files: tuple[StoredFile, ...]) -> Iterable[str]:
    for file in files:
        size = "?" if file.num_bytes is None else format_bytes(file.num_bytes)
        yield (
            f'<tr><td>{what}</td><td class="value">{escaped(file.name)}</td>'
            f'<td class="size">{size}</td></tr>'
        )


def _shown(value: Any) -> str:
    return "–" if value is None else escaped(str(value))


def _name(path: Path, run: RunDirectory) -> str:
    return str(path.relative_to(run.root))


def _manifest_bytes(folder: Path) -> int | None:
    try:
        files = json.loads((folder / "manifest.json").read_bytes())["files"].values()
        return sum(int(file["bytes"]) for file in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # not one of ours, or deleted in this moment


def _bytes_of(path: Path) -> int:
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
