"""The charts of a run: which series each shows, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cascade_tui.follow.reader import BANDS
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.widgets.line_chart import SMOOTHING, LineChart, Overlay

_BAND_NAMES = ("clear", "fairly clear", "fairly noisy", "noisy")


@dataclass(frozen=True, slots=True)
class ChartKind:
    """What a chart shows: a series by name, its ``overlays`` as (letter, name, series)."""

    title: str
    series: str
    empty: str = "no step yet"
    has_band: bool = True
    smoothing: float = 0.0
    overlays: tuple[tuple[str, str, str], ...] = ()

    def make(self, name: str) -> LineChart:
        """An empty chart of this kind."""
        return LineChart(
            self.title, id=name, empty=self.empty, has_band=self.has_band, smoothing=self.smoothing
        )

    def show_in(
        self, chart: LineChart, snapshot: RunSnapshot, others: Sequence[Overlay] = ()
    ) -> None:
        """Show a run in a chart; ``others`` take the place of its own overlays."""
        own = [Overlay(letter, name, snapshot.series[key]) for letter, name, key in self.overlays]
        chart.show(snapshot.series[self.series], snapshot.max_steps, [*others] or own)


CHARTS = {
    "loss": ChartKind(
        "loss",
        "loss",
        smoothing=SMOOTHING[1],
        overlays=(("V", "validation", "validation_loss"),),
    ),
    "validation": ChartKind(
        "validation loss",
        "validation_loss",
        empty="none held out (validation_split)",
        has_band=False,
        overlays=tuple(
            (str(number), name, key)
            for number, (name, key) in enumerate(zip(_BAND_NAMES, BANDS, strict=True), start=1)
        ),
    ),
    "lr": ChartKind("learning rate", "lr", has_band=False),
    "grad_norm": ChartKind("gradient norm", "grad_norm"),
    "images_per_second": ChartKind("images per second", "images_per_second"),
    "loader_wait": ChartKind("loader wait, seconds per step", "loader_wait_seconds"),
}
"""Every chart of a run, by name."""
