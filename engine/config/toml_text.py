"""TOML that stays as the person wrote it (through tomlkit), and where its keys stand."""

from __future__ import annotations

import re
from typing import Any

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from engine.config.json_text import TextSyntaxError

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"\s*(?:\"([^\"]*)\"|'([^']*)'|([\w-]+))\s*=")
_FENCES = ('"""', "'''")


def parse_toml(text: str) -> tomlkit.TOMLDocument:
    """Parse TOML.

    Raises:
        TextSyntaxError: not TOML, or a key twice.
    """
    try:
        document = tomlkit.parse(text)
        document.unwrap()  # some faults only show when the tables are put together
    except ParseError as failure:
        message = str(failure).split(" at line ")[0]
        again = re.fullmatch(r'Key "(.*)" already exists\.', message)
        if again:
            message = f"{again[1]} is given twice: keep one of them"
        if message == r"Unexpected character: '\n'":
            message = "the line ends here, but something is missing"
        line, column = failure.line, failure.col + 1
        raise TextSyntaxError(message, line, column) from failure
    except TOMLKitError as failure:
        raise TextSyntaxError(str(failure), 1, 1) from failure
    return document


def find_lines(text: str) -> dict[tuple[str | int, ...], int]:
    """The 1-based line of every key and table header, by path: ("data_backend", 0, "crop")."""
    lines: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    counts: dict[str, int] = {}
    fence = ""
    for number, line in enumerate(text.split("\n"), start=1):
        if fence:
            fence = "" if line.count(fence) % 2 else fence
            continue
        if header := _HEADER.match(line):
            name = header[2].strip("\"'")
            table = (name,)
            if header[1] == "[[":
                table = (name, counts.get(name, 0))
                counts[name] = counts.get(name, 0) + 1
            lines.setdefault(table[:1], number)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, key[1] or key[2] or key[3] or ""), number)
            fence = next((mark for mark in _FENCES if line.count(mark) % 2), "")
    return lines


def to_item(value: Any) -> Any:
    """A value as tomlkit writes it: tables for mappings, lists in one line."""
    if isinstance(value, dict):
        table = tomlkit.table()
        for key, inner in value.items():
            if inner is not None:
                table.add(key, to_item(inner))
        return table
    return tomlkit.item(list(value) if isinstance(value, tuple) else value)
