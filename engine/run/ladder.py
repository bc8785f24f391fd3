"""How a run is stopped: ask, then insist, then kill. Only a clock and a position: sends nothing."""

from __future__ import annotations

import signal
from dataclasses import dataclass

_KILL_REPEAT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Grace:
    """How long each rung of the ladder waits for the run to end before the next, in seconds."""

    command_seconds: float = 30.0
    """After the `stop` command, which the trainer is to obey by itself."""
    interrupt_seconds: float = 60.0
    """After SIGINT: finish the step, save."""
    terminate_seconds: float = 15.0
    """After SIGTERM, which a trainer that was asked already takes as `now`."""
    orphan_seconds: float = 15.0
    """For processes that the trainer left behind, once it is gone."""


class StopLadder:
    """stop command → SIGINT → SIGTERM → SIGKILL, with time between; `abort` enters at SIGTERM.

    The clock stands still while the trainer saves on the first two rungs: a large checkpoint on a
    slow disk is no reason to lose it. Times are seconds of one monotonic clock.
    """

    def __init__(self, grace: Grace) -> None:
        self._rungs: tuple[tuple[signal.Signals | None, float], ...] = (
            (None, grace.command_seconds),
            (signal.SIGINT, grace.interrupt_seconds),
            (signal.SIGTERM, grace.terminate_seconds),
            (signal.SIGKILL, _KILL_REPEAT_SECONDS),
        )
        self._position = -1
        self._waited = 0.0
        self._looked_at = 0.0
        self._due: signal.Signals | None = None
        self.last_signal: signal.Signals | None = None
        """The strongest signal that `climb` has returned."""

    @property
    def has_begun(self) -> bool:
        """Whether anyone has asked the run to stop."""
        return self._position >= 0

    def ask(self, now: float) -> None:
        """Step onto the first rung, unless already on the ladder."""
        if not self.has_begun:
            self._enter(0, now)

    def abort(self, now: float) -> None:
        """Go straight to SIGTERM, unless there already."""
        if self._position < 2:
            self._enter(2, now)

    def climb(self, now: float, *, is_saving: bool) -> signal.Signals | None:
        """The signal to send at `now`, if one is due. SIGKILL is repeated until nobody is left."""
        if not self.has_begun:
            return None
        waits_for_save = is_saving and self._position < 2
        self._waited += 0.0 if waits_for_save else now - self._looked_at
        self._looked_at = now
        seconds = self._rungs[self._position][1]
        if self._due is None and self._waited >= seconds and not waits_for_save:
            self._enter(min(self._position + 1, len(self._rungs) - 1), now)
        due, self._due = self._due, None
        self.last_signal = due or self.last_signal
        return due

    def _enter(self, position: int, now: float) -> None:
        self._position, self._waited, self._looked_at = position, 0.0, now
        self._due = self._rungs[position][0]
