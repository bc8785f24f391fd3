"""On what a run spent its time, over all its launches."""

from __future__ import annotations

from collections.abc import Mapping

from engine.run.events import Event, as_float

_KINDS = {"caching_text": "caching", "caching_latents": "caching"}
_FIRST, _LAST = "preparing", "done"
_LEAST_CHANGE_SECONDS = 1.0
_CHANGE_SHARE = 0.01
_MOST_SECONDS = 1e12


class Timeline:
    """Adds up the seconds of each phase from the times of events.

    A process that was killed leaves no last word: what it was at ends with its last event, so that
    the time until the next launch counts for nothing.
    """

    def __init__(self) -> None:
        self._spent: dict[str, float] = {}
        self._phase = ""
        self._since = 0.0
        self._last = 0.0
        self._told: dict[str, float] = {}

    def see(self, event: Event) -> None:
        """Note when an event came; enough for the last of several steps."""
        moment = as_float(event.get("t"))
        if moment is not None and 0 < moment < _MOST_SECONDS:
            self._last = moment

    def enter(self, phase: str, event: Event) -> None:
        """A phase begins; ``preparing`` may be another process's first."""
        if phase == _FIRST:
            self._close(self._last)
            self.see(event)
        else:
            self.see(event)
            self._close(self._last)
        self._phase = "" if phase == _LAST else _KINDS.get(phase, phase)
        self._since = self._last

    def end(self, event: Event) -> None:
        """The process ends."""
        self.see(event)
        self._close(self._last)
        self._phase = ""

    def spent(self, now: float | None = None) -> Mapping[str, float]:
        """Seconds by phase, in the order of their beginning; up to ``now`` (unix) if it goes on.

        The same object as before as long as there is no change worth a redraw.
        """
        spent = dict(self._spent)
        if self._phase:
            until = self._last if now is None else max(now, self._last)
            spent[self._phase] = spent.get(self._phase, 0.0) + max(0.0, until - self._since)
        total = sum(spent.values())
        least = max(_LEAST_CHANGE_SECONDS, _CHANGE_SHARE * total)
        if spent.keys() != self._told.keys() or abs(total - sum(self._told.values())) >= least:
            self._told = spent
        return self._told

    def _close(self, moment: float) -> None:
        if self._phase:
            seconds = max(0.0, moment - self._since)
            self._spent[self._phase] = self._spent.get(self._phase, 0.0) + seconds
