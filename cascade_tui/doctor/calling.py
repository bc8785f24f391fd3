"""Whether the terminal can call you, and what tmux does to keys and notifications."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping

from cascade_tui.doctor.findings import Finding, ok, warning
from cascade_tui.notifying import VARIABLE, NotifySettingError, notify_by

_ANSWER_SECONDS = 3.0
_LONGEST_ESCAPE_MS = 100

AskTmux = Callable[[str], str]
"""The value of an option of tmux; empty if it does not say."""


def ask_tmux(option: str) -> str:
    """What the tmux server around us has set."""
    command = ["tmux", "show-options", "-Aqv", option]
    if option == "escape-time":
        command = ["tmux", "show-options", "-sqv", option]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no tmux in $PATH, or a server that hangs
    return done.stdout.strip()


def check_notify(
    variables: Mapping[str, str] = os.environ, ask: AskTmux = ask_tmux
) -> Iterator[Finding]:
    """`--notify` by the environment, and whether tmux hands a notification through."""
    try:
        way = notify_by(None, variables)
    except NotifySettingError as fault:
        yield warning("notify", f"{fault}: the app does not open", f"export {VARIABLE}=bell")
        return
    if way == "off":
        yield ok("notify", f"off; --notify bell or desktop, or {VARIABLE}, lets a run call you")
    elif way == "desktop" and "STY" in variables:
        yield ok("notify", "desktop, which in GNU screen is the bell")
    elif way == "desktop" and "TMUX" in variables and ask("allow-passthrough") in ("off", ""):
        message = "desktop, but tmux hands no notification through"
        yield warning("notify", message, "set -g allow-passthrough on in ~/.tmux.conf")
    else:
        yield ok("notify", way)


def check_tmux(
    variables: Mapping[str, str] = os.environ, ask: AskTmux = ask_tmux
) -> Iterator[Finding]:
    """How long tmux holds back the esc key."""
    if "TMUX" not in variables:
        return
    waits = ask("escape-time")
    if waits.isdecimal() and int(waits) > _LONGEST_ESCAPE_MS:
        message = f"tmux holds back the esc key for {waits} ms"
        yield warning("tmux", message, "set -sg escape-time 20 in ~/.tmux.conf")
