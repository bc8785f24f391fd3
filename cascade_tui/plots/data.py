"""A run read once, to its present end, and the curves drawn of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cascade_tui.follow.metrics import Series
from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.widgets.chart_axis import Axis, format_value
from cascade_tui.widgets.chart_plot import Curve, fit_curves
from engine.run.paths import RunDirectory

METRICS = {
    "loss": "loss",
    "lr": "learning rate",
    "grad_norm": "gradient norm",
    "images_per_second": "images per second",
    "validation": "validation loss",
}
"""What can be drawn, and how it is called in a title."""


class UnreadableRunError(ValueError):
    """A run's events cannot be read; says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One run's values of one metric; `smoothed` is what the line shows."""

    name: str
    series: Series
    smoothed: Series

    @property
    def facts(self) -> str:
        """`last 0.0812, lowest 0.0433`: of the values as they are."""
        values = self.series.values()
        finite = values[abs(values) < math.inf]
        last = format_value(float(values[-1])) if len(values) else ""
        if not len(finite):
            return f"last {last}"
        return f"last {last}, lowest {format_value(float(finite.min()))}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """Curves on common axes; `end` is the last step shown."""

    lines: tuple[Line, ...]
    curves: tuple[Curve, ...]
    axis: Axis
    end: int


def read_run(run: RunDirectory) -> RunSnapshot:
    """Everything that the run has written so far.

    Raises UnreadableRunError if its events cannot be read.
    """
    reader = RunReader(run)
    reader.restore()
    reader.poll()
    while reader.has_more and not reader.snapshot.trouble:
        reader.poll()
    if reader.snapshot.trouble:
        raise UnreadableRunError(reader.snapshot.trouble)
    return reader.snapshot


def line_of(snapshot: RunSnapshot, metric: str, name: str, smoothing: float = 0.0) -> Line:
    """A run's values of a metric of `METRICS`; steps without a value are left out of the line."""
    series = snapshot.series["validation_loss" if metric == "validation" else metric]
    return Line(name, series, series.smoothed(smoothing) if smoothing else series)


def draw(
    lines: Sequence[Line], num_columns: int, *, is_log: bool = False, has_band: bool = True
) -> Drawing | None:
    """Summarise lines into columns over the steps from 0; None if no value is finite.

    A single line has the band between its extremes, several have none: they would hide each other.
    """
    has_band = has_band and len(lines) == 1
    shown = [line for line in lines if len(line.series)]
    if not shown:
        return None
    end = max(1, *(line.series.last_step for line in shown))
    curves = []
    for line in shown:
        mean = line.smoothed.columns(0, end, num_columns).mean
        curves.append(Curve(line.series.columns(0, end, num_columns), mean, has_band))
    axis = fit_curves(curves, is_log=is_log)
    return None if axis is None else Drawing(tuple(shown), tuple(curves), axis, end)
