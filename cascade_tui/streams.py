"""stdin, stdout and stderr as a shell may leave them: closed, full, or read by nobody."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def open_missing() -> None:
    """Put /dev/null where a standard stream is closed (`>&-`), as cron and daemons leave it.

    Python has None there, and the next file to be opened would take the stream's number.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            _open_null(number)
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - stays open


def tolerate_signs() -> None:
    """A locale that lacks a sign, a path that is no UTF-8: escaped as on stderr, not a crash."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def wrapped(line: str, indent: int) -> str:
    """A line for stdout: in a terminal broken between words, the rest indented; else as it is."""
    if not sys.stdout.isatty():
        return line
    import shutil
    import textwrap

    return textwrap.fill(
        line,
        max(40, shutil.get_terminal_size().columns - 1),
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=True,
    )


def silence(stream: TextIO) -> None:
    """Have what is still to be written go nowhere: Python would complain while flushing at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)


def _open_null(number: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)
