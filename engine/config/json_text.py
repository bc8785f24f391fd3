"""JSON edited in its text: a change touches one value's characters, nothing else."""

from __future__ import annotations

import json
import re
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")


class JsonTextError(ValueError):
    """Malformed JSON: ``reason`` at ``line`` and ``column``, both from 1."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(f"line {line}, column {column}: {reason}")
        self.reason, self.line, self.column = reason, line, column


class JsonText:
    """A JSON text whose top is an object (or anything, with ``top=None``)."""

    def __init__(self, text: str, *, top: type | None = dict) -> None:
        """Parse; duplicate keys are errors, for one of them would be ignored.

        Raises:
            JsonTextError: malformed, or the top is no object.
        """
        self._read(text)
        if top is not None and not isinstance(self.value, top):
            raise JsonTextError("the top must be an object: { … }", 1, 1)

    def _read(self, text: str) -> None:
        duplicates: list[str] = []

        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            keys = [key for key, _ in pairs]
            duplicates.extend(key for key in keys if keys.count(key) > 1)
            return dict(pairs)

        try:
            self.value: Any = json.loads(text, object_pairs_hook=unique)
        except json.JSONDecodeError as failure:
            raise JsonTextError(_explain(text, failure), failure.lineno, failure.colno) from failure
        if duplicates:
            position = text.rfind(f'"{duplicates[0]}"')
            line = text.count("\n", 0, position) + 1
            column = position - text.rfind("\n", 0, position)
            raise JsonTextError(f"the key {duplicates[0]} stands twice", line, column)
        self.text = text

    def set(self, key: str, value: Any) -> None:
        """Set a key of the top object; a new one becomes its last."""
        spans = self._spans()
        written = json.dumps(value, ensure_ascii=False)
        if key in spans:
            _, start, end = spans[key]
            self._read(self.text[:start] + written + self.text[end:])
            return
        entry = f"{json.dumps(key, ensure_ascii=False)}: {written}"
        if not spans:
            opening = self.text.index("{") + 1
            closing = self.text.rindex("}")
            self._read(f"{self.text[:opening]}\n  {entry}\n{self.text[closing:]}")
            return
        first, last = next(iter(spans.values())), list(spans.values())[-1]
        line_start = self.text.rfind("\n", 0, first[0]) + 1
        lead = self.text[line_start : first[0]]
        separator = f"\n{lead}" if lead.strip() == "" and line_start else " "
        self._read(f"{self.text[: last[2]]},{separator}{entry}{self.text[last[2] :]}")

    def unset(self, key: str) -> None:
        """Remove a key of the top object with its comma, if it is there."""
        spans = self._spans()
        if key not in spans:
            return
        keys = list(spans)
        index = keys.index(key)
        start, _, end = spans[key]
        if index + 1 < len(keys):  # up to the next key
            end = spans[keys[index + 1]][0]
        elif index > 0:  # from the value before
            start = spans[keys[index - 1]][2]
        self._read(self.text[:start] + self.text[end:])

    def _spans(self) -> dict[str, tuple[int, int, int]]:
        """(key start, value start, value end) of each key of the top object."""
        decoder = json.JSONDecoder()
        spans: dict[str, tuple[int, int, int]] = {}
        position = self._skip(self.text.index("{") + 1)
        while self.text[position] != "}":
            key_start = position
            key, position = decoder.raw_decode(self.text, position)
            value_start = self._skip(self._skip(position) + 1)
            _, position = decoder.raw_decode(self.text, value_start)
            spans[key] = (key_start, value_start, position)
            position = self._skip(position)
            if self.text[position] == ",":
                position = self._skip(position + 1)
        return spans

    def _skip(self, position: int) -> int:
        match = _SPACE.match(self.text, position)
        assert match is not None
        return match.end()


def _explain(text: str, failure: json.JSONDecodeError) -> str:
    """The decoder's reason, with the usual mistakes named."""
    rest = text[failure.pos : failure.pos + 1]
    before = text[: failure.pos].rstrip()
    if rest in ("}", "]") and before.endswith(","):
        return "a comma before the closing bracket"
    if failure.msg == "Expecting property name enclosed in double quotes" and before.endswith(","):
        return "a comma too many, or a key without double quotes"
    if failure.msg == "Expecting ',' delimiter":
        return "a comma is missing before this"
    if text[failure.pos : failure.pos + 4] in ("True", "None") or rest == "F":
        return "JSON writes true, false and null in small letters"
    return failure.msg[:1].lower() + failure.msg[1:]
