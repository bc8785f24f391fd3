"""A thread that reads a run directory as it grows and hands out snapshots."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from cascade_tui.follow.preview import LONG_LOG_BYTES, sample_events
from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from engine.run.paths import RunDirectory

_POLL_SECONDS = 0.5
_KEPT_SHARE = 0.25
_BREATH_SECONDS = 0.002
"""Between bites of a backlog, so that the screen's thread answers keys."""


class RunFollower:
    """Polls a :class:`RunReader` in a thread of its own and calls back with each new snapshot.

    A long log is shown from samples first, then from all of it; what was read of it is kept for the
    next visit, which begins there.
    """

    def __init__(self, run: RunDirectory, on_change: Callable[[RunSnapshot], None]) -> None:
        self.reader = RunReader(run)
        self._on_change = on_change
        self._kept_offset = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a call back that is under way."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _follow(self) -> None:
        if not self.reader.restore():
            preview = preview_of(self.reader.run)
            if preview is not None:
                self._on_change(preview)
        self._kept_offset = self.reader.offset
        is_first = True
        while not self._stop.is_set():
            has_changed = self.reader.poll()
            if self.reader.has_more:
                # Backlog first: one snapshot when it is read, not one for each bite of it.
                self._stop.wait(_BREATH_SECONDS)
                continue
            if (has_changed or is_first) and not self._stop.is_set():
                self._on_change(self.reader.snapshot)
                is_first = False
            self._keep_what_was_read()
            self._stop.wait(_POLL_SECONDS)

    def _keep_what_was_read(self) -> None:
        """Now and then, as the log grows."""
        worth_it = max(LONG_LOG_BYTES, _KEPT_SHARE * self._kept_offset)
        if self.reader.offset - self._kept_offset > worth_it:
            self._kept_offset = self.reader.offset
            with suppress(OSError):  # without it the next visit takes longer, and no more
                self.reader.save()


def preview_of(run: RunDirectory) -> RunSnapshot | None:
    """A snapshot from samples of a long log; None for a short one, which is read whole at once."""
    reader = RunReader(run)
    try:
        events = sample_events(run.events)
        if not events:
            return None
        reader.take(events)
        reader.look_around()
    except OSError:
        return None  # the reader proper says what is wrong
    return replace(reader.snapshot, version=-1, is_partial=True, seconds_by_phase={})
