"""What the app sends to its terminal: over SSH it goes through a wire that may be slow."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping

from textual.driver import Driver

_WINDOW_SECONDS = 10.0


class WireMeter:
    """Counts bytes sent, and how many a second they were of late."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._sent: deque[tuple[float, int]] = deque()

    def add(self, num_bytes: int) -> None:
        """Count bytes that are sent now."""
        self._sent.append((self._clock(), num_bytes))
        self._forget()

    @property
    def bytes_per_second(self) -> float:
        """Over the last ten seconds, or since the beginning if that is less (but one at least)."""
        self._forget()
        seconds = min(_WINDOW_SECONDS, self._clock() - self._began)
        return sum(num_bytes for _, num_bytes in self._sent) / max(1.0, seconds)

    def _forget(self) -> None:
        oldest = self._clock() - _WINDOW_SECONDS
        while self._sent and self._sent[0][0] < oldest:
            self._sent.popleft()


def is_over_ssh(variables: Mapping[str, str]) -> bool:
    """Whether the terminal is at the other end of an SSH connection, as far as sshd tells."""
    return any(variables.get(name) for name in ("SSH_TTY", "SSH_CONNECTION", "SSH_CLIENT"))


def metered(driver_class: type[Driver], meter: WireMeter) -> type[Driver]:
    """The same driver, which tells the meter of all that it writes."""

    class MeteredDriver(driver_class):  # type: ignore[valid-type, misc]
        """Counts, then writes."""

        def write(self, data: str) -> None:
            meter.add(len(data) if data.isascii() else len(data.encode(errors="replace")))
            super().write(data)

    return MeteredDriver
