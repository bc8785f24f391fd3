"""Finds the photographs of a folder and proves each one good before anything is trained."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.data.backend import ImageBackend
from engine.data.captions import CaptionError, read_captions
from engine.data.decode import PixelError, content_id_of, decode, read_bytes, upright_size
from engine.data.pool import map_ahead
from engine.data.scan_index import KnownFile, ScanIndex

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})
# The widest bucket is 2:1: past this, less than half of a photograph would be seen.
MAX_ASPECT = 4.0

Progress = Callable[[int, int], None]


class NoImagesError(ValueError):
    """A backend's folder has no photograph that can be trained on."""


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A good photograph: ``width`` and ``height`` in pixels as EXIF wants it seen."""

    path: Path
    content_id: str
    width: int
    height: int
    captions: tuple[str, ...]
    backend_id: str


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file that is left out, and why; the file itself is not touched."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """Every photograph of a folder, good or quarantined, each part in the order of the paths.

    ``stopped`` says that the scan ended early, so that files may be missing from both.
    """

    samples: tuple[ImageFile, ...]
    quarantined: tuple[Quarantined, ...]
    stopped: bool = False


def scan_backend(
    backend: ImageBackend,
    *,
    index_path: Path | None = None,
    on_progress: Progress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> ScanReport:
    """Find, decode and caption the photographs below the backend's folder.

    A file whose path, size and modification time are in the index at ``index_path`` is taken as
    known; every other one is read, hashed and decoded whole, in threads. ``on_progress`` is given
    (done, total).

    Raises:
        NoImagesError: the folder is missing, or no photograph in it is good.
    """
    folder = Path(backend.instance_data_dir).expanduser()
    if not folder.is_dir():
        raise NoImagesError(
            f"data backend {backend.id}: instance_data_dir {folder} "
            + ("is not a folder" if folder.exists() else "does not exist")
        )
    samples: list[ImageFile] = []
    quarantined: list[Quarantined] = []

    def shut_out(path: Path, error: OSError) -> None:
        quarantined.append(Quarantined(path, f"can't be read: {error.strerror}"))

    paths = list(find_images(folder, on_unreadable=shut_out))
    index = ScanIndex.read(index_path)
    stopped = False
    results = map_ahead(partial(_inspect, backend=backend, index=index), paths)
    for done, (result, known) in enumerate(results, start=1):
        if known is not None:
            index.put(known)
        if isinstance(result, ImageFile):
            samples.append(result)
        else:
            quarantined.append(result)
        if on_progress:
            on_progress(done, len(paths))
        if should_stop is not None and should_stop():
            stopped = done < len(paths)
            break
    results.close()
    index.write(folder, complete=not stopped)
    if not samples and not stopped:
        raise NoImagesError(_why_none(backend, quarantined))
    quarantined.sort(key=lambda item: item.path)
    return ScanReport(tuple(samples), tuple(quarantined), stopped)


def find_images(folder: Path, *, on_unreadable: Callable[[Path, OSError], None]) -> Iterator[Path]:
    """Yield every picture file below ``folder``, sorted by path; hidden folders are not entered.

    Links are followed, a folder that was entered already is not entered again. What the system
    does not let us look at (a forbidden folder, a link to itself) goes to ``on_unreadable``.
    """
    entered: set[tuple[int, int]] = set()

    def walk(current: Path) -> Iterator[Path]:
        try:
            identity = current.stat()
            if (identity.st_dev, identity.st_ino) in entered:
                return
            entered.add((identity.st_dev, identity.st_ino))
            with os.scandir(current) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            on_unreadable(current, error)
            return
        for entry in found:
            try:
                is_folder = entry.is_dir()
            except OSError as error:
                on_unreadable(Path(entry.path), error)
                continue
            if is_folder:
                if not entry.name.startswith("."):
                    yield from walk(Path(entry.path))
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                yield Path(entry.path)

    yield from walk(folder)


def _inspect(
    path: Path, *, backend: ImageBackend, index: ScanIndex
) -> tuple[ImageFile | Quarantined, KnownFile | None]:
    """Judge one file; also return what the index should remember of it."""
    try:
        known = _known(path, index)
    except PixelError as error:
        return Quarantined(path, str(error)), None
    reason = _misfit(known, backend)
    if reason is not None:
        return Quarantined(path, reason), known
    try:
        captions = read_captions(path, backend)
    except CaptionError as error:
        return Quarantined(path, str(error)), known
    image = ImageFile(path, known.content_id, known.width, known.height, captions, backend.id)
    return image, known


def _known(path: Path, index: ScanIndex) -> KnownFile:
    try:
        status = path.stat()
    except OSError as error:
        raise PixelError(f"can't be read: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):  # reading a named pipe would wait for ever
        raise PixelError("can't be read: not a regular file")
    known = index.get(path, status.st_size, status.st_mtime_ns)
    if known is not None:
        return known
    content = read_bytes(path)
    width, height = upright_size(decode(content))
    return KnownFile(
        str(path), status.st_size, status.st_mtime_ns, content_id_of(content), width, height
    )


def _misfit(known: KnownFile, backend: ImageBackend) -> str | None:
    """Return why a readable photograph does not fit the backend, or None."""
    shorter, longer = sorted((known.width, known.height))
    if shorter < (backend.minimum_image_size or 0):
        return (
            f"too small: {known.width}x{known.height}, the shorter side is under "
            f"minimum_image_size {backend.minimum_image_size}"
        )
    if longer > MAX_ASPECT * shorter:
        return f"too long: {known.width}x{known.height} is more than {MAX_ASPECT:g}:1"
    return None


def _why_none(backend: ImageBackend, quarantined: Sequence[Quarantined]) -> str:
    where = f"data backend {backend.id}: no photograph to train on in {backend.instance_data_dir}"
    if not quarantined:
        kinds = ", ".join(sorted(extension[1:] for extension in EXTENSIONS))
        return f"{where}: it holds no file that ends in {kinds}. Set instance_data_dir"
    reasons = Counter(item.reason for item in quarantined)
    example = {item.reason: item.path.name for item in reversed(quarantined)}
    listed = "; ".join(
        f"{count}x {reason}, such as {example[reason]}" for reason, count in reasons.most_common(5)
    )
    more = f"; and {len(reasons) - 5} other reasons" if len(reasons) > 5 else ""
    return f"{where}: all {len(quarantined)} are left out ({listed}{more})"
