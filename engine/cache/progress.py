"""How far a cache build is, told a few times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_REPORT_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class CacheProgress:
    """A moment of a build: ``done`` of ``total`` values are settled, ``hits`` from the start.

    ``per_second`` counts what this build settles, ``bytes`` what it made; ``eta_seconds`` is None
    until there is a rate.
    """

    which: Literal["text", "latent"]
    done: int
    total: int
    per_second: float
    bytes: int
    eta_seconds: float | None
    hits: int


@dataclass(frozen=True, slots=True)
class CachePlan:
    """What a build would do: ``needed`` different values, ``present`` of them on disk already.

    ``estimated_bytes`` is what the missing ones will take on disk.
    """

    needed: int
    present: int
    estimated_bytes: int

    @property
    def missing(self) -> int:
        """How many values would be made."""
        return self.needed - self.present


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did: values needed, found (``hits``), ``made`` now, and left out (``failed``).

    ``stopped`` says that it ended early because it was asked to.
    """

    needed: int
    hits: int
    made: int
    failed: int
    stopped: bool


Report = Callable[[CacheProgress], None]


class Meter:
    """Counts a build and reports at most every 0.25 s, and at its end."""

    def __init__(
        self, which: Literal["text", "latent"], *, needed: int, hits: int, report: Report | None
    ) -> None:
        self._which: Literal["text", "latent"] = which
        self._needed = needed
        self._hits = hits
        self._report = report
        self._settled = 0
        self._failed = 0
        self._num_bytes = 0
        self._started = self._reported = time.monotonic()

    def add(self, count: int, *, num_bytes: int, failed: int = 0) -> None:
        """Count ``count`` more values, ``failed`` of them left out; ``num_bytes`` made so far."""
        self._settled += count
        self._failed += failed
        self._num_bytes = num_bytes
        if time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._tell()

    def finish(self, *, stopped: bool) -> BuildResult:
        """Report the last state and return the sum."""
        self._tell()
        made = self._settled - self._failed
        return BuildResult(self._needed, self._hits, made, self._failed, stopped)

    def _tell(self) -> None:
        self._reported = time.monotonic()
        if self._report is None:
            return
        elapsed = self._reported - self._started
        rate = self._settled / elapsed if elapsed > 0 else 0.0
        left = self._needed - self._hits - self._settled
        self._report(
            CacheProgress(
                which=self._which,
                done=self._hits + self._settled,
                total=self._needed,
                per_second=rate,
                bytes=self._num_bytes,
                eta_seconds=left / rate if rate > 0 else None,
                hits=self._hits,
            )
        )
