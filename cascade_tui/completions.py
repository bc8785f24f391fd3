"""What a shell may offer after each word, read from the argparse tree.

Kinds of values: `configs` (TOML, JSON and folders), `runs` (run directories), `files`, `folders`,
`keys` (KEY=VALUE of an option; with words, of one of these), `words` (listed ones), `nothing` (a
number, free text).
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cascade_tui.arguments import Parser

_KIND_OF_METAVAR = {
    "CONFIG": "configs",
    "CONFIG|RUN": "configs",
    "PATH": "configs",
    "RUN": "runs",
    "RUN|ROOT": "runs",
    "KEY=VALUE": "keys",
    "DIR": "folders",
    "FOLDER": "folders",
    "N": "nothing",
    "S": "nothing",
    "NAME": "nothing",
    "TEXT": "nothing",
}
"""An argument called otherwise is a file, unless it is read as a number."""


@dataclass(frozen=True, slots=True)
class Value:
    """What may stand where a value is expected."""

    kind: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join((self.kind, *self.words))


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of a command; `value` is None for a switch."""

    names: tuple[str, ...]
    value: Value | None
    help: str


@dataclass(frozen=True, slots=True)
class Node:
    """What may follow a command: `path` is its words, empty for the program itself."""

    path: str
    help: str
    flags: tuple[Flag, ...]
    positionals: tuple[Value, ...]
    children: tuple[tuple[str, str], ...]
    """Subcommands by name, each with its help."""

    @property
    def flag_names(self) -> tuple[str, ...]:
        """Every spelling of every option."""
        return tuple(name for flag in self.flags for name in flag.names)


def nodes(main: argparse.ArgumentParser, commands: Mapping[str, tuple[str, str]]) -> list[Node]:
    """The whole tree; `commands` maps a name to its module in cascade_tui.commands and its help."""
    summaries = {name: summary for name, (_, summary) in commands.items()}
    found = list(_walk(main, "", "", summaries))
    parsers: dict[str, Parser] = {}
    for module_name in dict.fromkeys(module for module, _ in commands.values()):
        subparsers = Parser(prog="cascade-tui").add_subparsers()
        importlib.import_module(f"cascade_tui.commands.{module_name}").add_parser(subparsers)
        parsers |= subparsers.choices
    for name, summary in summaries.items():
        found += _walk(parsers[name], name, summary, {})
    return found


def _walk(
    parser: argparse.ArgumentParser, path: str, summary: str, children: dict[str, str]
) -> Iterator[Node]:
    flags: list[Flag] = []
    positionals: list[Value] = []
    nested: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            nested |= action.choices
            told = {choice.dest: choice.help or "" for choice in action._choices_actions}
            children = children | {name: told.get(name, "") for name in action.choices}
        elif action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            flags.append(Flag(tuple(action.option_strings), value, _help(action)))
        else:
            positionals.append(_value(action))
    yield Node(path, summary, tuple(flags), tuple(positionals), tuple(children.items()))
    for name, inner in nested.items():
        yield from _walk(inner, f"{path} {name}".strip(), children[name], {})


def _value(action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value("words", tuple(map(str, action.choices)))
    if action.dest == "preset":
        from engine.config.presets import PRESETS

        return Value("words", tuple(PRESETS))
    if action.metavar == "KEY=VALUE" and not action.option_strings:  # of `change`
        from engine.config.live import LIVE_OPTIONS

        return Value("keys", LIVE_OPTIONS)
    if action.type in (int, float):
        return Value("nothing")
    name = action.metavar if isinstance(action.metavar, str) else ""
    return Value(_KIND_OF_METAVAR.get(name, "files"))


def _help(action: argparse.Action) -> str:
    return "" if action.help in (None, argparse.SUPPRESS) else str(action.help)


def config_keys() -> dict[str, tuple[str, ...]]:
    """The keys that `--set` knows, each with its possible values where they are few."""
    from engine.config.fields import OPTIONS

    return {
        key: ("true", "false") if option.kind == "boolean" else option.choices
        for key, option in OPTIONS.items()
    }
