"""What is wrong with a config, where, and the edit that would mend it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "hint"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A concrete change to the config, which the form can apply: set ``key`` to ``value``.

    With ``renames``, the value of that (misspelt) key moves to ``key`` as it is. None removes.
    """

    key: str
    value: Any
    renames: str = ""


@dataclass(frozen=True, slots=True)
class Download:
    """Files of a hub repository that would mend a problem, and about how large they are together
    (0 if that is not known)."""

    repository: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. ``key`` is an option's name, or ``data_backend[<id>].<key>`` for a backend's.

    ``fix`` says in words what mends it; ``edit`` is the same as a change, ``download`` the same as
    what is to be fetched; ``where`` is ``file:line`` or ``file:line:column`` when known.
    ``details`` are lines for who wants to know more than the message and the fix.
    """

    key: str
    severity: Severity
    message: str
    fix: str = ""
    edit: Edit | None = None
    where: str = ""
    details: tuple[str, ...] = ()
    download: Download | None = None


def error(key: str, message: str, fix: str = "", edit: Edit | None = None) -> Problem:
    """A problem that keeps a run from starting."""
    return Problem(key, "error", message, fix, edit)


def warning(key: str, message: str, fix: str = "", edit: Edit | None = None) -> Problem:
    """A problem that a run survives, but that its owner should know of before."""
    return Problem(key, "warning", message, fix, edit)


def hint(key: str, message: str, fix: str = "", edit: Edit | None = None) -> Problem:
    """Something that could be better."""
    return Problem(key, "hint", message, fix, edit)
