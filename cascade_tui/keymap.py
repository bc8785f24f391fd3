"""The keys that a person chose: a TOML file with the ids of actions and their keys.

Light: reading imports no textual, so that a start without such a file costs nothing.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_tui.arguments import UsageError

Keymap = Mapping[str, tuple[str, ...]]
"""The keys of each action that has others than its own, by its id; none at all: unbound."""

_UNBOUND = "unbound"
_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz")
_NAMED = frozenset(
    [
        *("up", "down", "left", "right", "home", "end", "pageup", "pagedown"),
        *("escape", "enter", "tab", "space", "backspace", "delete", "insert"),
        *(f"f{number}" for number in range(1, 25)),
    ]
)
_ALSO_CALLED = {
    **{"esc": "escape", "return": "enter", "del": "delete", "ins": "insert"},
    **{"pgup": "pageup", "pgdn": "pagedown", "page_up": "pageup", "page_down": "pagedown"},
    **{"↑": "up", "↓": "down", "←": "left", "→": "right", "⏎": "enter", "shift+⏎": "shift+enter"},
}
_SHORT = {"escape": "esc", "pageup": "pgup", "pagedown": "pgdn", "delete": "del"} | {
    **{"up": "↑", "down": "↓", "left": "←", "right": "→"}
}
_MODIFIERS = ("alt", "ctrl", "shift")
TAKEN = {
    "ctrl+a": "the prefix of screen",
    "ctrl+b": "the prefix of tmux",
    "ctrl+h": "backspace in many terminals",
    "ctrl+i": "the same as tab",
    "ctrl+j": "a new line",
    "ctrl+m": "the same as enter",
    "ctrl+q": "flow control (go on)",
    "ctrl+s": "flow control (halt)",
    "ctrl+z": "suspending the program",
}
"""What a terminal, or what runs in it, does with a key before a program sees it."""


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """One thing that is wrong in a keys file; a warning leaves the app usable."""

    path: Path
    id: str
    message: str
    fix: str
    is_warning: bool = False

    def __str__(self) -> str:
        sign, what = ("▲", "warning") if self.is_warning else ("✖", "error")
        where = f"{self.path}: {self.id}" if self.id else str(self.path)
        return f"{sign} {what}: {where}: {self.message}\n    fix: {self.fix}"


class KeysFileError(UsageError):
    """A keys file is wrong; the text tells all its problems."""

    def __init__(self, problems: Iterable[KeyProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("the keys file is wrong\n" + "\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class ChosenKeys:
    """A keys file that can be used: what `App.set_keymap` takes, and what to tell about it."""

    keymap: Mapping[str, str]
    warnings: tuple[KeyProblem, ...] = ()


def chosen_keys(path: Path | None = None) -> ChosenKeys:
    """The keys chosen in a file, by default the person's own; none without the file.

    Raises KeysFileError with everything that is wrong.
    """
    path = path or keys_file()
    try:
        content = path.read_bytes()
    except OSError:  # told, but for a file that is not there
        return ChosenKeys({}, chosen_by_id(path)[1])
    from cascade_tui.checked_keys import checked_before, keep_checked

    known = checked_before(content)
    if known is not None:
        return ChosenKeys(known)
    chosen, warnings = chosen_by_id(path)
    from cascade_tui.key_table import whole_parts

    keymap = {id: as_textual(id, keys) for id, keys in whole_parts(chosen).items()}
    if not warnings:
        keep_checked(content, keymap)
    return ChosenKeys(keymap, warnings)


def chosen_by_id(path: Path) -> tuple[Keymap, tuple[KeyProblem, ...]]:
    """The actions that have other keys than their own, and what to tell about them.

    Raises KeysFileError with everything that is wrong.
    """
    chosen, problems = read_keys(path)
    if not chosen and not problems:
        return {}, ()
    from cascade_tui.key_table import actions, check_keys

    problems += check_keys(chosen, path)
    if any(not problem.is_warning for problem in problems):
        raise KeysFileError(problems)
    own = {action.id: set(action.keys) for action in actions()}
    changed = {id: keys for id, keys in chosen.items() if set(keys) != own[id]}
    return changed, tuple(problems)


def keys_file() -> Path:
    """Where a person chooses keys."""
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "cascade-tui" / "keys.toml"


def read_keys(path: Path) -> tuple[dict[str, tuple[str, ...]], list[KeyProblem]]:
    """The chosen keys by id, with textual's names, and what is wrong with them by themselves.

    Without a file nothing is chosen. Whether an id is known, and a key free, see `key_table`.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}, []
    except (OSError, UnicodeDecodeError) as failure:
        reason = getattr(failure, "strerror", None) or "it is not UTF-8"
        return {}, [KeyProblem(path, "", f"cannot be read: {reason}", "mend or remove the file")]
    except tomllib.TOMLDecodeError as failure:
        fix = 'write lines like "monitor.checkpoint" = "C"'
        return {}, [KeyProblem(path, "", f"is not TOML: {failure}", fix)]
    chosen: dict[str, tuple[str, ...]] = {}
    problems: list[KeyProblem] = []
    for id, value in _flat(content):
        if id in chosen:
            fix = "leave one of the two out"
            problems.append(KeyProblem(path, id, "stands there twice", fix))
            continue
        written = [value] if isinstance(value, str) else value
        if not isinstance(written, list) or not all(isinstance(key, str) for key in written):
            fix = 'write "C", or ["C", "f5"], or "" for no key'
            problems.append(KeyProblem(path, id, f"{value!r} is no key and no list of keys", fix))
            continue
        keys = []
        for key in filter(None, written):
            name, fix = key_name(key)
            if fix:
                problems.append(KeyProblem(path, id, f'"{key}" is not a key', fix))
            else:
                keys.append(name)
        chosen[id] = tuple(dict.fromkeys(keys))
    return chosen, problems


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def key_name(written: str) -> tuple[str, str]:
    """Textual's name of a key as a person writes it, or what to write instead.

    Returns (name, "") or ("", fix): `?`, `question_mark`, `Esc`, `ctrl+o`, `shift+left`, `alt+x`.
    """
    from textual.keys import _character_to_key

    if len(written) == 1 and written.isprintable() and written not in _ALSO_CALLED:
        return ("space" if written == " " else _character_to_key(written)), ""
    *modifiers, last = re.split(r"\+(?=.)", written.strip())
    key = _ALSO_CALLED.get(last.lower(), last if len(last) == 1 else last.lower())
    modifiers = sorted(modifier.lower() for modifier in modifiers)
    unknown = [modifier for modifier in modifiers if modifier not in _MODIFIERS]
    if unknown:
        return "", f"{unknown[0]}+ is no modifier: write ctrl+, shift+ or alt+"
    character = None if key in _NAMED else typed_by(key)
    if key not in _NAMED and character is None:
        near = difflib.get_close_matches(key, sorted(_NAMED), n=1)
        return "", f'write "{near[0]}"' if near else 'write a character, "f5", "ctrl+o" or "escape"'
    if character is not None:
        key = _character_to_key(character)
        if modifiers == ["shift"]:
            fix = f'write "{key.upper()}"' if key in _LETTERS else "write the character it types"
            return "", fix
        if modifiers and len(key) == 1:
            key = key.lower()
    return "+".join([*modifiers, key]), ""


def typed_by(key: str) -> str | None:
    """The character that a key types; None for escape, ctrl+o and their like."""
    if key in _NAMED:
        return " " if key == "space" else None
    from textual.keys import REPLACED_KEYS, key_to_character

    return key_to_character(REPLACED_KEYS.get(key, key))


def in_words(key: str) -> str:
    """A key as texts and tables call it: `?`, `esc`, `ctrl+o`, `↑`; `–` for none."""
    if not key or is_unbound(key):
        return "–"
    *modifiers, last = key.split("+")
    return "+".join([*modifiers, _SHORT.get(last, _as_written(last))])


def in_file(key: str) -> str:
    """A key as the file has it: `?`, `escape`, `ctrl+o`, `up`."""
    *modifiers, last = key.split("+")
    return "+".join([*modifiers, _as_written(last)])


def _as_written(key: str) -> str:
    return key if key in _NAMED else typed_by(key) or key


def is_unbound(key: str) -> bool:
    """Whether this is the key of an action that was left without one."""
    return key.startswith(_UNBOUND)


def as_textual(id: str, keys: tuple[str, ...]) -> str:
    """What `App.set_keymap` takes; it cannot unbind, so that gets a key that nobody has."""
    return ",".join(keys) or f"{_UNBOUND}_{id.replace('.', '_')}"
