"""One chart on the whole screen: zoom, pan, a crosshair, other runs laid over it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen

from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.plots.data import UnreadableRunError, read_run
from cascade_tui.screens.other_runs import OtherRuns
from cascade_tui.widgets.chart_kinds import CHARTS
from cascade_tui.widgets.chart_window import ChartWindow
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.line_chart import SMOOTHING, LineChart, Overlay
from engine.run.paths import RunDirectory

_MAX_OTHERS = 3


class ChartScreen(Screen[None]):
    """Shows one of :data:`CHARTS`; `show` brings it up to date.

    ``look`` is called with each other window, so that the Monitor's charts show the same steps.
    """

    BINDING_GROUP_TITLE = "Chart"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f", "app.pop_screen", "Back", key_display="esc", id="chart.back"),
        Binding("right_square_bracket,tab", "next(1)", "Next", key_display="]", id="chart.next"),
        Binding("left_square_bracket,shift+tab", "next(-1)", "Before", show=False, id="chart.prev"),
        Binding("plus,equals_sign", "zoom(1)", "Closer", key_display="+", id="chart.closer"),
        Binding("minus", "zoom(-1)", "Further", key_display="-", id="chart.further"),
        Binding("left,h", "point(-1)", "Point left", show=False, id="chart.left"),
        Binding("right,l", "point(1)", "Point right", show=False, id="chart.right"),
        Binding("shift+left,H", "pan(-1)", "Earlier", show=False, id="chart.earlier"),
        Binding("shift+right,L", "pan(1)", "Later", show=False, id="chart.later"),
        Binding("0,home", "whole", "All", key_display="0", id="chart.whole"),
        Binding("y", "toggle_log_axis", "Log axis", id="chart.log_axis"),
        Binding("s", "smooth", "Smoothing", show=False, id="chart.smooth"),
        Binding("o", "others", "Runs…", id="chart.others"),
        Binding("x", "point_nowhere", "No crosshair", show=False, id="chart.no_crosshair"),
    ]

    class Read(Message):
        """Other runs were read."""

        def __init__(self, snapshots: Sequence[RunSnapshot]) -> None:
            super().__init__()
            self.snapshots = snapshots

    def __init__(
        self,
        run: RunDirectory,
        snapshot: RunSnapshot | None,
        window: ChartWindow,
        look: Callable[[ChartWindow], None],
    ) -> None:
        super().__init__()
        self.run = run
        self._snapshot = snapshot
        self._window = window
        self._look = look
        self._shown = "loss"
        self._others: list[RunSnapshot] = []

    @property
    def chart(self) -> LineChart:
        """The chart."""
        return self.query_one(LineChart)

    def compose(self) -> ComposeResult:
        """The chart and the keys."""
        yield CHARTS[self._shown].make("chart")
        yield KeyFooter("chart.left", "chart.right", "chart.smooth", "chart.no_crosshair")

    def on_mount(self) -> None:
        """Show what is known."""
        self._change(self._window)
        if self._snapshot is not None:
            self.show(self._snapshot)

    def show(self, snapshot: RunSnapshot) -> None:
        """Show the run as it is now."""
        self._snapshot = snapshot
        kind = CHARTS[self._shown]
        others = [
            Overlay("abc"[number], other.name, other.series[kind.series])
            for number, other in enumerate(self._others)
        ]
        for chart in self.query(LineChart):
            kind.show_in(chart, snapshot, others)

    # -- which, and how it is drawn -------------------------------------------------------------

    def action_next(self, by: int) -> None:
        """The next chart, or the one before."""
        names = list(CHARTS)
        self._shown = names[(names.index(self._shown) + by) % len(names)]
        kind, chart = CHARTS[self._shown], self.chart
        chart.name_again(kind.title, empty=kind.empty, has_band=kind.has_band)
        chart.change(smoothing=kind.smoothing, is_log=False)
        if self._snapshot is not None:
            self.show(self._snapshot)

    def action_toggle_log_axis(self) -> None:
        """A logarithmic axis, or a linear one again."""
        self.chart.change(is_log=not self.chart.is_log)

    def action_smooth(self) -> None:
        """The next smoothing of the line; after the strongest none."""
        position = SMOOTHING.index(self.chart.smoothing) + 1
        self.chart.change(smoothing=SMOOTHING[position % len(SMOOTHING)])

    # -- the window ----------------------------------------------------------------------------

    def _change(self, window: ChartWindow) -> None:
        self._window = window
        self.chart.change(window=window)
        self._look(window)

    def action_zoom(self, direction: int) -> None:
        """Closer (1) or further (-1) around the crosshair, or at the end."""
        self._change(self._window.zoomed(direction, self.chart.end))

    def action_pan(self, direction: int) -> None:
        """Earlier (-1) or later (1) steps."""
        self._change(self._window.panned(direction, self.chart.end))

    def action_whole(self) -> None:
        """From the first step to the last."""
        self._change(ChartWindow(crosshair=self._window.crosshair))

    def action_point(self, by: int) -> None:
        """Move the crosshair by a cell; it begins at the newest step."""
        chart = self.chart
        first, last = self._window.bounds(chart.end)
        newest = 0 if self._snapshot is None else self._snapshot.step
        cell = max(1, round((last - first) / max(1, chart.num_columns)))
        before = self._window.crosshair
        step = min(last, newest) if before is None else before + by * cell
        step = max(0, min(step, newest))
        self._change(self._window.pointed(step).showing(step, chart.end))

    def action_point_nowhere(self) -> None:
        """Take the crosshair away."""
        self._change(self._window.pointed(None))

    @on(LineChart.Pointed)
    def _pointed(self, message: LineChart.Pointed) -> None:
        window = self._window.pointed(message.step)
        if message.zoom:
            window = self._window.zoomed(message.zoom, message.chart.end, message.step)
        self._change(window)

    # -- other runs ----------------------------------------------------------------------------

    def action_others(self) -> None:
        """Choose other runs to lay over this one; none takes them away."""
        self.app.push_screen(OtherRuns(self.run, _MAX_OTHERS), self._chosen)

    def _chosen(self, runs: Sequence[RunDirectory] | None) -> None:
        if runs is not None:
            self.run_worker(lambda: self._read(runs), thread=True, group="others", exclusive=True)

    def _read(self, runs: Sequence[RunDirectory]) -> None:
        """In a thread: the other runs as they are at this moment."""
        try:
            self.post_message(self.Read([read_run(run) for run in runs]))
        except UnreadableRunError as failure:
            self.app.call_from_thread(self.notify, str(failure), severity="warning", markup=False)

    @on(Read)
    def _others_read(self, message: Read) -> None:
        self._others = list(message.snapshots)
        if self._snapshot is not None:
            self.show(self._snapshot)
