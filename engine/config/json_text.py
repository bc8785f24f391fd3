"""JSON that stays as the person wrote it: values with their place in the text, edited by splicing.

Order, indentation, blank lines and the spelling of numbers survive, because an edit replaces only
the characters of the value that it changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Place = tuple[str | int, ...]
"""Keys and positions, from the outermost."""
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"[^\s,\]}]+")
_DECODER = json.JSONDecoder()


class TextSyntaxError(ValueError):
    """A file is not valid JSON or TOML: what is wrong, at which 1-based line and column."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True, slots=True)
class Node:
    """A value and the characters [start, end) that spell it.

    ``members`` are an object's (key, start of the key, value); ``items`` are a list's values.
    """

    start: int
    end: int
    value: Any
    members: tuple[tuple[str, int, Node], ...] = field(default=())
    items: tuple[Node, ...] = field(default=())

    def member(self, key: str) -> tuple[int, Node] | None:
        """Where ``key`` and its value stand; None if the object has no such key."""
        return next(((start, node) for name, start, node in self.members if name == key), None)


def parse_json(text: str) -> Node:
    """Parse strict JSON.

    Raises:
        TextSyntaxError: not JSON, a key twice in one object, NaN or Infinity.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError as failure:
        raise _explained(text, failure) from failure
    except RecursionError as failure:
        raise TextSyntaxError("nested too deeply", 1, 1) from failure
    node, _ = _scan(text, _skip(text, 0))
    return node


def position(text: str, offset: int) -> tuple[int, int]:
    """The 1-based line and column of a character."""
    return text.count("\n", 0, offset) + 1, offset - (text.rfind("\n", 0, offset) + 1) + 1


def replaced(text: str, node: Node, value: Any) -> str:
    """The text with another value in the place of ``node``."""
    spelled = _spelled(text, value, _indent_of(text, node.start))
    return text[: node.start] + spelled + text[node.end :]


def appended(text: str, container: Node, value: Any, key: str | None = None) -> str:
    """The text with a member (``key`` given) or an item added at the container's end."""
    children = [start for _, start, _ in container.members] or [n.start for n in container.items]
    last = container.members[-1][2] if container.members else (container.items or [None])[-1]
    outer = _indent_of(text, container.start)
    if last is None:
        inner = outer + _unit(text)
        new = _member(text, key, value, inner)
        return f"{text[: container.start + 1]}\n{inner}{new}\n{outer}{text[container.end - 1 :]}"
    gap = text[_gap_start(text, children[-1]) : children[-1]]
    on_new_lines = "\n" in gap
    inner = gap[gap.rfind("\n") + 1 :] if on_new_lines else outer
    glue = f",\n{inner}" if on_new_lines else ", "
    return text[: last.end] + glue + _member(text, key, value, inner) + text[last.end :]


def removed(text: str, container: Node, index: int) -> str:
    """The text without the container's member or item number ``index``, and without its comma."""
    spans = [(start, node.end) for _, start, node in container.members]
    spans = spans or [(node.start, node.end) for node in container.items]
    start, end = spans[index]
    if index + 1 < len(spans):
        return text[:start] + text[spans[index + 1][0] :]
    if index > 0:
        return text[: spans[index - 1][1]] + text[end:]
    return text[: container.start + 1] + text[container.end - 1 :]


def _scan(text: str, at: int) -> tuple[Node, int]:
    """The value that begins at ``at``, and the offset after it; the text is known to be JSON."""
    if text[at] == "{":
        return _scan_object(text, at)
    if text[at] == "[":
        items: list[Node] = []
        inside = _skip(text, at + 1)
        while text[inside] != "]":
            item, after = _scan(text, inside)
            items.append(item)
            inside = _skip(text, after)
            if text[inside] == ",":
                inside = _skip(text, inside + 1)
        return Node(at, inside + 1, [n.value for n in items], items=tuple(items)), inside + 1
    if text[at] == '"':
        value, after = _DECODER.raw_decode(text, at)
        return Node(at, after, value), after
    match = _SCALAR.match(text, at)
    assert match is not None
    try:
        return Node(at, match.end(), json.loads(match[0], parse_constant=_refuse)), match.end()
    except ValueError as failure:
        raise TextSyntaxError(str(failure), *position(text, at)) from failure


def _scan_object(text: str, at: int) -> tuple[Node, int]:
    members: list[tuple[str, int, Node]] = []
    seen: dict[str, int] = {}
    inside = _skip(text, at + 1)
    while text[inside] != "}":
        start = inside
        key, after = _DECODER.raw_decode(text, start)
        if key in seen:
            first = position(text, seen[key])[0]
            raise TextSyntaxError(
                f"{key} is given twice, first in line {first}: keep one of them",
                *position(text, start),
            )
        seen[key] = start
        colon = _skip(text, after)
        node, after = _scan(text, _skip(text, colon + 1))
        members.append((key, start, node))
        inside = _skip(text, after)
        if text[inside] == ",":
            inside = _skip(text, inside + 1)
    value = {key: node.value for key, _, node in members}
    return Node(at, inside + 1, value, members=tuple(members)), inside + 1


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number in JSON")


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _member(text: str, key: str | None, value: Any, indent: str) -> str:
    spelled = _spelled(text, value, indent)
    return spelled if key is None else f"{json.dumps(key, ensure_ascii=False)}: {spelled}"


def _spelled(text: str, value: Any, indent: str) -> str:
    """A value as JSON: lists of plain values in one line, anything deeper indented as the file."""
    nested = value.values() if isinstance(value, Mapping) else value
    is_deep = isinstance(value, Mapping) or (
        isinstance(nested, list | tuple) and any(isinstance(v, Mapping | list) for v in nested)
    )
    spelled = json.dumps(
        value,
        ensure_ascii=False,
        allow_nan=False,
        indent=(_unit(text) or 2) if is_deep else None,
    )
    return spelled.replace("\n", "\n" + indent)


def _unit(text: str) -> str:
    """What the file indents its first level by; two spaces if it does not say."""
    match = re.search(r"\n([ \t]+)\S", text)
    return match[1] if match else "  "


def _indent_of(text: str, offset: int) -> str:
    """The white space that the line of ``offset`` begins with."""
    begin = text.rfind("\n", 0, offset) + 1
    match = re.compile(r"[ \t]*").match(text, begin, offset)
    return match[0] if match else ""


def _gap_start(text: str, offset: int) -> int:
    while offset > 0 and text[offset - 1] in " \t\n\r":
        offset -= 1
    return offset


_EXPLAINED = {
    "Expecting ',' delimiter": "a comma is missing before this",
    "Expecting property name enclosed in double quotes": "a key in double quotes is expected here",
    "Expecting ':' delimiter": "a colon is missing after the key",
    "Expecting value": "a value is expected here",
    "Unterminated string starting at": "this text has no closing quote",
    "Extra data": "the file should end before this",
    "Invalid control character at": "a line break or tab inside text must be written \\n or \\t",
    "Illegal trailing comma before end of object": "there is a comma after the last entry",
    "Illegal trailing comma before end of array": "there is a comma after the last entry",
}
_PYTHON_WORDS = {"True": "true", "False": "false", "None": "null"}


def _explained(text: str, failure: json.JSONDecodeError) -> TextSyntaxError:
    """The decoder's complaint in terms of what to change."""
    offset = failure.pos
    rest = text[offset:].lstrip()
    before = text[:offset].rstrip()
    message = _EXPLAINED.get(failure.msg, failure.msg)
    if not text.strip():
        return TextSyntaxError("the file is empty; an empty config is {}", 1, 1)
    if rest[:2] in ("//", "/*") or rest[:1] == "#":
        message = "JSON has no comments: remove it, or write the config as TOML"
    elif rest[:1] in ("}", "]") and before[-1:] == ",":
        message, offset = "there is a comma after the last entry: remove it", len(before) - 1
    elif rest[:1] == "'":
        message = "text and keys take double quotes in JSON"
    elif word := re.match(r"(True|False|None)\b", rest):
        message = f"JSON writes {_PYTHON_WORDS[word[1]]}, not {word[1]}"
    elif not rest and message == _EXPLAINED["Expecting ',' delimiter"]:
        message = "the file ends here, but a bracket is still open"
    return TextSyntaxError(message, *position(text, offset))


def node_at(root: Node, place: Place) -> Node | None:
    """The value at a place below ``root``; None if there is none."""
    node: Node | None = root
    for step in place:
        if node is None:
            return None
        if isinstance(step, int):
            node = node.items[step] if step < len(node.items) else None
        else:
            found = node.member(step)
            node = found[1] if found else None
    return node


def offset_of(root: Node, place: Place) -> int | None:
    """Where a key, or for a list's item its value, begins; of an absent option its table."""
    parent = node_at(root, place[:-1])
    if parent is None or not place:
        return None
    if isinstance(place[-1], int):
        item = node_at(parent, place[-1:])
        return item.start if item else None
    found = parent.member(place[-1])
    if found is not None:
        return found[0]
    return parent.start if len(place) > 1 else None
