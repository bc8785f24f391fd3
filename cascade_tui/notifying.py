"""Calling somebody who looks elsewhere: the terminal's bell, or a desktop notification (OSC).

Only when asked for: `--notify bell|desktop`, or the environment variable CASCADE_TUI_NOTIFY.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

NotifyBy = Literal["off", "bell", "desktop"]
WAYS: tuple[NotifyBy, ...] = get_args(NotifyBy)
VARIABLE = "CASCADE_TUI_NOTIFY"

_BELL = "\a"
_LONGEST = 200
_TITLE = "cascade-tui"


class NotifySettingError(ValueError):
    """The environment variable names no way to notify; says which there are."""


def notify_by(option: NotifyBy | None, environment: Mapping[str, str]) -> NotifyBy:
    """The way that was asked for: the option, else the variable, else none.

    Raises:
        NotifySettingError: the variable holds something else.
    """
    if option is not None:
        return option
    asked = environment.get(VARIABLE, "off") or "off"
    for way in WAYS:
        if asked == way:
            return way
    raise NotifySettingError(f"{VARIABLE}={asked}: expected {', '.join(WAYS)}")


def notification(way: NotifyBy, message: str, environment: Mapping[str, str]) -> str:
    """What to write to the terminal; nothing if it was not asked for.

    In tmux a notification is handed through to the terminal outside (which takes
    `allow-passthrough on`). GNU screen and the console know none: there it is a bell.
    """
    if way == "off":
        return ""
    term = environment.get("TERM", "")
    if way == "bell" or "STY" in environment or term in ("dumb", "linux", ""):
        return _BELL
    text = "".join(c if c.isprintable() else " " for c in message)[:_LONGEST]
    sequence = f"\x1b]9;{_TITLE}: {text}\x1b\\"
    if term.startswith(("foot", "rxvt")) or "VTE_VERSION" in environment:
        sequence = f"\x1b]777;notify;{_TITLE};{text}\x1b\\"
    if "TMUX" in environment:
        inner = sequence.replace("\x1b", "\x1b\x1b")
        return f"\x1bPtmux;{inner}\x1b\\"
    return sequence
