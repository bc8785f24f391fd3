"""A config while it is edited: its files with unsaved edits, undo, and the fields to show.

Knows nothing of screens: the form is one way to look at it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cascade_tui.field_text import is_same, typed_value
from engine.config.backends import BACKEND_OPTIONS, ImageBackend, TextEmbedBackend, backend_key
from engine.config.documents import BACKENDS, PROMPTS, Document, DocumentError, to_json
from engine.config.environment import Environment
from engine.config.fields import GROUPS, OPTIONS, TrainingConfig
from engine.config.loading import INLINE_KEYS, Checked, Project, check_document, find_beside
from engine.config.options import Option
from engine.config.overrides import parse_overrides
from engine.config.problems import Edit, Problem
from engine.config.prompts import prompt_key
from engine.config.reading import read_model

UNKNOWN_GROUP = "unknown keys"
PROMPT_GROUP = "prompts"


@dataclass(frozen=True, slots=True)
class Field:
    """One line of the form: an option, a backend's option, a prompt, or a key that is unknown.

    ``value`` is None when neither the file nor the command line gives one; the option's default
    then counts. ``is_overridden`` says that ``--set`` gave it.
    """

    key: str
    name: str
    group: str
    option: Option | None
    value: Any
    is_overridden: bool = False

    @property
    def is_changed(self) -> bool:
        """Whether the value differs from the option's default."""
        if self.value is None:
            return False
        return self.option is None or not is_same(self.value, self.option.default)

    @property
    def effective(self) -> Any:
        """The value that counts: the given one, else the default."""
        if self.value is None and self.option is not None:
            return self.option.default
        return self.value


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The text of every file at one moment, and the overrides that still hold."""

    config: str
    others: tuple[tuple[Path, str], ...]
    overrides: tuple[str, ...]


class Draft:
    """A config, its file of data backends and its prompt library, with edits not yet saved."""

    def __init__(self, document: Document, overrides: Sequence[str] = ()) -> None:
        self.document = document
        self.overrides = tuple(overrides)
        self._others: dict[Path, Document] = {}
        self._new: set[Path] = set()
        self._lost: set[Path] = set()
        self._undone: list[Snapshot] = []
        self._done: list[Snapshot] = []

    @classmethod
    def open(cls, path: Path, overrides: Sequence[str] = ()) -> Draft:
        """Read a config.

        Raises:
            DocumentError: it cannot be read, or is malformed (with line and column).
        """
        return cls(Document.read(path), overrides)

    # -- what there is -------------------------------------------------------------------------

    @property
    def backends_document(self) -> Document | None:
        """The file that ``data_backend_config`` names, edits included; None without a readable
        one."""
        return self._read_beside(self.backends_path, is_library=False)

    @property
    def prompts_document(self) -> Document | None:
        """The file that ``validation_prompt_library`` names, edits included, saved or not; None
        without a readable one."""
        return self._read_beside(self.prompts_path, is_library=True)

    @property
    def backends_path(self) -> Path | None:
        """The file that ``data_backend_config`` names, if it is there."""
        return self._path_of("data_backend_config", BACKENDS)

    @property
    def prompts_path(self) -> Path | None:
        """The file that ``validation_prompt_library`` names, if it is there or is to be."""
        return self._path_of("validation_prompt_library", PROMPTS)

    def _path_of(self, option: str, inline: str) -> Path | None:
        """The file that an option names, unless the config holds the same ``inline``."""
        named = self._given(option)
        if not isinstance(named, str) or not named or inline in self.document:
            return None
        path = self._folder / named
        if path in self._new:
            return path
        try:
            return find_beside(named, self.document.path)
        except OSError:  # a name that is too long, a folder that is closed to us
            return None

    def _read_beside(self, path: Path | None, *, is_library: bool) -> Document | None:
        """A file that the config names, edits included; None without a readable one."""
        if path is None:
            return None
        if path not in self._others:
            try:
                self._others[path] = Document.read(path, is_library=is_library)
            except DocumentError:
                return None  # checking tells it as a problem of the option
        return self._others[path]

    @property
    def _folder(self) -> Path:
        return self.document.path.expanduser().absolute().parent

    def fields(self, problems: Sequence[Problem] = ()) -> tuple[Field, ...]:
        """Everything that can be edited, by group; then the keys that only problems name."""
        groups: dict[str, list[Field]] = {group: [] for group in GROUPS}
        values, plain, _ = self.document.values, *self._overrides()
        for key, option in OPTIONS.items():
            value = plain.get(key, values.get(key))
            groups.setdefault(option.group, []).append(
                Field(key, key, option.group, option, value, key in plain)
            )
        ordered: list[Field] = []
        for group, fields in groups.items():
            ordered += fields
            if group == "data":
                ordered += self._backend_fields()
            if group == "validation":
                ordered += self._prompt_fields()
        known = {field.key for field in ordered}
        for key in {**values, **plain}:
            if key not in OPTIONS and key not in INLINE_KEYS:
                value = plain.get(key, values.get(key))
                ordered.append(Field(key, key, UNKNOWN_GROUP, None, value, key in plain))
                known.add(key)
        for problem in problems:
            if problem.key not in known:
                ordered.append(self._field_of_problem(problem))
                known.add(problem.key)
        return tuple(ordered)

    def _backend_fields(self) -> Iterator[Field]:
        source = self.backends_document or self.document
        raw = source.values.get(BACKENDS)
        _, given = self._overrides()
        for position, entry in enumerate(raw if isinstance(raw, list) else []):
            if not isinstance(entry, dict):
                continue
            values = {key.removeprefix("--"): value for key, value in entry.items()}
            name = str(values.get("id") or position)
            options = _options_of_backend(values)
            for key in (*options, *(key for key in values if key not in options)):
                override = given.get((name, key))
                value = values.get(key) if override is None else override
                group = f"data: {name}"
                option = options.get(key)
                yield Field(backend_key(name, key), key, group, option, value, override is not None)

    def _prompt_fields(self) -> Iterator[Field]:
        library = self.prompts_document
        prompts = self.document.values.get(PROMPTS) if library is None else library.values
        is_list = library is not None and library.is_list
        if isinstance(prompts, dict) and not is_list:
            for name, text in prompts.items():
                yield Field(prompt_key(name), str(name), PROMPT_GROUP, None, text)

    @staticmethod
    def _field_of_problem(problem: Problem) -> Field:
        if problem.key.startswith(f"{BACKENDS}["):
            name = problem.key.removeprefix(f"{BACKENDS}[").partition("]")[0]
            inner = problem.key.rpartition("].")[2] if "]." in problem.key else "(backend)"
            return Field(problem.key, inner, f"data: {name}", None, None)
        if problem.key.startswith(f"{PROMPTS}["):
            name = problem.key.removeprefix(f"{PROMPTS}[").removesuffix("]")
            return Field(problem.key, name, PROMPT_GROUP, None, None)
        return Field(problem.key, problem.key or "(whole file)", UNKNOWN_GROUP, None, None)

    def _overrides(self) -> tuple[dict[str, Any], dict[tuple[str, str], Any]]:
        given, _ = parse_overrides(self.overrides)
        return dict(given.options), {(name, key): value for name, key, value in given.of_backends}

    def _given(self, key: str) -> Any:
        return self._overrides()[0].get(key, self.document.get(key))

    # -- edits ---------------------------------------------------------------------------------

    def set(self, key: str, value: Any) -> None:
        """Give ``key`` a value, or with None its default; an override of it no longer holds.

        Raises:
            KeyError: an option of a backend that is not there.
        """
        self.apply(Edit(key, value))

    def apply(self, edit: Edit) -> None:
        """Carry out an edit, as one step of undo.

        Raises:
            KeyError: an option of a backend that is not there.
        """
        self.apply_all((edit,))

    def apply_all(self, edits: Iterable[Edit]) -> None:
        """Carry out several edits, as one step of undo.

        Raises:
            KeyError: an option of a backend that is not there; nothing is changed.
        """
        # Read before the snapshot, which they are part of.
        backends, prompts = self.backends_document, self.prompts_document
        before = self.snapshot()
        try:
            for edit in edits:
                self._carry_out(edit, backends, prompts)
        except KeyError:
            self._restore(before)
            raise
        self._remember(before)

    def _carry_out(self, edit: Edit, backends: Document | None, prompts: Document | None) -> None:
        target = self.document
        if edit.key.startswith(f"{BACKENDS}[") and backends is not None:
            target = backends
        elif edit.key.startswith(f"{PROMPTS}[") and prompts is not None:
            target = prompts
        if edit.renames:
            target.apply(edit)
        elif edit.value is None:
            target.unset(edit.key)
        else:
            target.set(edit.key, edit.value)
        dropped = {edit.key, edit.renames}
        self.overrides = tuple(o for o in self.overrides if _key_of_override(o) not in dropped)

    def replace_text(self, path: Path, text: str) -> None:
        """Put another text in the place of that of one of the files, as one step of undo.

        Raises:
            DocumentError: it is malformed; nothing is changed.
        """
        before = self.snapshot()
        file = next(file for file in self.files if file.path == path)
        old = file.text()
        try:
            file.restore(text)
        except DocumentError:
            file.restore(old)
            raise
        self._remember(before)

    def take_mended(self, document: Document) -> None:
        """Hold a file beside the config that was malformed till now; undo keeps it mended."""
        self._others[document.path] = document

    def start_library(self, name: str, prompts: Mapping[str, str]) -> None:
        """Name a new prompt library beside the config, as one step of undo; saving writes it.

        There must be no such file yet.
        """
        before = self.snapshot()
        path = self._folder / name
        self._others[path] = Document(path, to_json(prompts), "json", is_library=True)
        self._new.add(path)
        self.document.set("validation_prompt_library", name)
        self._remember(before)

    def _remember(self, before: Snapshot) -> None:
        """Make a step of undo of what was changed since ``before``, if anything was."""
        if self.snapshot() != before:
            self._done.append(before)
            self._undone.clear()

    def undo(self) -> bool:
        """Take the last edit back; False if there is none."""
        return self._travel(self._done, self._undone)

    def redo(self) -> bool:
        """Do the last undone edit again; False if there is none."""
        return self._travel(self._undone, self._done)

    def _travel(self, source: list[Snapshot], target: list[Snapshot]) -> bool:
        if not source:
            return False
        target.append(self.snapshot())
        self._restore(source.pop())
        return True

    def _restore(self, snapshot: Snapshot) -> None:
        self.document.restore(snapshot.config)
        for path, text in snapshot.others:
            self._others[path].restore(text)
        self.overrides = snapshot.overrides

    def snapshot(self) -> Snapshot:
        """Everything as it stands now."""
        others = tuple((path, file.text()) for path, file in self._others.items())
        return Snapshot(self.document.text(), others, self.overrides)

    # -- checking ------------------------------------------------------------------------------

    def copy(self) -> Draft:
        """The same texts in other objects, for a thread to check while this one is edited."""
        document = Document(self.document.path, self.document.text(), self.document.format)
        copy = Draft(document, self.overrides)
        for path, file in self._others.items():
            is_library = file.is_library
            copy._others[path] = Document(path, file.text(), file.format, is_library=is_library)
        copy._new = set(self._new)
        return copy

    def check(self, environment: Environment | None = None) -> Checked:
        """Check everything as it stands, unsaved edits included."""
        return check_document(
            self.document,
            self.overrides,
            environment=environment,
            backends_document=self.backends_document,
            prompts_document=self.prompts_document,
        )

    def read(self) -> Checked:
        """Read the values as they stand, without rules and without a look at this machine."""
        return check_document(
            self.document,
            self.overrides,
            backends_document=self.backends_document,
            prompts_document=self.prompts_document,
            check=False,
        )

    def project(self, checked: Checked) -> Project:
        """The checked draft as what a launch takes."""
        return Project(
            self.document.path,
            self.document,
            checked.config,
            checked.backends,
            checked.prompts,
            checked.weights,
            checked.problems,
            checked.backends_document,
        )

    # -- files ---------------------------------------------------------------------------------

    @property
    def files(self) -> tuple[Document, ...]:
        """The config, every file of backends and library that was opened, a new one if named."""
        named = self.prompts_document if self._new else None
        others = (
            file for path, file in self._others.items() if path not in self._new or file is named
        )
        return (self.document, *others)

    @property
    def is_changed(self) -> bool:
        """Whether a file has edits that were not saved."""
        return any(map(self._is_unsaved, self.files))

    def _is_unsaved(self, file: Document) -> bool:
        return file.is_changed or file.path in self._new | self._lost

    def changed_on_disk(self) -> tuple[Path, ...]:
        """The files with unsaved edits that someone else changed meanwhile, and did not remove."""
        stale = self.stale()
        return tuple(f.path for f in self.files if self._is_unsaved(f) and f.path in stale)

    def stale(self) -> tuple[Path, ...]:
        """Every file that someone else changed since it was read or saved.

        One that is gone is not among them: it counts as not saved from now on.
        """
        changed = [file.path for file in self.files if file.changed_on_disk()]
        self._lost = {path for path in changed if not os.path.exists(path)}
        return tuple(path for path in changed if path not in self._lost)

    def save(self) -> tuple[Path, ...]:
        """Write the files that have edits, and say which.

        Raises:
            OSError: one cannot be written; it is as it was.
        """
        changed = [file for file in self.files if self._is_unsaved(file)]
        for file in reversed(changed):  # the config last: it names no file that is not there
            file.save()
            self._new.discard(file.path)
            self._lost.discard(file.path)
        return tuple(file.path for file in changed)


def check_typed(field: Field, text: str) -> Problem | None:
    """What is wrong with ``text`` as the field's value, looked at alone; None if nothing."""
    value = typed_value(field.option, text)
    if field.option is None or value is None:
        return None
    model = TrainingConfig
    if field.key.startswith(f"{BACKENDS}["):
        is_image = field.option is BACKEND_OPTIONS["images"].get(field.name)
        _, problems = read_model(
            ImageBackend if is_image else TextEmbedBackend, {field.name: value}
        )
    else:
        _, problems = read_model(model, {field.name: value})
    return next((problem for problem in problems if problem.key == field.name), None)


def _options_of_backend(values: dict[str, Any]) -> dict[str, Option]:
    kind = "text_embeds" if values.get("dataset_type") == "text_embeds" else "images"
    return BACKEND_OPTIONS[kind]


def _key_of_override(override: str) -> str:
    key = override.removeprefix("--").partition("=")[0].strip()
    if key.startswith(f"{BACKENDS}."):
        name, _, inner = key.removeprefix(f"{BACKENDS}.").rpartition(".")
        return backend_key(name, inner)
    if key.startswith(f"{PROMPTS}."):
        return prompt_key(key.removeprefix(f"{PROMPTS}."))
    return key
