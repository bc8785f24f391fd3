"""A file whose text is edited by hand: a whole one of a draft, or one that is malformed.

Knows nothing of screens.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from cascade_tui.draft import Draft
from engine.config.documents import BACKENDS, PROMPTS, Document, DocumentError, format_of
from engine.config.environment import Environment
from engine.config.problems import Problem


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file whose text is edited.

    Either ``draft`` holds the text, or the file is malformed and holds ``content``, breaking at
    ``malformed_line`` (from 1); ``owner`` is then the draft that names it as its file of backends,
    None for a config.
    """

    path: Path
    draft: Draft | None = None
    content: bytes = b""
    overrides: tuple[str, ...] = ()
    owner: Draft | None = None
    malformed_line: int | None = None

    @property
    def text(self) -> str:
        """The text as it stands, unsaved edits included."""
        if self.draft is None:
            return self.content.decode("utf-8-sig")
        return next(file.text() for file in self.draft.files if file.path == self.path)

    def draft_with(self, text: str) -> Draft:
        """A draft apart that holds ``text``.

        Raises:
            DocumentError: it is malformed.
        """
        held = self.apart().taken(text).draft
        assert held is not None
        return held

    def taken(self, text: str) -> TextFile:
        """The file with ``text``, which the draft now holds.

        Raises:
            DocumentError: it is malformed; nothing is changed.
        """
        if self.draft is not None:
            self.draft.replace_text(self.path, text)
            return self
        document = Document.mended(self.path, self.content, text)
        if self.owner is None:
            return TextFile(self.path, Draft(document, self.overrides))
        self.owner.take_mended(document)
        return TextFile(self.path, self.owner)

    def apart(self) -> TextFile:
        """The same with drafts of its own, for a thread."""
        draft, owner = self.draft, self.owner
        return replace(self, draft=draft and draft.copy(), owner=owner and owner.copy())

    def siblings(self) -> list[TextFile]:
        """This file, then the others of its draft."""
        draft = self.draft or self.owner
        if draft is None:
            return [self]
        malformed = malformed_backends(draft)
        files = [TextFile(file.path, draft) for file in draft.files]
        files += [malformed] if malformed is not None else []
        paths = [file.path for file in files]
        here = paths.index(self.path) if self.path in paths else -1
        return [self, *files[here + 1 :], *files[: max(here, 0)]]


@dataclass(frozen=True, slots=True)
class LineProblem:
    """A problem and where it stands in the text, counted from 0; None if nowhere in it."""

    problem: Problem
    line: int | None
    column: int


def text_of_field(draft: Draft, key: str) -> tuple[TextFile, int | None]:
    """The file that the field ``key`` stands in and its line there, from 1.

    ``data_backend_config`` stands where the file that it names is malformed, if it is.
    """
    backends, document = draft.backends_document, draft.document
    if key == "data_backend_config" and (malformed := malformed_backends(draft)) is not None:
        return malformed, malformed.malformed_line
    if key.startswith(f"{BACKENDS}["):
        document = backends or document
    elif key.startswith(f"{PROMPTS}["):
        document = draft.prompts_document or document
    return TextFile(document.path, draft), document.line_of(key) if key else None


def malformed_backends(draft: Draft) -> TextFile | None:
    """The file of backends that the draft names, if it is a text that is malformed at a line."""
    path = draft.backends_path
    if path is None or draft.backends_document is not None:
        return None
    try:
        content = path.read_bytes()
        Document(path, content.decode("utf-8-sig"), format_of(path))
    except (OSError, UnicodeDecodeError):
        return None  # no text to edit; checking tells why
    except DocumentError as failure:
        line, _ = place_of(failure.problem)
        return TextFile(path, content=content, owner=draft, malformed_line=line)
    return None


def place_of(problem: Problem) -> tuple[int | None, int | None]:
    """The line and column that a problem's ``where`` ends in, as far as it has them."""
    numbers = []
    for part in problem.where.rsplit(":", 2)[1:]:
        if part.isdecimal():
            numbers.append(int(part))
    line = numbers[0] if numbers else None
    return line, numbers[1] if len(numbers) > 1 else None


def problems_of(
    file: TextFile, text: str, environment: Environment | None
) -> tuple[LineProblem, ...]:
    """What is wrong with the text, by line; what stands in no line of it comes last."""
    try:
        draft = file.draft_with(text)
        found = draft.check(environment).problems
    except DocumentError as failure:
        found = (failure.problem,)
    except OSError as failure:  # of a path that the config names
        message = f"{failure.filename or ''} {failure.strerror or failure}".strip()
        found = (Problem("", "error", f"cannot be checked: {message}"),)
    placed = [_placed(problem, file.path) for problem in found]
    num_lines = text.count("\n") + 1
    return tuple(sorted(placed, key=lambda item: num_lines if item.line is None else item.line))


def _placed(problem: Problem, path: Path) -> LineProblem:
    if not problem.where.startswith(f"{path}:"):
        return LineProblem(problem, None, 0)
    line, column = place_of(problem)
    return LineProblem(problem, None if line is None else line - 1, (column or 1) - 1)
