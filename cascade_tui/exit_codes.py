"""What the process's exit code means, in one place. A run's own code is passed through."""

from __future__ import annotations

OK = 0
TRAINER_FAILED = 1
"""The trainer failed, or the run is lost."""
DIFFERENT = 1
"""From `diff` alone: the two are not the same."""
USAGE = 2
"""The command line or the config is at fault and nothing was created; from a run: its input is."""
COULD_NOT_LAUNCH = 3
"""The run is alive already, or its directory or its supervisor could not be made."""
BROKEN_PIPE = 141
INTERRUPTED = 130
TERMINATED = 143


def of_signal(number: int) -> int:
    """128 + n, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number
