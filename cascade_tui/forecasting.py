"""What a config's run will take on this machine, and in words: see `engine.config.forecast`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from statistics import median

from cascade_tui.headless_view import format_bytes, format_duration
from engine.config.backends import Backend, ImageBackend
from engine.config.cache_folders import latent_root
from engine.config.environment import Environment, find_images, free_bytes
from engine.config.fields import TrainingConfig
from engine.config.forecast import Forecast, forecast, largest_cells, largest_gpu
from engine.config.frozen import FrozenConfig, FrozenConfigError, load_frozen
from engine.run.events import as_float, tail_events
from engine.run.paths import RunDirectory, find_runs

_SPEED_OPTIONS = (
    "model_flavour",
    "model_type",
    "lora_target",
    "base_model_precision",
    "mixed_precision",
    "disable_tf32",
    "gradient_checkpointing",
    "train_batch_size",
    "gradient_accumulation_steps",
    "optimizer",
)
"""What the seconds of a step depend on, beside the card, their number and the pictures' size."""
_MOST_RUNS = 40
_LEAST_STEPS = 5


def forecast_run(
    config: TrainingConfig, backends: tuple[Backend, ...], environment: Environment
) -> Forecast:
    """Forecast a config that was checked; looks at its pictures and at the runs beside its own."""
    images = [b for b in backends if isinstance(b, ImageBackend) and b.instance_data_dir]
    return forecast(
        config,
        backends,
        environment,
        num_images={backend.id: _count_images(backend) for backend in images},
        measured=measured_step(config, backends, environment),
        cache_free_bytes=_free_for(config, images),
    )


# What cannot be looked at is a problem of its own, which checking tells: no figure is told of it.
_UNREADABLE = (OSError, RuntimeError)


def _count_images(backend: ImageBackend) -> int:
    try:
        return len(find_images(Path(backend.instance_data_dir).expanduser())[0])
    except _UNREADABLE:
        return 0


def _free_for(config: TrainingConfig, backends: list[ImageBackend]) -> int | None:
    """Free bytes where the first backend's latents are cached."""
    try:
        return free_bytes(latent_root(config, backends[0])) if backends else None
    except _UNREADABLE:
        return None


def measured_step(
    config: TrainingConfig, backends: tuple[Backend, ...], environment: Environment
) -> tuple[float, str] | None:
    """Seconds of a step in the newest run of the kind on such a card, and which run that is.

    The runs looked at are the config's own and those beside it.
    """
    gpu = largest_gpu(environment)
    card = gpu.name if gpu is not None else "cpu"
    for run in _runs_beside(config):
        try:
            changed = run.config.stat().st_mtime_ns
            meta = json.loads(run.meta.read_text(encoding="utf-8"))
            frozen = _frozen(run.root, changed)
        except (OSError, ValueError, FrozenConfigError):
            continue  # not a whole run: it tells nothing
        hardware = meta.get("hardware", {}) if isinstance(meta, dict) else {}
        if hardware.get("name") != card or not _is_alike(frozen, config, backends):
            continue
        events = tail_events(run.events)
        found = [as_float(event.get("seconds")) for event in events if event["kind"] == "step"]
        times = [seconds for seconds in found if seconds is not None and 0 < seconds < 1e6]
        if len(times) >= _LEAST_STEPS:
            return median(times), f"as measured in {run.root.name}"
    return None


def _runs_beside(config: TrainingConfig) -> Iterator[RunDirectory]:
    """The runs in the folder of the config's own, the newest first."""
    try:
        root = Path(config.output_dir).expanduser().absolute().parent
        runs = list(islice(find_runs(root, max_depth=1), _MOST_RUNS))
    except (OSError, RuntimeError):
        return
    yield from sorted(runs, key=_time_of, reverse=True)


def _time_of(run: RunDirectory) -> float:
    try:
        return run.events.stat().st_mtime
    except OSError:
        return 0.0


@lru_cache(maxsize=2 * _MOST_RUNS)
def _frozen(root: Path, _changed_ns: int) -> FrozenConfig:
    """A run's frozen config, read once while it does not change."""
    return load_frozen(root)


def _is_alike(frozen: FrozenConfig, config: TrainingConfig, backends: tuple[Backend, ...]) -> bool:
    """Whether a step of both takes as long, the card being the same."""
    same = all(getattr(frozen.config, key) == getattr(config, key) for key in _SPEED_OPTIONS)
    processes = (frozen.config.num_processes or 1) == (config.num_processes or 1)
    return same and processes and largest_cells(frozen.backends) == largest_cells(backends)


def short_words(told: Forecast) -> list[str]:
    """`GPU ~7.8/26 GB`, `~2 h 5 min`, `cache ~0.2 GB`: what the verdict line has room for."""
    words = []
    if told.card_bytes is not None:
        total = f"/{told.card_total_bytes / 1e9:.0f}" if told.card_total_bytes else ""
        words.append(f"GPU ~{told.card_bytes / 1e9:.1f}{total} GB")
    if told.train_seconds is not None:
        words.append(f"~{format_duration(told.train_seconds)}")
    if told.cache_bytes:
        free = f" of {format_bytes(told.cache_free_bytes)}" if told.cache_free_bytes else ""
        words.append(f"cache ~{format_bytes(told.cache_bytes)}{free}")
    return words


def long_lines(told: Forecast) -> list[tuple[str, str]]:
    """What each figure is, and where it comes from: (name, words)."""
    lines = []
    if told.card_bytes is not None:
        has = "no GPU was found here"
        if told.card_total_bytes is not None:
            fits = "" if told.fits else ", too little"
            has = f"{told.gpu} has {told.card_total_bytes / 1e9:.1f} GB{fits}"
        lines.append(("GPU memory", f"about {told.card_bytes / 1e9:.1f} GB in training; {has}"))
    if told.train_seconds is not None and told.step_seconds is not None:
        digits = 2 if told.step_seconds < 1 else 1 if told.step_seconds < 10 else 0
        words = f"about {format_duration(told.train_seconds)}: {told.num_steps:,} steps of "
        words += f"{told.step_seconds:.{digits}f} s"
        lines.append(("training", f"{words}, {told.source}"))
    elif told.num_steps is not None:
        words = f"{told.num_steps:,} steps; how long they take is known after a first run here"
        lines.append(("training", words))
    if told.cache_bytes:
        plural = "" if told.num_images == 1 else "s"
        words = f"about {format_bytes(told.cache_bytes)} for {told.num_images:,} picture{plural}"
        free = told.cache_free_bytes
        words += f"; {format_bytes(free)} are free there" if free is not None else ""
        lines.append(("caches", words))
    return lines
