"""Runs beside each other: their curves in one chart, their results, and the options that differ."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from cascade_tui.follow.metrics import Series
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.plots.data import UnreadableRunError, read_run
from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.line_chart import SMOOTHING, LineChart, Overlay
from engine.config.comparison import ABSENT, differences, values_of
from engine.config.frozen import FrozenConfigError, load_frozen
from engine.config.reading import shown
from engine.run.paths import RunDirectory

_EMPTY = "none of them has a loss yet"
_NAMES_FIT = 100
"""Columns from which on an option's name gets more room."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One run: its letter in the chart, what it wrote, its options; ``trouble`` is why not."""

    letter: str
    name: str
    snapshot: RunSnapshot | None = None
    smoothed: Series = field(default_factory=Series)
    """The loss; smoothing a long run takes time."""
    values: Mapping[str, Any] = field(default_factory=dict)
    trouble: str = ""


class CompareRunsScreen(Screen[None]):
    """Two to four runs; read once, in a thread, and again on demand."""

    BINDING_GROUP_TITLE = "Compare runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c", "back", "Back", key_display="esc", id="compare_runs.back"),
        Binding("y", "log_axis", "Log axis", id="compare_runs.log_axis"),
        Binding("r", "read", "Read again", id="compare_runs.read"),
        Binding("j", "scroll(1)", "Down", show=False, id="compare_runs.down"),
        Binding("k", "scroll(-1)", "Up", show=False, id="compare_runs.up"),
    ]
    DEFAULT_CSS = """
    CompareRunsScreen {
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & LineChart { height: 45%; }
        & VerticalScroll { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
        & #table { height: auto; }
    }
    """

    class Read(Message):
        """The runs were read."""

        def __init__(self, runs: Sequence[Compared]) -> None:
            super().__init__()
            self.runs = tuple(runs)

    def __init__(self, runs: Sequence[RunDirectory], names: Sequence[str]) -> None:
        """``runs`` and what to call them, at least two."""
        super().__init__()
        self._runs = tuple(zip(string.ascii_uppercase, runs, names, strict=False))
        self.compared: tuple[Compared, ...] = ()

    def compose(self) -> ComposeResult:
        """The chart above the table."""
        names = "   ".join(f"{letter} {name}" for letter, _, name in self._runs)
        yield Static(names, id="title", markup=False)
        yield LineChart("loss", empty="reading…", has_band=False)
        with VerticalScroll():
            yield Static(id="table", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read them."""
        self.query_one(VerticalScroll).focus()
        self.action_read()

    def action_read(self) -> None:
        """Read the runs, again perhaps."""
        self.run_worker(self._read, thread=True, exclusive=True)

    def _read(self) -> None:
        self.post_message(self.Read([_read_one(*run) for run in self._runs]))

    def on_compare_runs_screen_read(self, message: Read) -> None:
        """Show them."""
        self.compared = message.runs
        for chart in self.query(LineChart):
            # A run without a loss yet leaves the place of the first curve to one that has one.
            first, *others = sorted(self.compared, key=lambda run: not len(run.smoothed))
            chart.name_again(f"loss, {first.letter} {first.name}", empty=_EMPTY, has_band=False)
            overlays = [Overlay(run.letter, run.name, run.smoothed) for run in others]
            chart.show(first.smoothed, 0, overlays)
        self._show()

    def on_resize(self) -> None:
        """Other columns fit."""
        self._show()

    def _show(self) -> None:
        for table in self.query("#table").results(Static):
            if self.compared:
                table.update(describe(self.compared, max(40, self.size.width - 4)))

    def action_log_axis(self) -> None:
        """Logarithmic, or linear again."""
        chart = self.query_one(LineChart)
        chart.change(is_log=not chart.is_log)

    def action_scroll(self, by: int) -> None:
        """Scroll the table."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def action_back(self) -> None:
        """Back to the runs."""
        self.app.pop_screen()


def _read_one(letter: str, run: RunDirectory, name: str) -> Compared:
    try:
        snapshot = read_run(run)
    except UnreadableRunError as failure:
        return Compared(letter, name, trouble=str(failure))
    read = Compared(letter, name, snapshot, snapshot.series["loss"].smoothed(SMOOTHING[3]))
    try:
        frozen = load_frozen(run.root)
    except FrozenConfigError as failure:
        return replace(read, trouble=str(failure))
    return replace(read, values=values_of(frozen.config, frozen.backends, frozen.prompts))


def describe(runs: Sequence[Compared], width: int) -> Text:
    """Results, then each option that is not the same in all runs, in ``width`` cells."""
    names = 30 if width >= _NAMES_FIT else 22
    cells = max(8, (width - names) // len(runs) - 2)
    text = Text(no_wrap=True)

    def line(name: str, values: Sequence[str], style: str = "") -> None:
        told = "".join(f"  {fit(value, cells)}" for value in values)
        text.append(f"{fit(name, names)}{told}".rstrip() + "\n", style)

    line("", [f"{run.letter} {run.name}" for run in runs], "bold")
    for run in runs:
        if run.trouble:
            text.append(f"{run.letter}: {run.trouble}\n")
    line("state", [run.snapshot.state.name if run.snapshot else "" for run in runs])
    line("step", [str(run.snapshot.step) if run.snapshot else "" for run in runs])
    line("last loss (smoothed)", [_last(run.smoothed) for run in runs])
    line("lowest loss (smoothed)", [_lowest(run.smoothed) for run in runs])
    line("validation loss", [_last_of(run, "validation_loss") for run in runs])
    told = [run for run in runs if run.values]
    keys = dict.fromkeys(
        item.key for run in told[1:] for item in differences(told[0].values, run.values)
    )
    title = f"{len(keys) or 'no'} option{'s differ' if len(keys) > 1 else ' differs'}"
    title = title if len(told) > 1 else "their options cannot be compared"
    text.append(f"\n{title}\n", "bold")
    for key in keys:
        line(key, [_shown(run.values.get(key, ABSENT)) if run.values else "?" for run in runs])
    return text


def _last(series: Series) -> str:
    value = series.last
    return f"{value:.4g}" if math.isfinite(value) else ""


def _last_of(run: Compared, metric: str) -> str:
    return "" if run.snapshot is None else _last(run.snapshot.series[metric])


def _lowest(series: Series) -> str:
    finite = [value for value in series.values().tolist() if math.isfinite(value)]
    return f"{min(finite):.4g}" if finite else ""


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "(absent)"
    return "(empty)" if value is None else shown(value)
