"""Names of cached values: a hash of everything that determines the value.

Nothing is ever invalidated: another input, encoder, geometry or precision is another key.
"""

from __future__ import annotations

import hashlib
import json

import torch

from engine.data.buckets import PlannedImage
from engine.data.pixels import FILTER_NAME

FORMAT = 1


def text_key(caption: str, *, encoder_hash: str, dtype: torch.dtype = torch.bfloat16) -> str:
    """Return the key (32 hex digits) of a caption's embeds, stored as ``dtype``.

    ``encoder_hash`` stands for the text encoder's weights and its tokenizer.
    """
    return _hash("text", caption, encoder_hash, str(dtype))


def latent_key(
    planned: PlannedImage, *, encoder_hash: str, dtype: torch.dtype = torch.float32
) -> str:
    """Return the key (32 hex digits) of a planned photograph's latent, stored as ``dtype``."""
    crop = [float(edge).hex() for edge in planned.crop]
    geometry = [crop, list(planned.encoder_size), FILTER_NAME]
    return _hash("latent", planned.image.content_id, geometry, encoder_hash, str(dtype))


def _hash(*parts: object) -> str:
    text = json.dumps([FORMAT, *parts], separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
