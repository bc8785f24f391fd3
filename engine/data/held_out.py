"""Which photographs are kept out of training, to measure the loss on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def held_out(content_ids: Sequence[str], share: float) -> frozenset[str]:
    """About ``share`` of the distinct photographs, at least one, decided by their content alone.

    A photograph stays on its side whatever is added or taken away, but for the last one: if none
    falls below the share, the one that is nearest to it is held out. With ``share`` 0, none.
    """
    distinct = sorted(set(content_ids), key=_place)
    if not share or not distinct:
        return frozenset()
    below = [content_id for content_id in distinct if _place(content_id) < share]
    return frozenset(below or distinct[:1])


def _place(content_id: str) -> float:
    """Where in [0, 1) a photograph stands; uniform, and the same on every machine."""
    digest = hashlib.blake2b(f"held-out/{content_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
