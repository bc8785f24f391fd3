"""Presets and shipped examples as edits of a draft, and whether they suit this machine's GPU.

Knows nothing of screens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from cascade_tui.draft import Draft
from cascade_tui.field_text import is_same, shown_value
from engine.config.documents import Document
from engine.config.environment import Gpu
from engine.config.fields import OPTIONS
from engine.config.presets import Preset
from engine.config.problems import Edit

_SOLD_SHARE = 0.97
"""A card that is sold with 24 GB may report a little less."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that a preset would change: ``before`` and ``after``."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a preset suits the GPU that was found, and that in words."""

    kind: Literal["fits", "too small", "unknown", "any"]
    words: str


def example_preset(path: Path) -> Preset:
    """What an example config sets, without the folders, weights and prompts that it names.

    Raises:
        DocumentError: the file cannot be read, or is malformed.
    """
    document = Document.read(path)
    first = document.text().partition("\n")[0]
    summary = first.removeprefix("#").strip() if first.startswith("#") else "A shipped example."
    values = {
        key: value
        for key, value in document.values.items()
        if key in OPTIONS
        and OPTIONS[key].kind != "path"
        and not key.endswith("_name_or_path")
        and not key.startswith("validation_prompt")
    }
    return Preset(f"example {path.stem}", summary, MappingProxyType(values))


def changes_of(preset: Preset, draft: Draft) -> tuple[Change, ...]:
    """What the preset would change in the draft, in the order of the form."""
    return tuple(
        Change(field.key, field.effective, preset.values[field.key])
        for field in draft.fields()
        if field.key in preset.values and not _says_same(field.effective, preset.values[field.key])
    )


def edits_of(changes: Sequence[Change]) -> tuple[Edit, ...]:
    """The edits that carry the changes out; a default is written as such: not at all."""
    return tuple(
        Edit(change.key, None if _is_default(change) else change.after) for change in changes
    )


def _says_same(value: Any, wanted: Any) -> bool:
    """Whether two values are one, in whatever spelling: a list of one may lack its brackets."""
    return is_same(value, wanted) or shown_value(value) == shown_value(wanted)


def _is_default(change: Change) -> bool:
    return is_same(change.after, OPTIONS[change.key].default)


def fit_of(preset: Preset, gpus: Sequence[Gpu]) -> Fit:
    """Whether the largest of these GPUs has the memory that the preset is made for."""
    if not preset.card_gb:
        return Fit("any", "for any card")
    if not gpus:
        return Fit("unknown", f"for a card of {preset.card_gb} GB; no GPU was found here")
    largest = max(gpus, key=lambda gpu: gpu.total_bytes)
    has = largest.total_bytes / 1e9
    if has >= preset.card_gb * _SOLD_SHARE:
        return Fit("fits", f"fits {largest.name} ({has:.0f} GB)")
    return Fit("too small", f"for a card of {preset.card_gb} GB; {largest.name} has {has:.0f} GB")


def best_fit(presets: Sequence[Preset], gpus: Sequence[Gpu], model_type: str) -> int:
    """The preset to begin from: the one for the largest card that fits, of this kind of training.

    Without a GPU, or one that suits, the first.
    """
    fitting = [
        (preset.card_gb, -index)
        for index, preset in enumerate(presets)
        if fit_of(preset, gpus).kind == "fits" and preset.values.get("model_type") == model_type
    ]
    return -max(fitting)[1] if fitting else 0
