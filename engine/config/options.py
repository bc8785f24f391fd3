"""How an option is declared: once, for the readers, the form, the schema and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, Field
from pydantic.fields import FieldInfo

Kind = Literal["boolean", "integer", "number", "text", "choice", "path", "resolution", "list"]
Unsupported = str | Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class Option:
    """One declared option, as the form and the reference see it.

    ``choices`` are those that work; None is allowed too when ``is_optional``.

    ``unsupported`` is a reason (the option does nothing yet: only its default is accepted) or a
    map from values to reasons. ``aliases`` are other names of choices, read as those.
    """

    key: str
    kind: Kind
    default: Any
    unit: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    group: str
    help: str
    since: str
    unsupported: Unsupported | None
    is_optional: bool
    is_minimum_excluded: bool = False
    is_maximum_excluded: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)

    def reason_unsupported(self, value: Any) -> str | None:
        """Why this value does nothing yet; None if it works."""
        if self.unsupported is None or value == self.default:
            return None
        if isinstance(self.unsupported, str):
            # A value of the wrong type is told as such instead.
            return self.unsupported if type(value) is type(self.default) else None
        return self.unsupported.get(value) if isinstance(value, str) else None


MOST_STEPS = 1_000_000_000
"""More steps than any run takes: what is beyond is a slip of the keyboard."""


def option(
    default: Any,
    *,
    group: str,
    help: str,
    unit: str = "",
    choices: tuple[str, ...] = (),
    kind: Kind | None = None,
    since: str = "0.1",
    unsupported: Unsupported | None = None,
    aliases: Mapping[str, str] | None = None,
    **limits: Any,
) -> Any:
    """Declare an option's default, group and help; ``limits`` are pydantic's ge, gt, le, lt."""
    extra: dict[str, Any] = {
        "group": group,
        "unit": unit,
        "kind": kind,
        "since": since,
        "unsupported": unsupported,
        "choices": choices,
        "aliases": dict(aliases or {}),
    }
    return Field(default, description=help, json_schema_extra={"x-option": extra}, **limits)


def options_of(model: type[BaseModel]) -> dict[str, Option]:
    """The options that a model declares, in the order of declaration."""
    return {key: _describe(key, field) for key, field in model.model_fields.items()}


def _describe(key: str, info: FieldInfo) -> Option:
    extra = info.json_schema_extra
    assert isinstance(extra, dict), f"{key} is not declared with option()"
    own: dict[str, Any] = extra["x-option"]  # type: ignore[assignment]
    kind, choices, optional = _kind_of(info.annotation)
    limits = {
        name: float(value)
        for item in info.metadata
        for name in ("ge", "gt", "le", "lt")
        if (value := getattr(item, name, None)) is not None
    }
    return Option(
        key=key,
        kind=own["kind"] or kind,
        default=None if info.is_required() else info.get_default(call_default_factory=True),
        unit=own["unit"],
        minimum=limits.get("ge", limits.get("gt")),
        maximum=limits.get("le", limits.get("lt")),
        choices=own["choices"] or choices,
        group=own["group"],
        help=info.description or "",
        since=own["since"],
        unsupported=own["unsupported"],
        is_optional=optional,
        is_minimum_excluded="gt" in limits,
        is_maximum_excluded="lt" in limits,
        aliases=own["aliases"],
    )


def _kind_of(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """The kind, the choices and whether None is allowed, from a type annotation."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(value) for value in arguments), False
    if type(None) in arguments:
        inner = next(argument for argument in arguments if argument is not type(None))
        kind, choices, _ = _kind_of(inner)
        return kind, choices, True
    simple: dict[Any, Kind] = {bool: "boolean", int: "integer", float: "number", str: "text"}
    if annotation in simple:
        return simple[annotation], (), False
    if get_origin(annotation) is tuple:
        return "list", (), False
    name = getattr(annotation, "__name__", "")
    return (
        ("resolution" if name == "Resolution" else "path" if name == "Path" else "text"),
        (),
        False,
    )
