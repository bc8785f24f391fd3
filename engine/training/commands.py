"""What a person asked of the run, agreed between ranks at step boundaries.

Commands arrive as files in the run's ``control/`` folder and as signals. Rank 0 reads the files;
every rank catches its own signals; :meth:`Commands.agree` makes all ranks see the same request at
the same step. Long phases (caching, validation) poll :meth:`Commands.should_stop`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from engine.run import control
from engine.run.paths import RunDirectory

Agree = Callable[[list[int]], list[int]]
"""Returns the elementwise maximum over all ranks; a collective."""

POLL_SECONDS = 0.25
_STEP_COMMANDS = ("checkpoint", "validate", "pause", "resume", "stop", "change")


@dataclass(frozen=True, slots=True)
class Request:
    """What all ranks do at this step boundary."""

    checkpoint: bool = False
    validate: bool = False
    pause: bool = False
    resume: bool = False
    stop: bool = False
    change: bool = False
    signal_number: int = 0


class StopSignals:
    """First SIGINT or SIGTERM: finish the step, save, leave. Second: leave at once.

    Installed before torch is imported, so that a stop during start-up is heard too.
    """

    def __init__(self) -> None:
        self.received = 0

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number


class Commands:
    """Reads the control folder and the signals of one rank."""

    def __init__(self, run: RunDirectory, signals: StopSignals, *, rank: int, agree: Agree) -> None:
        self.run = run
        self.signals = signals
        self.rank = rank
        self._agree = agree
        self._next_poll = 0.0
        self.waiting: list[control.Command] = []

    def poll(self) -> None:
        """Rank 0: move new command files into ``waiting``; the caller acknowledges them."""
        now = time.monotonic()
        if self.rank != 0 or now < self._next_poll:
            return
        self._next_poll = now + POLL_SECONDS
        known = {command.id for command in self.waiting}
        self.waiting += [new for new in control.pending(self.run) if new.id not in known]

    def should_stop(self) -> bool:
        """Whether this rank has heard a stop; cheap enough for the inside of long loops."""
        if self.signals.received:
            return True
        now = time.monotonic()
        if self.rank != 0 and now < self._next_poll:
            return False
        if self.rank == 0:
            self.poll()
            return any(command.command == "stop" for command in self.waiting)
        self._next_poll = now + POLL_SECONDS
        return any(command.command == "stop" for command in control.pending(self.run))

    def agree(self) -> Request:
        """Return the same :class:`Request` on every rank; a collective when there are several."""
        self.poll()
        asked = {command.command for command in self.waiting}
        flags = [int(name in asked) for name in _STEP_COMMANDS] + [self.signals.received]
        *wanted, number = self._agree(flags)
        named = dict(zip(_STEP_COMMANDS, map(bool, wanted), strict=True))
        named["stop"] |= bool(number)
        return Request(**named, signal_number=number)

    def take(self, *names: str) -> list[control.Command]:
        """Consume the waiting commands of these names and return them (rank 0; else empty)."""
        taken = [command for command in self.waiting if command.command in names]
        self.waiting = [command for command in self.waiting if command.command not in names]
        for command in taken:
            control.consume(command)
        return taken
