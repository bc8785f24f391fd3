"""Every action that has a key: read from the bindings of all screens and widgets."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen, Screen
from textual.widgets import Input, TextArea

import cascade_tui.screens
import cascade_tui.widgets
from cascade_tui.app import CascadeApp
from cascade_tui.keymap import TAKEN, Keymap, KeyProblem, in_words, typed_by

_WAY_OUT = "app.quit"
_TYPED_IN = ("change", "editor", "guide", "path", "prompt", "source", "text")
"""What the ids begin with of parts in which a text field has the focus."""


@dataclass(frozen=True, slots=True)
class Action:
    """What a key does in one part of the app; `keys` are those it has by itself."""

    id: str
    part: str
    keys: tuple[str, ...]
    description: str
    action: str


@cache
def actions() -> tuple[Action, ...]:
    """All actions: the app's, then each screen's and each widget's."""
    return tuple(action for part in _parts() for action in _own_actions(part))


def whole_parts(chosen: Keymap) -> dict[str, tuple[str, ...]]:
    """The keys of every action of the parts in which one was chosen.

    Textual moves an action with another key behind all others: like this the order stays.
    """
    touched = {action.part for action in actions() if action.id in chosen}
    return {
        action.id: chosen.get(action.id, action.keys)
        for action in actions()
        if action.part in touched
    }


@cache
def _modules() -> tuple[ModuleType, ...]:
    packages = (cascade_tui.screens, cascade_tui.widgets)
    return tuple(
        importlib.import_module(f"{package.__name__}.{found.name}")
        for package in packages
        for found in pkgutil.iter_modules(package.__path__)
    )


def _parts() -> Iterator[type[DOMNode]]:
    """Every class with a table of keys of its own."""
    yield CascadeApp
    for module in _modules():
        for found in vars(module).values():
            is_own = isinstance(found, type) and found.__module__ == module.__name__
            if is_own and issubclass(found, DOMNode) and "BINDINGS" in vars(found):
                yield found


@cache
def _own_actions(part: type[DOMNode]) -> tuple[Action, ...]:
    title = vars(part).get("BINDING_GROUP_TITLE") or part.__name__
    found: dict[str, Action] = {}
    for binding in Binding.make_bindings(vars(part).get("BINDINGS", ())):
        id = binding.id or ""
        about = binding.tooltip or binding.description
        keys = (*(found[id].keys if id in found else ()), binding.key)
        found[id] = Action(id, str(title), keys, about, binding.action.removeprefix("app."))
    return tuple(found.values())


def check_keys(chosen: Mapping[str, tuple[str, ...]], path: Path) -> list[KeyProblem]:
    """Ids that there are not, keys that would do two things at once, keys that would be typed."""
    if not chosen:
        return []
    known = {action.id for action in actions()}
    problems = []
    for id in chosen:
        if id not in known:
            near = difflib.get_close_matches(id, known, n=1)
            did = f"did you mean {near[0]}? " if near else ""
            fix = f"{did}`cascade-tui keys` lists all"
            problems.append(KeyProblem(path, id, "there is no such action", fix))
    if chosen.get(_WAY_OUT, ("q",)) == ():
        fix = "give it another key"
        problems.append(KeyProblem(path, _WAY_OUT, "without a key there is no way out", fix))
    for action in actions():
        for key in chosen.get(action.id, ()):
            if key in TAKEN and key not in action.keys:
                what = f'"{key}" may never arrive: to the terminal it is {TAKEN[key]}'
                fix = "choose another key"
                problems.append(KeyProblem(path, action.id, what, fix, is_warning=True))
    return problems + _typed_keys(chosen, path) + _clashes(chosen, path)


def _typed_keys(chosen: Keymap, path: Path) -> list[KeyProblem]:
    """Keys that a text field would take before the action sees them."""
    problems = []
    used = {
        binding.key
        for field in (Input, TextArea)
        for binding in Binding.make_bindings(field.BINDINGS)
    }
    for part in _parts():
        own = _own_actions(part)
        defaults = {key for action in own for key in action.keys}
        for action in own:
            if action.id.partition(".")[0] not in _TYPED_IN:
                continue
            for key in chosen.get(action.id, ()):
                if key not in defaults and (typed_by(key) or key in used):
                    what = f'"{in_words(key)}" belongs to the text that is typed there'
                    fix = 'choose a key that types nothing, as "f5" or "ctrl+o"'
                    problems.append(KeyProblem(path, action.id, what, fix))
    return problems


def _clashes(chosen: Keymap, path: Path) -> list[KeyProblem]:
    told: set[tuple[str, str, str]] = set()
    problems = []
    for first, second in _together():
        if chosen.keys().isdisjoint((first.id, second.id)) or first.action == second.action:
            continue
        shared = set(chosen.get(first.id, first.keys)) & set(chosen.get(second.id, second.keys))
        shared -= set(first.keys) & set(second.keys)
        changed, other = (first, second) if first.id in chosen else (second, first)
        for key in sorted(shared):
            if (changed.id, other.id, key) in told:
                continue
            told.add((changed.id, other.id, key))
            what = f'"{in_words(key)}" is the key of {other.id} too ({other.description})'
            fix = f"choose another key, or give {other.id} another one in the same file"
            problems.append(KeyProblem(path, changed.id, what, fix))
    return problems


@cache
def _together() -> tuple[tuple[Action, Action], ...]:
    """Pairs of actions that a key press may mean at the same time.

    The widgets of a screen are those that its module imports. Two of them never have the focus at
    once; a modal screen keeps the app's own keys out.
    """
    app = _own_actions(CascadeApp)
    widgets = [part for part in _parts() if not issubclass(part, Screen | CascadeApp)]
    pairs = [*_within(app)]
    for module in _modules():
        for screen in vars(module).values():
            if not isinstance(screen, type) or not issubclass(screen, Screen):
                continue
            own = [
                action
                for part in screen.__mro__
                if part.__module__.startswith("cascade_tui.") and issubclass(part, DOMNode)
                for action in _own_actions(part)
            ]
            outside = [*own, *(() if issubclass(screen, ModalScreen) else app)]
            pairs += _within(outside)
            for widget in widgets:
                if widget in vars(module).values():
                    inside = _own_actions(widget)
                    pairs += _within(inside)
                    pairs += [(a, b) for a in inside for b in outside]
    return tuple(dict.fromkeys(pairs))


def _within(found: list[Action] | tuple[Action, ...]) -> Iterator[tuple[Action, Action]]:
    for number, first in enumerate(found):
        yield from ((first, second) for second in found[number + 1 :])
