"""The data backends of a draft as a list: add, duplicate and remove, each one step of undo.

Knows nothing of screens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cascade_tui.draft import Draft
from engine.config.backends import backend_key
from engine.config.documents import BACKENDS
from engine.config.problems import Edit

Kind = Literal["images", "text_embeds"]


class BackendError(ValueError):
    """The list of backends cannot be changed so; says why."""


def backends_of(draft: Draft) -> tuple[tuple[str, Mapping[str, Any]], ...]:
    """Each backend's id (its place where it has none) and its options as the file gives them."""
    source = draft.backends_document or draft.document
    raw = source.values.get(BACKENDS)
    entries = [
        {str(key).removeprefix("--"): value for key, value in entry.items()}
        for entry in (raw if isinstance(raw, list) else [])
        if isinstance(entry, dict)
    ]
    return tuple((str(entry.get("id") or place), entry) for place, entry in enumerate(entries))


def is_text_cache(values: Mapping[str, Any]) -> bool:
    """Whether a backend is a cache of text embeds, and no folder of photographs."""
    return values.get("dataset_type") == "text_embeds"


def add_backend(draft: Draft, kind: Kind) -> str:
    """Add a backend to fill in, and return its id.

    Raises:
        BackendError: there is no file of backends to add it to.
    """
    present = backends_of(draft)
    if kind == "images":
        identity = _free_id("photographs", present)
        values: dict[str, Any] = {"id": identity, "instance_data_dir": ""}
    else:
        identity = _free_id("text-cache", present)
        has_default = any(is_text_cache(v) and v.get("default") is True for _, v in present)
        values = {
            "id": identity,
            "dataset_type": "text_embeds",
            "cache_dir": f"output/cache/{identity}",
            "default": not has_default,
        }
    _put(draft, identity, values)
    return identity


def duplicate_backend(draft: Draft, identity: str) -> str:
    """Add a copy of a backend under a free id, which is returned; a copy is never the default.

    Raises:
        BackendError: there is no file of backends to add it to.
    """
    present = backends_of(draft)
    values = dict(dict(present)[identity])
    values["id"] = _free_id(f"{identity}-copy", present)
    if "default" in values:
        values["default"] = False
    _put(draft, values["id"], values)
    return str(values["id"])


def remove_backend(draft: Draft, identity: str) -> None:
    """Remove a backend from the list; its files on disk stay."""
    draft.apply(Edit(backend_key(identity), None))


def _put(draft: Draft, identity: str, values: Mapping[str, Any]) -> None:
    named = draft.document.get("data_backend_config")
    if draft.backends_document is None and named:
        raise BackendError(
            "data_backend_config names no file of backends that can be read: mend it first"
        )
    draft.apply(Edit(backend_key(identity), dict(values)))


def _free_id(wanted: str, present: tuple[tuple[str, Mapping[str, Any]], ...]) -> str:
    taken = {identity for identity, _ in present}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name
