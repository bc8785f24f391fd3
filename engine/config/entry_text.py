"""Entries of a table renamed and moved in the text itself, with their comments; nothing else moves.

``table`` is the key of the table in the file; None is the file itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from engine.config.json_text import Node, node_at, parse_json
from engine.config.toml_text import parse_toml

if TYPE_CHECKING:
    from tomlkit.items import Key

_DECODER = json.JSONDecoder()


def renamed_entry(
    text: str, format: Literal["json", "toml"], table: str | None, old: str, new: str
) -> str:
    """The text with the entry ``old`` called ``new``, in its place.

    Raises:
        KeyError: there is no such entry.
    """
    if format == "toml":
        document = parse_toml(text)
        body = _body(document, table)
        index = _index(_keys(body), old)
        body[index] = (_called(body[index][0], new), body[index][1])
        return document.as_string()
    members = _json_table(text, table).members
    start = next((start for name, start, _ in members if name == old), None)
    if start is None:
        raise KeyError(old)
    _, end = _DECODER.raw_decode(text, start)
    return text[:start] + json.dumps(new, ensure_ascii=False) + text[end:]


def moved_entry(
    text: str, format: Literal["json", "toml"], table: str | None, name: str, by: Literal[-1, 1]
) -> str:
    """The text with the entry ``name`` and its neighbour exchanged; at the end, as it was.

    Raises:
        KeyError: there is no such entry.
    """
    if format == "toml":
        return _moved_in_toml(text, table, name, by)
    members = _json_table(text, table).members
    place = _index([key for key, _, _ in members], name)
    other = place + by
    if not 0 <= other < len(members):
        return text
    (_, start_a, a), (_, start_b, b) = (members[index] for index in sorted((place, other)))
    between = text[a.end : start_b]
    return text[:start_a] + text[start_b : b.end] + between + text[start_a : a.end] + text[b.end :]


def _moved_in_toml(text: str, table: str | None, name: str, by: Literal[-1, 1]) -> str:
    document = parse_toml(text if text.endswith("\n") else text + "\n")
    body = _body(document, table)
    entries = [index for index, key in enumerate(_keys(body)) if key is not None]
    place = _index([_keys(body)[index] for index in entries], name)
    if not 0 <= place + by < len(entries):
        return text
    first, second = sorted((entries[place], entries[place + by]))
    a, b = _with_comments(body, first), _with_comments(body, second)
    between = body[a.stop : b.start]
    body[a.start : b.stop] = [*body[b.start : b.stop], *between, *body[a.start : a.stop]]
    return document.as_string()


def _with_comments(body: list[tuple[Key | None, Any]], index: int) -> range:
    """The entry at ``index`` with the lines of comment right above it."""
    from tomlkit.items import Comment

    start = index
    while start > 0 and isinstance(body[start - 1][1], Comment):
        start -= 1
    return range(start, index + 1)


def _body(document: Any, table: str | None) -> list[tuple[Key | None, Any]]:
    import tomlkit
    from tomlkit.items import InlineTable, Table

    if table is not None and not isinstance(document[table], Table | InlineTable):
        # Dotted keys that stand apart (`table.a = 1`): they become one table before they move.
        whole = tomlkit.table()
        whole.update(document[table].unwrap())
        document.remove(table)
        document.append(table, whole)
    container = document if table is None else document[table].value
    body: list[tuple[Key | None, Any]] = container.body
    return body


def _keys(body: list[tuple[Key | None, Any]]) -> list[str | None]:
    return [None if key is None else key.key for key, _ in body]


def _called(old: Key | None, name: str) -> Key:
    """A key ``name`` with the blanks around the equals sign that ``old`` has."""
    from tomlkit.items import SingleKey

    assert old is not None
    spelled = old.as_string()
    blanks = spelled[len(spelled.rstrip()) :]
    return SingleKey(name, sep=old.sep, original=SingleKey(name).as_string() + blanks)


def _index(names: list[str | None] | list[str], name: str) -> int:
    if name not in names:
        raise KeyError(name)
    return names.index(name)


def _json_table(text: str, table: str | None) -> Node:
    root = parse_json(text)
    node = root if table is None else node_at(root, (table,))
    if node is None:
        raise KeyError(table)
    return node
