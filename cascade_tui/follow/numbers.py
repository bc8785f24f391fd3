"""Numbers from events, whatever stands there: a log may be damaged, or of another version."""

from __future__ import annotations

import math
from typing import Any, overload

from engine.run.events import as_float

MOST = 2**53
"""Beyond it a float does not tell one whole number from the next."""


@overload
def finite(value: object, otherwise: float = 0.0) -> float: ...
@overload
def finite(value: object, otherwise: None) -> float | None: ...
def finite(value: object, otherwise: float | None = 0.0) -> float | None:
    """The finite number in an event's field, or else ``otherwise``."""
    number = as_float(value)
    return number if number is not None and math.isfinite(number) else otherwise


def count(value: Any) -> int:
    """Steps, files or bytes as an event tells them.

    Raises:
        ValueError, TypeError, OverflowError: it is no number, or more than there can be.
    """
    number = int(value)
    if not 0 <= number < MOST:
        raise ValueError(f"{number} is too large or too small")
    return number
