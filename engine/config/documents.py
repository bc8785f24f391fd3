"""A config file as the person wrote it: an edit keeps comments, order and number formats.

One kind of document serves configs, lists of data backends and prompt libraries, in JSON and TOML.
A key is an option's name (``learning_rate``), ``data_backend[<id>].<option>``, or
``validation_prompts[<name>]``.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.config.fields import OPTIONS
from engine.config.json_text import (
    Node,
    Place,
    TextSyntaxError,
    appended,
    node_at,
    offset_of,
    parse_json,
    position,
    removed,
    replaced,
)
from engine.config.problems import Edit, Problem
from engine.run.files import atomic_write_bytes

if TYPE_CHECKING:
    import tomlkit

Format = Literal["json", "toml"]

BACKENDS = "data_backend"
PROMPTS = "validation_prompts"
SCHEMA_KEY = "$schema"
"""Names the JSON Schema by which an editor helps: no option, and nothing of the run."""
_INDEXED = re.compile(r"(data_backend|validation_prompts)\[(.*)\](?:\.([\w-]+))?", re.DOTALL)


class DocumentError(ValueError):
    """A file that cannot be read as a config; ``problem`` says what, where and the fix."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(
            f"{problem.where}: {problem.message}" if problem.where else problem.message
        )
        self.problem = problem


class Document:
    """The text of one file, its values, and edits that change nothing but what they are for."""

    def __init__(self, path: Path, text: str, format: Format, *, is_library: bool = False) -> None:
        """Parse ``text``; ``path`` is where it came from, or will be saved. Each key of a file
        that ``is_library`` names a prompt, whatever it is called.

        Raises:
            DocumentError: a syntax error (with line and column), or neither a table nor a list.
        """
        self.path = path
        self.format: Format = format
        self.is_library = is_library
        self._on_disk: bytes | None = None
        self._mark = b""
        self._toml: tomlkit.TOMLDocument | None = None
        self._json: Node | None = None
        self._lines: dict[Place, int] | None = None
        self._saved_text = text
        self._parse(text)

    @classmethod
    def read(cls, path: Path, *, is_library: bool = False) -> Document:
        """Read a file; ``.toml`` is TOML, anything else JSON.

        Raises:
            DocumentError: it cannot be read, is not UTF-8, or is malformed.
        """
        try:
            content = path.read_bytes()
            text = content.decode("utf-8-sig")
        except OSError as failure:
            message = f"{path} cannot be read: {failure.strerror or failure}"
            raise DocumentError(Problem("", "error", message, where=str(path))) from failure
        except UnicodeDecodeError as failure:
            message = f"not UTF-8 (byte {failure.start}): save it as UTF-8"
            raise DocumentError(Problem("", "error", message, where=str(path))) from failure
        document = cls(path, text, format_of(path), is_library=is_library)
        document._stands_for(content)
        return document

    @classmethod
    def mended(cls, path: Path, content: bytes, text: str) -> Document:
        """``text`` as the unsaved edit of a malformed file, which holds ``content``.

        Raises:
            DocumentError: ``text`` is malformed too.
        """
        document = cls(path, text, format_of(path))
        document._stands_for(content)
        document._saved_text = content.decode("utf-8-sig")
        return document

    def _stands_for(self, content: bytes) -> None:
        """``content`` is on disk; the mark that some editors begin UTF-8 with is kept."""
        self._on_disk = content
        self._mark = codecs.BOM_UTF8 if content.startswith(codecs.BOM_UTF8) else b""

    # -- values --------------------------------------------------------------------------------

    @property
    def values(self) -> dict[str, Any]:
        """The values by key without leading ``--``; a bare list of backends is ``data_backend``.

        An editor's ``$schema`` is not among them.
        """
        content = self._content()
        if isinstance(content, list):
            return {BACKENDS: content}
        return {
            key if self.is_library else key.removeprefix("--"): value
            for key, value in content.items()
            if key != SCHEMA_KEY or not isinstance(value, str)
        }

    @property
    def is_list(self) -> bool:
        """Whether the file is a bare list, as a file of data backends is."""
        return isinstance(self._content(), list)

    def text(self) -> str:
        """The file's text, edits included."""
        return self._text

    def __contains__(self, key: str) -> bool:
        return self._find(self._locate(key))[0]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of ``key``, or ``default`` if it is not in the file."""
        found, value = self._find(self._locate(key))
        return value if found else default

    def line_of(self, key: str) -> int | None:
        """The 1-based line where ``key`` stands; for an option of a backend that lacks it, the
        backend's; None if neither is in the file."""
        place = self._locate(key)
        return None if place is None else self._line_at(place)

    def _line_at(self, place: Place) -> int | None:
        if self._json is not None:
            offset = offset_of(self._json, place)
            return None if offset is None else position(self._text, offset)[0]
        if self._lines is None:
            from engine.config.toml_text import find_lines

            self._lines = find_lines(self._text)
        shorter = place[:2] if place[:1] == (BACKENDS,) else place
        return self._lines.get(place) or self._lines.get(shorter)

    # -- edits ---------------------------------------------------------------------------------

    def set(self, key: str, value: Any) -> None:
        """Set ``key``; one that is not in the file is added at the end, None in TOML removes it.

        ``data_backend[<id>]`` with a mapping adds a backend. Raises KeyError for an option of a
        backend that is not in the file.
        """
        if value is None and self.format == "toml":
            self.unset(key)
            return
        place = self._locate(key, creating=True)
        if place is None:
            raise KeyError(key)
        value = plain(value)
        if self._json is not None:
            self._set_json(place, value)
        else:
            self._set_toml(place, value)

    def unset(self, key: str) -> None:
        """Remove ``key``, so that its default applies; one that is not there stays away."""
        place = self._locate(key)
        if place is None or not self._find(place)[0]:
            return
        if self._json is not None:
            container = node_at(self._json, place[:-1])
            assert container is not None
            names: list[str | int] = [name for name, _, _ in container.members]
            index = names.index(place[-1]) if names else int(place[-1])
            self._parse(removed(self._text, container, index))
            return
        del self._container(place[:-1])[place[-1]]
        self._refresh()

    def rename(self, key: str, new_key: str) -> None:
        """Call ``key`` otherwise, keeping its value; an unknown option gets its right name so."""
        if key in self:
            value = self.get(key)
            self.unset(key)
            self.set(new_key, value)

    def apply(self, edit: Edit) -> None:
        """Carry out a problem's edit."""
        if edit.renames:
            self.rename(edit.renames, edit.key)
        else:
            self.set(edit.key, edit.value)

    def set_backend(self, identity: str, key: str, value: Any) -> bool:
        """Set an option of a backend of this file; False if no such backend is in it."""
        if self._locate(f"{BACKENDS}[{identity}].{key}") is None:
            return False
        self.set(f"{BACKENDS}[{identity}].{key}", value)
        return True

    def restore(self, text: str) -> None:
        """Put an earlier :meth:`text` back, for undo."""
        self._parse(text)

    # -- disk ----------------------------------------------------------------------------------

    def changed_on_disk(self) -> bool:
        """Whether the file is no longer what was read or last saved."""
        try:
            return self.path.read_bytes() != self._on_disk
        except FileNotFoundError:
            return self._on_disk is not None
        except OSError:
            return True

    @property
    def is_changed(self) -> bool:
        """Whether there are edits that were not saved."""
        return self._text != self._saved_text

    def save(self) -> None:
        """Write the file whole or not at all, through links and with its permissions kept.

        Raises:
            OSError: it cannot be written; the old file is as it was.
        """
        target = self.path.resolve()
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        content = self._mark + self._text.encode()
        atomic_write_bytes(target, content)
        if mode is not None:
            os.chmod(target, mode)
        self._on_disk, self._saved_text = content, self._text

    # -- inside --------------------------------------------------------------------------------

    def _parse(self, text: str) -> None:
        try:
            if self.format == "json":
                node = parse_json(text)
                if not isinstance(node.value, dict | list):
                    raise TextSyntaxError("a config is an object: { … }", 1, 1)
                self._json = node
            else:
                from engine.config.toml_text import parse_toml

                self._toml = parse_toml(text)
            self._text, self._lines = text, None
            self._refuse_same_keys()
        except TextSyntaxError as failure:
            where = f"{self.path}:{failure.line}:{failure.column}"
            language = self.format.upper()
            message = f"malformed {language}: {failure.message}"
            fix = f"mend line {failure.line}"
            raise DocumentError(Problem("", "error", message, fix, where=where)) from failure

    def _refuse_same_keys(self) -> None:
        """``--seed`` and ``seed`` are one key: given both, one would be ignored."""
        content = self._content()
        if isinstance(content, list) or self.is_library:
            return
        for key in content:
            if key.startswith("--") and key.removeprefix("--") in content:
                plain_key = key.removeprefix("--")
                message = f"{plain_key} is given twice, once with --: keep one of them"
                lines = (self._line_at((key,)) or 1, self._line_at((plain_key,)) or 1)
                raise TextSyntaxError(message, max(lines), 1)

    def _refresh(self) -> None:
        assert self._toml is not None
        self._parse(self._toml.as_string())

    def _content(self) -> Any:
        if self._json is not None:
            return self._json.value
        assert self._toml is not None
        return self._toml.unwrap()

    def _locate(self, key: str, *, creating: bool = False) -> Place | None:
        """The steps from the root to ``key`` as it is spelled in the file."""
        content = self._content()
        indexed = _INDEXED.fullmatch(key)
        if indexed is None:
            if isinstance(content, list):
                return None
            return (f"--{key}",) if f"--{key}" in content else (key,)
        table, name, inner = indexed[1], indexed[2], indexed[3]
        if table == PROMPTS:
            is_library = self.is_library or self._is_prompt_library(content)
            return (name,) if is_library else (PROMPTS, name)
        backends = content if isinstance(content, list) else content.get(BACKENDS, [])
        base: Place = () if isinstance(content, list) else (BACKENDS,)
        index = _backend_index(backends, name)
        if index is None:
            return (*base, len(backends)) if creating and not inner else None
        if not inner:
            return (*base, index)
        dashed = isinstance(backends[index], Mapping) and f"--{inner}" in backends[index]
        return (*base, index, f"--{inner}" if dashed else inner)

    @staticmethod
    def _is_prompt_library(content: Any) -> bool:
        """Whether a file is nothing but names and prompts, and not a config."""
        return (
            isinstance(content, Mapping)
            and bool(content)
            and not any(key.removeprefix("--") in (*OPTIONS, BACKENDS, PROMPTS) for key in content)
            and all(isinstance(text, str) for text in content.values())
        )

    def _find(self, place: Place | None) -> tuple[bool, Any]:
        if place is None:
            return False, None
        value = self._content()
        for step in place:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return False, None
        return True, value

    def _set_json(self, place: Place, value: Any) -> None:
        assert self._json is not None
        node = node_at(self._json, place)
        if node is not None:
            self._parse(replaced(self._text, node, value))
            return
        container = node_at(self._json, place[:-1])
        if container is None:  # the table itself is new
            first: Any = [value] if isinstance(place[-1], int) else {place[-1]: value}
            self._parse(appended(self._text, self._json, first, str(place[0])))
            return
        key = None if isinstance(place[-1], int) else place[-1]
        self._parse(appended(self._text, container, value, key))

    def _set_toml(self, place: Place, value: Any) -> None:
        import tomlkit

        from engine.config.toml_text import to_item

        assert self._toml is not None
        if place[0] not in self._toml and len(place) > 1:
            new = tomlkit.aot() if place[0] == BACKENDS else tomlkit.table()
            self._toml.append(str(place[0]), new)
        container = self._container(place[:-1])
        if isinstance(place[-1], int) and place[-1] >= len(container):
            container.append(to_item(value))
        elif place[-1] in container if isinstance(place[-1], str) else True:
            old = container[place[-1]]
            new_item = to_item(value)
            if hasattr(old, "trivia") and hasattr(new_item, "trivia"):
                new_item.trivia.comment = old.trivia.comment
                new_item.trivia.comment_ws = old.trivia.comment_ws
            container[place[-1]] = new_item
        else:
            container[place[-1]] = to_item(value)
        self._refresh()

    def _container(self, place: Place) -> Any:
        container: Any = self._toml
        for step in place:
            container = container[step]
        return container


def format_of(path: Path) -> Format:
    """The format that a file's name stands for: ``.toml`` is TOML, anything else JSON."""
    return "toml" if path.suffix.lower() == ".toml" else "json"


def plain(value: Any) -> Any:
    """A value in the types that both formats know: sizes and paths become text, tuples lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value if isinstance(value, str | bool | int | float | None) else str(value)


def _backend_index(backends: Any, name: str) -> int | None:
    """Which backend is meant: by its id, else by its position (as problems name one without id)."""
    if not isinstance(backends, list):
        return None
    for index, backend in enumerate(backends):
        if isinstance(backend, Mapping) and name in (backend.get("id"), backend.get("--id")):
            return index
    return int(name) if name.isdecimal() and int(name) < len(backends) else None


def to_json(values: Any) -> str:
    """JSON as this project writes it."""
    return json.dumps(plain(values), indent=2, ensure_ascii=False) + "\n"
