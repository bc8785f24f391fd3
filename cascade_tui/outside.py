"""Another program in the app's place: the terminal is lent to it, and taken back."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

__all__ = ["SuspendNotSupported", "edit", "lent_terminal", "run_and_wait"]


@contextmanager
def lent_terminal(app: App[Any]) -> Iterator[None]:
    """Lend the terminal; ctrl+c reaches only the program that has it.

    Raises:
        SuspendNotSupported: there is no terminal to lend.
    """
    with app.suspend():
        # A handler, for a child would inherit that a signal is ignored.
        before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)


def edit(app: App[Any], path: Path, line: int | None = None) -> bool:
    """Open a file in $VISUAL or $EDITOR; False, with a notice, if that cannot be started."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        command = [*shlex.split(editor), *([f"+{line}"] if line else []), str(path)]
        with lent_terminal(app):
            subprocess.run(command, check=False)
    except (OSError, ValueError) as failure:  # not there; quotes that do not end
        reason = getattr(failure, "strerror", None) or failure
        told = f"{editor}: {reason}; set $EDITOR"
        app.notify(told, severity="error", markup=False)
        return False
    except SuspendNotSupported:
        app.notify(f"there is no terminal to run {editor} in", severity="error", markup=False)
        return False
    return True


def run_and_wait(command: Sequence[str], shown: str) -> int:
    """Run a command in the lent terminal, and let what it wrote stand until enter is pressed.

    Returns its exit code. ``shown`` is how a person would type it.

    Raises:
        OSError: it cannot be started.
    """
    print(f"$ {shown}\n", flush=True)
    code = subprocess.run(command, check=False).returncode
    _wait_for_enter("\nenter goes back to cascade-tui ")
    return code


def _wait_for_enter(prompt: str) -> None:
    terminal = sys.__stdin__
    if terminal is None:
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with suppress(termios.error):
            termios.tcflush(terminal, termios.TCIFLUSH)  # typed before it was asked for
        print(prompt, end="", flush=True)
        with suppress(OSError):  # the terminal is gone
            os.read(terminal.fileno(), 1024)
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGINT, before)
