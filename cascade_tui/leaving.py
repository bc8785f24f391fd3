"""Ending on a signal, even when nobody reads the terminal and every thread waits to write to it."""

from __future__ import annotations

import os
import signal
import sys
import termios
from asyncio import AbstractEventLoop
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGHUP, signal.SIGTERM)
_GRACE_SECONDS = 2.0
_LAST_WRITE_SECONDS = 0.5
# CAN ends a sequence that was cut off; then colours, mouse, focus, paste, keyboard, cursor, screen.
_LEAVE = (
    b"\x18\x1b[0m\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1004l\x1b[?2004l\x1b[?2048l"
    b"\x1b[<u\x1b[?7h\x1b[?1049l\x1b[?25h"
)


class SignalEnd:
    """Ends an app on a signal as a key would, and at once if that takes longer than a while.

    Textual hands what it draws to a thread with a short queue. While the terminal is not read,
    that thread hangs in its write, then the event loop in the queue: no callback runs any more, but
    Python's signal handlers do.
    """

    def __init__(self) -> None:
        """To be made before the app changes the terminal, whose settings are remembered."""
        self._input = sys.stdin.fileno()
        self._settings: list[Any] | None = None
        with suppress(termios.error):  # no terminal: nothing to restore
            self._settings = termios.tcgetattr(self._input)

    def watch(self, loop: AbstractEventLoop, leave: Callable[[int], None]) -> None:
        """From now on a signal calls ``leave`` with the exit code, in the event loop."""

        def on_signal(number: int, _frame: FrameType | None) -> None:
            self._alarm(_GRACE_SECONDS, partial(self._give_up, 128 + number))

        for number in SIGNALS:
            loop.add_signal_handler(number, leave, 128 + number)
            signal.signal(number, on_signal)  # beside what the loop does, once it gets to it

    def done(self) -> None:
        """It ended in time."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _alarm(self, seconds: float, call: Callable[[], None]) -> None:
        signal.signal(signal.SIGALRM, lambda _number, _frame: call())
        signal.setitimer(signal.ITIMER_REAL, seconds)

    def _give_up(self, code: int) -> None:
        """Drop what nobody read, restore the terminal as far as it takes it, and end."""
        if self._settings is not None:
            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(self._input, termios.TCSANOW, self._settings)
                termios.tcflush(self._input, termios.TCOFLUSH)
        self._alarm(_LAST_WRITE_SECONDS, partial(os._exit, code))
        with suppress(OSError):
            os.write(2, _LEAVE)
        os._exit(code)
