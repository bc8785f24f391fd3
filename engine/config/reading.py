"""From raw values to a typed model, with every problem at once and nothing coerced in silence."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from engine.config.optimizers import as_one_text
from engine.config.options import Option, options_of
from engine.config.problems import Edit, Problem, error

Model = TypeVar("Model", bound=BaseModel)
Name = Callable[[str], str]

_FAMILIES_NOT_YET = {
    "scheduled_sampling_": "scheduled sampling (rollout)",
    "diff2flow_": "Diff2Flow",
    "controlnet": "a conditioning adapter",
    "fsdp_": "FSDP",
    "deepspeed_": "DeepSpeed",
}
"""What options that begin so belong to, of which this trainer has nothing yet."""


def read_model(
    model: type[Model], values: Mapping[str, Any], *, name: Name = str
) -> tuple[Model, list[Problem]]:
    """Read ``values``; a field in error keeps its default in the returned model.

    ``name`` makes a problem's key from a field's. Unknown keys, wrong types, values out of range
    and values that are not supported yet are errors.
    """
    options = options_of(model)
    problems = [_unknown(key, options, values, name) for key in values if key not in options]
    given = {key: _normal(options[key], value) for key, value in values.items() if key in options}
    faulty: dict[str, Problem] = {}
    for key, value in given.items():
        problem = _not_yet(options[key], value, name) or _unusable(options[key], value, name)
        if problem is not None:
            faulty[key] = problem
    good = {key: value for key, value in given.items() if key not in faulty}
    try:
        parsed = model.model_validate(good)
    except ValidationError as failure:
        for key in {str(item["loc"][0]) for item in failure.errors()}:
            faulty[key] = _wrong(options[key], good[key], name)
        parsed = model.model_validate({k: v for k, v in good.items() if k not in faulty})
    return parsed, [*problems, *(faulty[key] for key in given if key in faulty)]


def _normal(option: Option, value: Any) -> Any:  # noqa: PLR0911 - one line a spelling
    """Other spellings of the same value: a list of one without its brackets, a step as a number,
    empty text for an option that may be empty."""
    if option.kind == "list":
        if isinstance(value, str):
            if not value.strip() and not option.default:
                return ()
            return tuple(part.strip() for part in value.split(","))
        return tuple(value) if isinstance(value, list | tuple) else value
    if option.key == "optimizer_config":
        value = as_one_text(value)
    if isinstance(value, str) and value in option.aliases:
        return option.aliases[value]
    if option.key == "resume_from_checkpoint" and type(value) is int:
        return str(value)
    if value == "" and option.is_optional and option.kind in ("path", "text", "choice"):
        return None
    return value


def _unknown(
    key: str, options: Mapping[str, Option], values: Mapping[str, Any], name: Name
) -> Problem:
    near = difflib.get_close_matches(key, options, n=1, cutoff=0.75)
    family = next((what for start, what in _FAMILIES_NOT_YET.items() if key.startswith(start)), "")
    if family and not near:
        return error(
            name(key), f"{key} belongs to {family}, which is not supported yet", "remove it"
        )
    near = near or difflib.get_close_matches(key, options, n=1, cutoff=0.6)
    if not near:
        return error(name(key), f"unknown option {key}", "remove it")
    if near[0] in values:
        message = f"unknown option {key}; {near[0]} is set already"
        return error(name(key), message, "remove it")
    edit = Edit(name(near[0]), values[key], renames=name(key))
    return error(name(key), f"unknown option {key}", f"did you mean {near[0]}?", edit)


def _not_yet(option: Option, value: Any, name: Name) -> Problem | None:
    reason = option.reason_unsupported(value)
    if reason is None:
        return None
    edit = Edit(name(option.key), option.default)
    return error(name(option.key), reason, f"set it to {shown(option.default)}", edit)


def _unusable(option: Option, value: Any, name: Name) -> Problem | None:
    """Text that is of the right type, and yet nothing that a path or a name can be."""
    if option.kind not in ("path", "text") or not isinstance(value, str):
        return None
    if option.kind == "path" and not value.strip():
        return error(name(option.key), "is empty, expected a path", "give a path")
    if "\0" in value:
        return error(name(option.key), "holds a NUL character", "remove it")
    return None


def _wrong(option: Option, value: Any, name: Name) -> Problem:
    """Say what was given, what is expected, and an edit where the meaning is plain."""
    key, meant = name(option.key), _meant(option, value)
    edit = None if meant is None else Edit(key, meant)
    expected = expectation(option)
    if option.kind == "list" and isinstance(value, tuple):
        bad = [part for part in value if not _fits_list(option, part)]
        named = ", ".join(shown(part) for part in bad)
        verb = "is" if len(bad) == 1 else "are"
        return error(
            key, f"{named} {verb} not possible here; expected {expected}", f"give {expected}"
        )
    fix = f"set it to {shown(meant)}" if edit else f"give {expected}"
    return error(key, f"is {_described(value)}, expected {expected}", fix, edit)


def expectation(option: Option) -> str:
    """What an option accepts, in words: `a whole number from 1 to 1024`."""
    listed = ", ".join(option.choices)
    text = {
        "boolean": "true or false",
        "integer": "a whole number",
        "number": "a number",
        "text": "text",
        "path": "a path (text)",
        "choice": listed if len(option.choices) == 1 else f"one of {listed}",
        "resolution": 'a size in pixels such as "1024x1024", or one number for a square',
        "list": f"a list of {listed or _elements(option)}",
    }[option.kind]
    if option.kind in ("integer", "number"):
        low, high = option.minimum, option.maximum
        if low is not None:
            text += f" {'above' if option.is_minimum_excluded else 'from'} {_bound(low)}"
            text += "" if option.is_minimum_excluded or high is not None else " up"
        if high is not None:
            text += f" {'below' if option.is_maximum_excluded else 'to'} {_bound(high)}"
    return text + (" (or nothing)" if option.is_optional else "")


def _elements(option: Option) -> str:
    return 'sizes such as "1024x1024"' if option.key == "bucket_resolutions" else "texts"


def _bound(limit: float) -> str:
    return str(int(limit)) if limit.is_integer() else f"{limit:g}"


def shown(value: Any) -> str:
    """A value as JSON spells it."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    try:
        return json.dumps(value, ensure_ascii=False)
    except TypeError:
        return str(value)


def _described(value: Any) -> str:
    """A value with its type, where the spelling alone would mislead."""
    text = shown(value)
    text = text if len(text) <= 60 else text[:57] + "..."
    if isinstance(value, str):
        return f"the text {text}"
    if isinstance(value, list | tuple | Mapping):
        return f"{'a table' if isinstance(value, Mapping) else 'a list'} ({text})"
    return text


def _fits_list(option: Option, part: Any) -> bool:
    if option.choices:
        return part in option.choices
    if option.key != "bucket_resolutions":
        return isinstance(part, str)
    from engine.config.resolution import Resolution

    try:
        Resolution.parse(part)
    except ValueError:
        return False
    return True


def _meant(option: Option, value: Any) -> Any:
    """What someone who wrote a value in the wrong type most likely meant; None if unclear."""
    if option.kind == "boolean" and str(value).lower() in ("true", "false", "yes", "no", "1", "0"):
        return str(value).lower() in ("true", "yes", "1")
    if option.kind in ("integer", "number"):
        number = _number(value)
        return None if number is None else _in_range(option, number)
    if option.kind == "choice" and len(option.choices) == 1:
        return option.choices[0]
    if option.kind == "choice" and isinstance(value, str):
        near = difflib.get_close_matches(value.lower(), option.choices, n=1, cutoff=0.6)
        return near[0] if near else None
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _in_range(option: Option, number: float) -> int | float | None:
    """The number as the option's type, brought to the nearest bound; None if it has no such."""
    if option.kind == "integer" and not number.is_integer():
        return None
    low, high = option.minimum, option.maximum
    if low is not None and (number < low or (number == low and option.is_minimum_excluded)):
        number = low
    elif high is not None and (number > high or (number == high and option.is_maximum_excluded)):
        number = high
    if (number == low and option.is_minimum_excluded) or (
        number == high and option.is_maximum_excluded
    ):
        return None
    return int(number) if option.kind == "integer" else number
