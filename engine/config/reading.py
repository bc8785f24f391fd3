"""From raw values to a typed model, with every problem at once and nothing coerced in silence."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.options import Option, options_of
from engine.config.problems import Edit, Problem, error

Model = TypeVar("Model", bound=BaseModel)


def read_model(
    model: type[Model], values: Mapping[str, Any], *, name: Callable[[str], str] = str
) -> tuple[Model, list[Problem]]:
    """Read ``values``; a field in error keeps its default in the returned model.

    ``name`` makes a problem's key from a field's. Unknown keys, wrong types, values out of range
    and values that are not supported yet are errors.
    """
    options = options_of(model)
    problems = [_unknown(key, options, name) for key in values if key not in options]
    known = {key: _listed(options[key], value) for key, value in values.items() if key in options}
    try:
        parsed = model.model_validate(known)
    except ValidationError as failure:
        faulty = {str(item["loc"][0]): item["msg"] for item in failure.errors()}
        problems += [_wrong(options[key], known[key], why, name) for key, why in faulty.items()]
        parsed = model.model_validate({k: v for k, v in known.items() if k not in faulty})
    problems += _unsupported(parsed, options.values(), name)
    return parsed, problems


def _listed(option: Option, value: Any) -> Any:
    """A list option takes a single value too; JSON lists become tuples; 16 is a good 16.0."""
    if option.kind == "list":
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(","))
        return tuple(value) if isinstance(value, list | tuple) else value
    if option.key == "resume_from_checkpoint" and isinstance(value, int):
        return str(value)
    return value


def _unknown(key: str, options: Mapping[str, Option], name: Callable[[str], str]) -> Problem:
    near = difflib.get_close_matches(key, options, n=1, cutoff=0.6)
    fix = f"did you mean {near[0]}?" if near else "remove it"
    return error(name(key), f"unknown option {key}", fix)


def _wrong(option: Option, value: Any, why: str, name: Callable[[str], str]) -> Problem:
    """Say what was given, what is expected, and an edit where the meaning is plain."""
    expected = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "text": "text in quotes",
        "path": "a path in quotes",
        "choice": "one of " + ", ".join(option.choices),
        "resolution": 'a size such as "1024x1024", or one number for a square',
        "list": "a list of " + (", ".join(option.choices) or "sizes such as 1024x1024"),
    }[option.kind]
    right_type = not isinstance(value, str | bool) and option.kind in ("integer", "number")
    if right_type and isinstance(value, int | float) and option.minimum is not None:
        expected += f" ({why.removeprefix('Input should be ')})"
    meant = _meant(option, value)
    edit = None if meant is None else Edit(name(option.key), meant)
    fix = f"set it to {_shown(meant)}" if edit else f"give {expected}"
    return error(name(option.key), f"{_shown(value)} is not {expected}", fix, edit)


def _meant(option: Option, value: Any) -> Any:
    """What someone who wrote a value in the wrong type most likely meant; None if unclear."""
    if option.kind == "boolean" and str(value).lower() in ("true", "false", "yes", "no", "1", "0"):
        return str(value).lower() in ("true", "yes", "1")
    if option.kind in ("integer", "number") and isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return None
        if option.kind == "number":
            return number
        return int(number) if number.is_integer() else None
    if option.kind == "choice" and isinstance(value, str):
        near = difflib.get_close_matches(value.lower(), option.choices, n=1, cutoff=0.6)
        return near[0] if near else None
    return None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _unsupported(
    parsed: BaseModel, options: Iterable[Option], name: Callable[[str], str]
) -> list[Problem]:
    problems = []
    for option in options:
        reason = option.reason_unsupported(getattr(parsed, option.key))
        if reason is not None:
            edit = Edit(name(option.key), option.default)
            fix = f"set it to {_shown(option.default)}"
            problems.append(error(name(option.key), reason, fix, edit))
    return problems
