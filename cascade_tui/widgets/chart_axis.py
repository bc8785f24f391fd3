"""Ranges, ticks and labels of a chart's axes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_LARGEST = 1e300
_ROUNDING = 1e-9
"""What lies nearer together than this share of it is one value, meant over several steps."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A vertical axis from ``low`` to ``high``; logarithmic if ``is_log`` (then both > 0)."""

    low: float
    high: float
    is_log: bool = False

    def position(self, value: float) -> float:
        """Where a value lies: 0 at the low end, 1 at the high end."""
        low, high = self._scale(self.low), self._scale(self.high)
        return (self._scale(value) - low) / (high - low)

    def positions(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """`position` of each value."""
        low, high = self._scale(self.low), self._scale(self.high)
        if self.is_log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.where(values > 0, np.log10(values), -np.inf)
        positions: NDArray[np.float64] = (values - low) / (high - low)
        return positions

    def value(self, position: float) -> float:
        """The value at a position."""
        low, high = self._scale(self.low), self._scale(self.high)
        scaled = low + position * (high - low)
        return math.pow(10.0, scaled) if self.is_log else scaled

    def _scale(self, value: float) -> float:
        if not self.is_log:
            return value
        return math.log10(value) if value > 0 else -math.inf


def fit_axis(low: float, high: float, *, is_log: bool = False) -> Axis:
    """An axis that holds [low, high], its ends rounded outwards so that it rarely changes.

    It ends at 1e300 at the latest: beyond that a range has no length in floating point.
    """
    low, high = (min(max(end, -_LARGEST), _LARGEST) for end in (low, high))
    if is_log and high > 0:
        low = low if low > 0 else high / 1000
        bottom, top = _log_floor(low), _log_ceiling(high)
        return Axis(bottom, top if top > bottom else bottom * 10, is_log=True)
    if high - low <= max(abs(low), abs(high)) * _ROUNDING:
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin if low < 0 or low - margin >= 0 else 0.0, high + margin
    step = nice_ceiling((high - low) / 4) / 2
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def nice_ceiling(value: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is at least ``value`` (> 0)."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in _NICE_STEPS if step * power >= value * (1 - 1e-9))


def round_up_steps(step: int) -> int:
    """A right end for the step axis: grows by a quarter or more, so that columns stay put."""
    if step <= 10:
        return 10
    power = int(10 ** (len(str(step)) - 1))
    for multiple in (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10):
        if multiple * power >= step:
            return int(multiple * power)
    return 10 * power


def tick_labels(axis: Axis, num_rows: int) -> dict[int, str]:
    """Labels of round values by the row they lie in (0 is the top); no label twice."""
    if num_rows < 1:
        return {}
    most = 2 if num_rows < 5 else min(6, (num_rows + 1) // 2)
    labels: dict[int, str] = {}
    for value in tick_values(axis, most):
        label = format_value(value, 0 if axis.is_log else axis.high - axis.low)
        row = round((1 - axis.position(value)) * (num_rows - 1))
        if label not in labels.values():
            labels.setdefault(row, label)
    return labels


def format_steps(step: int) -> str:
    """``800``, ``12.5k``, ``30k``, ``1.2M``."""
    for size, unit in ((1_000_000, "M"), (1_000, "k")):
        if step >= size:
            return f"{step / size:.2f}".rstrip("0").rstrip(".") + unit
    return str(step)


def tick_values(axis: Axis, most: int) -> list[float]:
    """Round values within the axis, its ends among them where they are as round; at least two."""
    ends = [axis.low, axis.high]
    if axis.is_log:
        powers = range(math.ceil(math.log10(axis.low)), math.floor(math.log10(axis.high)) + 1)
        inner = [10.0**power for power in powers]
        return inner if 2 <= len(inner) <= most else ends
    step = nice_ceiling((axis.high - axis.low) / max(1, most - 1))
    first, last = math.ceil(axis.low / step - 1e-9), math.floor(axis.high / step + 1e-9)
    inner = [multiple * step for multiple in range(first, last + 1)]
    return inner if len(inner) >= 2 else ends


def format_value(value: float, span: float = 0.0) -> str:
    """A value in at most 7 cells; ``span`` is the range around it, which sets the digits."""
    size = abs(value)
    if span and size < span * 1e-6:
        return "0"
    if size and (size < 1e-3 or size >= 1e5):
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    digits = 3 - math.floor(math.log10(span or size)) - 1 if (span or size) else 0
    text = f"{value:.{min(4, max(0, digits))}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _log_floor(value: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return max(m * power for m in (1, 2, 5) if m * power <= value * (1 + 1e-9))


def _log_ceiling(value: float) -> float:
    power: float = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return min(m * power for m in (1, 2, 5, 10) if m * power >= value * (1 - 1e-9))
