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

SUMMARY = """\
exit codes (each command's --help says what they mean there; a run's own code is passed through):
  0         done
  1         the trainer failed, or the run is lost; `diff` found differences
  2         the command line, config or data is at fault, or the output cannot be written
  3         the run is alive already, or could not be launched
  130, 143  stopped by ctrl+c or SIGTERM; the run has saved
  141       whoever read the output has left"""
"""As `--help` tells them."""


def of_signal(number: int) -> int:
    """128 + n, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
    return 128 + number
