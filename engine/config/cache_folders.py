"""Where a run's caches lie: known to the trainer that fills them and to whoever asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.config.backends import Backend, ImageBackend, TextEmbedBackend
from engine.config.fields import TrainingConfig


def cache_root(config: TrainingConfig) -> Path:
    """The folder of a run's own caches."""
    return Path(config.cache_dir) if config.cache_dir else Path(config.output_dir) / "cache"


def text_folder(config: TrainingConfig, backends: Sequence[Backend]) -> Path:
    """The folder of the text cache: the default text_embeds backend's, else the run's own."""
    of_text = [backend for backend in backends if isinstance(backend, TextEmbedBackend)]
    chosen = next((b for b in of_text if b.default), of_text[0] if of_text else None)
    return Path(chosen.cache_dir) if chosen else cache_root(config) / "text"


def latent_root(config: TrainingConfig, backend: ImageBackend) -> Path:
    """The folder of a backend's latent cache: its own, else the run's."""
    return Path(backend.cache_dir) if backend.cache_dir else cache_root(config) / "latents"
