"""What the form offers while a value is typed: paths that are there, usual sizes, the next number.

Knows nothing of screens.
"""

from __future__ import annotations

import os
from decimal import Decimal, InvalidOperation
from itertools import takewhile
from typing import Any

from cascade_tui.field_text import shown_value
from engine.config.options import Option
from engine.config.resolution import GRID_PX, Resolution

_MAX_SUGGESTIONS = 100
_SIZES = (
    "1024x1024", "896x1152", "1152x896", "768x1280", "1280x768", "768x1024", "1024x768",
    "640x1280", "1280x640", "768x768", "512x512", "1280x1280", "1536x1536",
)  # fmt: skip
"""On the 128-px grid, within the sizes that Stage C was trained on."""
_SMALLEST_PX = 256
"""A smaller number is one that is not typed to its end."""
_FOLDERS_ONLY = "_dir"
_HUB_OR_FOLDER = "_model_name_or_path"


def names_a_path(option: Option | None) -> bool:
    """Whether an option's value is the path of something, or may be."""
    return option is not None and (option.kind == "path" or option.key.endswith(_HUB_OR_FOLDER))


def suggest_paths(text: str, option: Option) -> list[str]:
    """What ``text`` can be completed to, spelled as it begins; folders end with ``/``.

    Of an option that names a folder only folders; hidden ones where the name begins with a dot.
    """
    head, tail = os.path.split(text)
    found: list[str] = []
    try:
        with os.scandir(os.path.expanduser(head) or ".") as entries:
            for entry in entries:
                is_hidden = entry.name.startswith(".") and not tail
                if is_hidden or not entry.name.startswith(tail):
                    continue
                if entry.is_dir():
                    found.append(os.path.join(head, entry.name) + "/")
                elif not option.key.endswith((_FOLDERS_ONLY, _HUB_OR_FOLDER)):
                    found.append(os.path.join(head, entry.name))
    except (OSError, ValueError):
        return []  # no folder to look into: nothing to suggest
    return sorted(found)[:_MAX_SUGGESTIONS]


def suggest_sizes(text: str) -> list[str]:
    """Usual sizes that begin with ``text``; all of them where it is one, or off the grid the
    nearest first."""
    if text in _SIZES or not text:
        return list(_SIZES)
    beginning = [size for size in _SIZES if size.startswith(text)]
    try:
        size = Resolution.parse(text)
    except ValueError:
        return beginning
    nearest = str(size.on_grid())
    if nearest == text or min(size.width, size.height) < _SMALLEST_PX:
        return beginning
    return [nearest, *(other for other in beginning if other != nearest)]


def completed(text: str, suggestions: list[str]) -> str:
    """``text`` as far as all the suggestions go on alike; itself if they do not."""
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*suggestions, strict=False))
    common = "".join(letters[0] for letters in alike)
    return common if len(common) > len(text) and common.startswith(text) else text


def stepped(option: Option, text: str, steps: int) -> str:
    """A number so many steps on, within its limits; ``text`` itself if it is no number.

    A step of an integer is 1 (of pixels a cell of the grid), of any other number one of its last
    digit.
    """
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return text
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int):  # nan and infinity
        return text
    if option.kind == "integer":
        size = Decimal(GRID_PX if option.unit == "px" else 1)
    else:
        size = Decimal(1).scaleb(exponent)
        if steps < 0 and abs(number) <= size * -steps and number > 0:
            size /= 10  # 1e-4 goes down to 9e-5, not to 0
    stepped_number = number + size * steps
    return text if _is_outside(option, stepped_number) else _shown(option, stepped_number)


def _is_outside(option: Option, number: Decimal) -> bool:
    value, low, high = float(number), option.minimum, option.maximum
    too_low = low is not None and (value < low or (option.is_minimum_excluded and value == low))
    too_high = high is not None and (value > high or (option.is_maximum_excluded and value == high))
    return too_low or too_high


def _shown(option: Option, number: Decimal) -> str:
    return str(int(number)) if option.kind == "integer" else shown_value(float(number))


def parts_of(value: Any) -> list[str]:
    """A list's entries as text; one that is spelled as a text with commas counts as a list."""
    if isinstance(value, list | tuple):
        return [shown_value(part) for part in value]
    text = shown_value(value)
    return [part.strip() for part in text.split(",") if part.strip()]
