"""Start a program that waits at a gate until its supervisor has written down who it is."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

_EXIT_CANNOT_START = 127
_RESET_TO_DEFAULT = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGPIPE)


def spawn_held(argv: Sequence[str], output: int) -> tuple[int, int]:
    """Fork `argv` in its own process group, stdout and stderr to `output`, stdin closed.

    Returns its pid and a gate: the program starts once a byte is written to the gate, and never
    starts if the gate closes without one, so no trainer runs that is not in `status.json`. The
    caller must have one thread only. A program that cannot be started exits with 127 and says why.
    """
    reading, gate = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become(argv, output, reading, gate)
    os.close(reading)
    os.setpgid(pid, pid)
    return pid, gate


def open_gate(gate: int) -> None:
    """Let the held program start."""
    try:
        os.write(gate, b".")
    except BrokenPipeError:
        pass  # it was killed at the gate; whoever waits for it will see
    finally:
        os.close(gate)


def _become(argv: Sequence[str], output: int, reading: int, gate: int) -> None:
    """The child's side: never returns."""
    try:
        os.close(gate)
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        for number in _RESET_TO_DEFAULT:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        if os.read(reading, 1):
            os.execvp(argv[0], list(argv))
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error}\n".encode())
    finally:
        os._exit(_EXIT_CANNOT_START)
