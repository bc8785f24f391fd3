"""How the terminal is to draw pictures: in half blocks, or in pixels where that is known to work.

Only when the terminal is certain: what is passed on by tmux or screen, or inherited from another
terminal, shows garbage.
"""

from __future__ import annotations

import fcntl
import struct
import sys
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

Setting = Literal["auto", "half", "kitty", "sixel", "iterm", "off"]
SETTINGS: tuple[Setting, ...] = get_args(Setting)
Way = Literal["half", "kitty", "sixel", "iterm", "off"]

TRUE_COLOUR_TERMS = ("xterm-kitty", "xterm-ghostty")
"""Terminals with 24-bit colours, over SSH too, where COLORTERM is not passed on."""

_WAY_OF_TERM: dict[str, Way] = {
    "xterm-kitty": "kitty",
    "xterm-ghostty": "kitty",
    "wezterm": "iterm",
    "foot": "sixel",
    "foot-extra": "sixel",
    "mlterm": "sixel",
    "mlterm-256color": "sixel",
}
_WAY_OF_PROGRAM: dict[str, Way] = {
    "ghostty": "kitty",
    "iTerm.app": "iterm",
    "WezTerm": "iterm",
    "mintty": "sixel",
}
_ANY_TERMINAL = ("xterm", "xterm-256color", "xterm-direct")
"""Names that many terminals go by."""
_OF_OTHERS = (
    "VTE_VERSION",
    "KONSOLE_VERSION",
    "WT_SESSION",
    "ALACRITTY_WINDOW_ID",
    "TERMINAL_EMULATOR",
    "NVIM",
    "VIM_TERMINAL",
    "INSIDE_EMACS",
)
"""Variables of terminals that may have inherited those of a better one."""
_CELL = (10, 20)


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to draw, and why it is not the one that was asked for, if it is not."""

    way: Way
    refusal: str = ""


def choose_way(
    asked: Setting, environment: Mapping[str, str], *, has_true_colour: bool = True
) -> Choice:
    """What a setting means in the terminal that the environment tells of."""
    if asked in ("half", "off"):
        return Choice(asked)
    obstacle = _obstacle(environment)
    if not obstacle and asked == "auto":
        way = _known_way(environment)
        return Choice("half" if way == "kitty" and not has_true_colour else way)
    if not obstacle and asked == "kitty" and not has_true_colour:
        obstacle = "without 24-bit colours (COLORTERM=truecolor)"
    if not obstacle and asked != "auto":
        return Choice(asked)
    return Choice("half", "" if asked == "auto" else f"{obstacle} pictures are half blocks")


def cell_pixels() -> tuple[int, int]:
    """Width and height of a character in pixels; 10 and 20 where the terminal does not tell."""
    if sys.__stdin__ is None:
        return _CELL
    try:
        answer = fcntl.ioctl(sys.__stdin__.fileno(), termios.TIOCGWINSZ, bytes(8))
    except (OSError, ValueError):  # no terminal, or closed
        return _CELL
    rows, columns, width, height = struct.unpack("HHHH", answer)
    if not (rows and columns and width >= columns and height >= rows):
        return _CELL
    return width // columns, height // rows


def _obstacle(environment: Mapping[str, str]) -> str:
    """What stands between us and the terminal, or keeps it from showing colours."""
    term = environment.get("TERM", "")
    if "TMUX" in environment or term.startswith("tmux"):
        return "in tmux"
    if "STY" in environment or term.startswith("screen"):
        return "in screen"
    if "ZELLIJ" in environment:
        return "in zellij"
    if "NO_COLOR" in environment or term in ("dumb", ""):
        return "without colours"
    if "TEXTUAL_DRIVER" in environment:
        return "in a browser"
    return ""


def _known_way(environment: Mapping[str, str]) -> Way:
    """TERM first: a terminal sets its own, while other variables may be inherited."""
    term = environment.get("TERM", "")
    if term in _WAY_OF_TERM:
        return _WAY_OF_TERM[term]
    if term not in _ANY_TERMINAL or any(name in environment for name in _OF_OTHERS):
        return "half"
    if program := environment.get("TERM_PROGRAM"):
        return _WAY_OF_PROGRAM.get(program, "half")
    if environment.get("LC_TERMINAL") == "iTerm2":  # the only one that SSH passes on
        return "iterm"
    if "KITTY_WINDOW_ID" in environment:
        return "kitty"
    return "half"
