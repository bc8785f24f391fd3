"""Which bucket each picture of a data backend falls into, and which pictures are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.config.backends import ImageBackend


@dataclass(frozen=True, slots=True)
class BucketPreview:
    """Pictures by bucket (width, height) in nominal pixels, and those left out by reason."""

    buckets: tuple[tuple[tuple[int, int], int], ...]
    left_out: tuple[tuple[str, int], ...]
    is_whole: bool = True

    @property
    def num_images(self) -> int:
        """How many would be trained on."""
        return sum(number for _, number in self.buckets)


def preview_buckets(
    backend: ImageBackend,
    *,
    on_progress: Callable[[int, int], None],
    should_stop: Callable[[], bool],
) -> BucketPreview:
    """Scan a folder as the trainer would, every picture decoded; nothing is written.

    Raises:
        NoImagesError: the folder is missing, or no picture in it is good.
    """
    from engine.data.buckets import buckets_of, choose_bucket
    from engine.data.scan import scan_backend

    report = scan_backend(backend, on_progress=on_progress, should_stop=should_stop)
    offered = buckets_of(backend)
    counts = Counter(choose_bucket(image.width, image.height, offered) for image in report.samples)
    reasons = Counter(_short(item.path, item.reason, backend) for item in report.quarantined)
    return BucketPreview(
        tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
        tuple(reasons.most_common()),
        not report.stopped,
    )


def _short(path: Path, reason: str, backend: ImageBackend) -> str:
    """The kind of a reason, without the numbers of one picture."""
    if reason.startswith("too small"):
        return f"too small (minimum_image_size {backend.minimum_image_size})"
    if reason.startswith("too long"):
        return "too long: more than 4:1"
    if reason.startswith("can't be"):
        return "unreadable or damaged"
    return reason.replace(str(path.with_suffix(".txt")), "its .txt").replace(
        path.with_suffix(".txt").name, "its .txt"
    )
