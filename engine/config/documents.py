"""Config files as people wrote them: an edit keeps comments, order and number formats.

TOML goes through tomlkit. JSON is edited in its text: only the value's own characters change.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from tomlkit.exceptions import ParseError, TOMLKitError

from engine.config.json_text import JsonText, JsonTextError
from engine.config.problems import Problem, error
from engine.run.files import atomic_write_text

Format = Literal["json", "toml"]


class DocumentError(ValueError):
    """A file that cannot be read as JSON or TOML; ``problem`` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.where}: {problem.message}")
        self.problem = problem


class Document:
    """A JSON or TOML file with a table at its top, edited in place."""

    def __init__(self, path: Path, text: str, format: Format) -> None:
        """Parse ``text``.

        Raises:
            DocumentError: with line and column.
        """
        self.path = path
        self.format = format
        self._saved_text = text
        self._parse(text)

    @classmethod
    def read(cls, path: Path) -> Document:
        """Read a file; its suffix decides the format (``.toml``, else JSON).

        Raises:
            DocumentError: unreadable or malformed.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as failure:
            message = f"not UTF-8 text: {failure.reason}"
            raise DocumentError(Problem("", "error", message, where=str(path))) from failure
        except OSError as failure:
            message = f"cannot be read: {failure.strerror or failure}"
            raise DocumentError(Problem("", "error", message, where=str(path))) from failure
        return cls(path, text, "toml" if path.suffix == ".toml" else "json")

    def _parse(self, text: str) -> None:
        try:
            if self.format == "toml":
                self._toml = tomlkit.parse(text)
            else:
                self._json = JsonText(text)
        except ParseError as failure:
            reason = str(failure).rsplit(" at line", 1)[0]
            raise self._malformed(reason, failure.line, failure.col + 1) from failure
        except TOMLKitError as failure:
            raise self._malformed(str(failure), 1, 1) from failure
        except JsonTextError as failure:
            raise self._malformed(failure.reason, failure.line, failure.column) from failure

    def _malformed(self, reason: str, line: int, column: int) -> DocumentError:
        kind = self.format.upper()
        where = f"{self.path}:{line}:{column}"
        return DocumentError(
            Problem("", "error", f"malformed {kind}: {reason}", f"mend line {line}", None, where)
        )

    # -- reading ------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """Everything at the top, as plain values; a leading ``--`` of keys is left out."""
        raw = self._toml.unwrap() if self.format == "toml" else self._json.value
        return {key.removeprefix("--"): value for key, value in raw.items()}

    def text(self) -> str:
        """The file as it would be saved."""
        return tomlkit.dumps(self._toml) if self.format == "toml" else self._json.text

    def line_of(self, key: str) -> int | None:
        """The 1-based line on which a top-level key stands; None if it is not there."""
        escaped = re.escape(key)
        pattern = (
            rf"^\s*[\"']?(?:--)?{escaped}[\"']?\s*="
            if self.format == "toml"
            else rf"\"(?:--)?{escaped}\"\s*:"
        )
        match = re.search(pattern, self.text(), re.MULTILINE)
        if match is None:
            return None
        start = match.end() if self.format == "toml" else match.start() + 1
        return self.text().count("\n", 0, start) + 1

    # -- editing ------------------------------------------------------------------------------

    def set(self, key: str, value: Any) -> None:
        """Set a top-level key; a new one goes to the end of the plain keys."""
        plain = _plain(value)
        if self.format == "json":
            self._json.set(self._spelt(self._json.value, key), plain)
            return
        spelt = self._spelt(self._toml, key)
        if spelt in self._toml:
            item = tomlkit.item(plain)
            item.trivia.comment_ws = self._toml[spelt].trivia.comment_ws
            item.trivia.comment = self._toml[spelt].trivia.comment
            self._toml[spelt] = item
        else:
            self._insert_before_tables(spelt, plain)

    def _insert_before_tables(self, key: str, value: Any) -> None:
        """TOML: a key after ``[table]`` would belong to the table."""
        text = self.text()
        match = re.search(r"^\s*\[", text, re.MULTILINE)
        line = f"{key} = {tomlkit.item(value).as_string()}\n"
        if match is None:
            text = text + ("" if text.endswith("\n") or not text else "\n") + line
        else:
            head = text[: match.start()].rstrip("\n")
            text = f"{head}\n{line}\n{text[match.start() :].lstrip(chr(10))}"
        self._toml = tomlkit.parse(text)

    def unset(self, key: str) -> None:
        """Remove a top-level key, if it is there: its default counts again."""
        if self.format == "json":
            self._json.unset(self._spelt(self._json.value, key))
            return
        spelt = self._spelt(self._toml, key)
        if spelt in self._toml:
            self._toml.remove(spelt)

    @staticmethod
    def _spelt(mapping: Mapping[str, Any], key: str) -> str:
        """The key as the file spells it: with or without ``--``."""
        return f"--{key}" if f"--{key}" in mapping else key

    def set_backend(self, identity: str, key: str, value: Any) -> bool:
        """Set an option of a ``[[data_backend]]`` in this file; False if it is not here."""
        name = "data_backend" if self.format == "toml" else None
        entries = self._toml.get(name, []) if name else []
        for entry in entries:
            if entry.get("id") == identity:
                entry[key] = _plain(value)
                return True
        return False

    # -- saving -------------------------------------------------------------------------------

    @property
    def is_changed(self) -> bool:
        """Whether there are edits that were not saved."""
        return self.text() != self._saved_text

    def changed_on_disk(self) -> bool:
        """Whether someone else changed (or removed) the file since it was read or saved."""
        try:
            return self.path.read_text(encoding="utf-8") != self._saved_text
        except FileNotFoundError:
            return bool(self._saved_text)
        except (OSError, UnicodeDecodeError):
            return True

    def save(self) -> None:
        """Write the file atomically.

        Raises:
            OSError: it cannot be written; the old content is intact.
        """
        text = self.text()
        atomic_write_text(self.path, text)
        self._saved_text = text

    def restore(self, text: str) -> None:
        """Put an earlier :meth:`text` back, for undo."""
        self._parse(text)


def _plain(value: Any) -> Any:
    """A value as JSON and TOML know it: tuples are lists, sizes are text."""
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if isinstance(value, bool | int | float | str | dict) or value is None:
        return value
    return str(value)


def read_values(path: Path) -> tuple[Any, Problem | None]:
    """Read a JSON file of any shape (backends, prompt library); the problem if it is malformed."""
    try:
        return JsonText(path.read_text(encoding="utf-8"), top=None).value, None
    except JsonTextError as failure:
        where = f"{path}:{failure.line}:{failure.column}"
        message = f"malformed JSON: {failure.reason}"
        return None, Problem("", "error", message, f"mend line {failure.line}", None, where)
    except (OSError, UnicodeDecodeError) as failure:
        return None, error("", f"{path} cannot be read: {failure}")


def to_json(values: Any) -> str:
    """JSON as this project writes it."""
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
