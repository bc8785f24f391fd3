"""Values as the form shows them and takes them back."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from cascade_tui.widgets.glyphs import from_printable
from engine.config.options import Option

_LONGEST_LITERAL = 100
"""Characters; longer ones nest deeper, or have more digits, than Python reads."""


def typed_value(option: Option | None, text: str) -> Any:
    """The value that ``text``, as typed into the form, stands for; None is the default.

    A list is typed with commas, or an entry a line (which may hold commas then).
    """
    separator = "\n" if "\n" in text else ","
    text = from_printable(text).strip()
    if option is None:
        return text
    if not text and (option.is_optional or option.kind not in ("text", "path")):
        return None
    if option.kind == "list":
        return [part.strip() for part in text.split(separator) if part.strip()]
    if option.kind == "resolution":
        return int(text) if text.isdecimal() and len(text) <= _LONGEST_LITERAL else text
    return _literal(option, text) if option.kind in ("boolean", "integer", "number") else text


def _literal(option: Option, text: str) -> Any:
    """A number or boolean; what is neither stays text, for the checks to refuse."""
    if len(text) > _LONGEST_LITERAL:
        return text
    with contextlib.suppress(ValueError):
        return json.loads(text.lower())
    with contextlib.suppress(ValueError):
        return float(text) if option.kind == "number" else int(text)
    return text


def shown_value(value: Any) -> str:
    """A value as the form shows it and takes it back."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _shown_number(value)
    if isinstance(value, list | tuple):
        return ", ".join(shown_value(part) for part in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, default=str)  # TOML has dates
    return " ".join(str(value).split("\n"))


def _shown_number(value: float) -> str:
    text = repr(value)
    if "e" in text:
        mantissa, _, exponent = text.partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    if value != 0 and abs(value) < 0.001:
        return _scientific(value)
    return text


def _scientific(value: float) -> str:
    """The shortest spelling with an exponent that reads back as the same number."""
    for digits in range(17):
        text = f"{value:.{digits}e}"
        if float(text) == value:
            mantissa, _, exponent = text.partition("e")
            return f"{mantissa}e{int(exponent)}"
    return repr(value)


def is_same(value: Any, default: Any) -> bool:
    """Whether a value of a file says the same as a default, in whatever spelling."""
    if isinstance(value, list | tuple) and isinstance(default, list | tuple):
        return [str(part) for part in value] == [str(part) for part in default]
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    if isinstance(value, int | float) and isinstance(default, int | float):
        return value == default
    return str(value) == str(default)
