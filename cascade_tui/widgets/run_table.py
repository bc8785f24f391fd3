"""Runs as a table: a line a run, with a cursor and marks; sends only the cells that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from cascade_tui.headless_view import format_duration
from cascade_tui.widgets.glyphs import fit, needs_ascii
from cascade_tui.widgets.rows import RowWidget
from cascade_tui.widgets.run_header import STATE_GLYPHS

_KINDS = {
    "running": "good",
    "finished": "good",
    "starting": "good",
    "paused": "warn",
    "stopped": "warn",
    "failed": "bad",
    "lost": "bad",
    "lost-at-reboot": "bad",
}
_WORDS = {"new": "never launched", "lost-at-reboot": "lost at reboot"}
_ASCII_GLYPHS = {"running": "*", "paused": "=", "finished": "+", "stopped": "#", "starting": "o"}
_LEAST_NAME = 12
# title, width, whether it stands at the right, the width of the table from which on it is shown
_COLUMNS = (
    ("state", 17, False, 0),
    ("step", 13, True, 0),
    ("loss", 8, True, 56),
    ("img/s", 6, True, 72),
    ("left / ended", 12, True, 64),
)


@dataclass(frozen=True, slots=True)
class RunRow:
    """What the table says of a run; ``cells`` are those of the columns after the name."""

    path: str
    name: str
    state: str
    cells: tuple[str, ...]

    @property
    def words(self) -> str:
        """All of it, for a filter."""
        return " ".join((self.path, self.name, *self.cells)).lower()


def make_row(facts: dict[str, Any], name: str, *, is_ascii: bool = False) -> RunRow:
    """The row of a run, of what `commands.status.report` says of it."""
    state = facts["state"]
    glyph = _ASCII_GLYPHS.get(state, "x") if is_ascii else STATE_GLYPHS[state]
    told = f"{glyph} {_WORDS.get(state, state)}"
    if state == "failed" and facts["exit_code"] is not None:
        told += f" ({facts['exit_code']})"
    total = f"/{facts['max_train_steps']}" if facts["max_train_steps"] else ""
    pace = facts["images_per_second"] if facts["alive"] else None
    cells = (
        told,
        f"{facts['step']}{total}",
        "" if facts["loss"] is None else f"{facts['loss']:.4g}",
        f"{pace:.3g}" if pace else "",
        _time(facts),
    )
    return RunRow(facts["run"], name, state, cells)


def _time(facts: dict[str, Any]) -> str:
    """What is left of a run that lives, else how long ago it was last heard of, to the minute."""
    if facts["alive"]:
        left = facts["seconds_left"]
        return "" if left is None else format_duration(left)
    age = facts["heartbeat_age_seconds"]
    if age is None:
        return ""
    if age < 60:
        return "just now"
    if age >= 86400:
        return f"{int(age // 86400)} d ago"
    return f"{int(age // 3600)} h ago" if age >= 3600 else f"{int(age // 60)} min ago"


class RunTable(RowWidget, can_focus=True):
    """A heading, then the runs; one is under the cursor, any may be marked."""

    BINDING_GROUP_TITLE = "Table of runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="runs.open"),
        Binding("space", "mark", "Mark", id="runs.mark"),
        Binding("down,j", "move(1)", "Down", show=False, id="runs.down"),
        Binding("up,k", "move(-1)", "Up", show=False, id="runs.up"),
        Binding("pagedown", "move(10)", "Ten down", show=False, id="runs.page_down"),
        Binding("pageup", "move(-10)", "Ten up", show=False, id="runs.page_up"),
        Binding("g,home", "move(-1000000)", "First", show=False, id="runs.first"),
        Binding("G,end", "move(1000000)", "Last", show=False, id="runs.last"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "runs--heading",
        "runs--name",
        "runs--good",
        "runs--warn",
        "runs--bad",
        "runs--fact",
        "runs--cursor",
        "runs--mark",
    }
    DEFAULT_CSS = """
    RunTable {
        height: 1fr;
        & .runs--heading { color: $text-muted; text-style: underline; }
        & .runs--name { color: $foreground; text-style: bold; }
        & .runs--good { color: $text-success; }
        & .runs--warn { color: $text-warning; }
        & .runs--bad { color: $text-error; text-style: bold; }
        & .runs--fact { color: $foreground; }
        & .runs--cursor { background: $primary 30%; }
        & .runs--mark { color: $text-accent; text-style: bold; }
    }
    """

    class Opened(Message):
        """The person wants to see a run."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class Marked(Message):
        """Other runs are marked than before."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.is_ascii = needs_ascii()
        self._runs: tuple[RunRow, ...] = ()
        self._marks: set[str] = set()
        self._cursor = self._top = 0

    @property
    def runs(self) -> tuple[RunRow, ...]:
        """What is shown, from the top."""
        return self._runs

    @property
    def chosen(self) -> RunRow | None:
        """The run under the cursor."""
        return self._runs[self._cursor] if self._cursor < len(self._runs) else None

    @property
    def marked(self) -> tuple[str, ...]:
        """The paths of the marked runs, in their order here."""
        return tuple(run.path for run in self._runs if run.path in self._marks)

    def show(self, runs: Sequence[RunRow]) -> None:
        """Show runs; the cursor stays on its run."""
        if tuple(runs) == self._runs:
            return
        before, self._runs = self.chosen, tuple(runs)
        paths = [run.path for run in runs]
        if before is not None and before.path in paths:
            self._cursor = paths.index(before.path)
        self._cursor = min(self._cursor, max(0, len(paths) - 1))
        self.redraw()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._cursor = max(0, min(self._cursor + by, len(self._runs) - 1))
        self.redraw()

    def action_mark(self) -> None:
        """Mark the run, or take its mark away; go to the next."""
        if self.chosen is not None:
            self._marks ^= {self.chosen.path}
            self.post_message(self.Marked())
            self.action_move(1)

    def action_open(self) -> None:
        """Open the run."""
        if self.chosen is not None:
            self.post_message(self.Opened(self.chosen.path))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there; a second click opens."""
        number = self._top + event.y - 1
        if not 0 <= number < len(self._runs):
            return
        if event.chain == 2:
            self.action_open()
        self._cursor = number
        self.redraw()

    # -- drawing -------------------------------------------------------------------------------

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """The heading and as many runs as there is room for, the cursor's among them."""
        room = max(1, height - 1)
        self._top = max(min(self._top, self._cursor), self._cursor - room + 1)
        self._top = max(0, min(self._top, len(self._runs) - room))
        columns = [column for column in _COLUMNS if width >= column[3]]
        taken = sum(column[1] + 1 for column in columns) + 3
        longest = max((len(run.name) for run in self._runs), default=0)
        names = max(_LEAST_NAME, min(longest, width - taken))
        shown = list(enumerate(self._runs))[self._top : self._top + room]
        heading = f"   {fit('run', names)}"
        for title, cells, is_right, _ in columns:
            heading += " " + (title.rjust(cells) if is_right else fit(title, cells))
        rows = [Strip([Segment(fit(heading, width), self._style("heading"))])]
        return rows + [self._row(number, run, names, width) for number, run in shown]

    def _row(self, number: int, run: RunRow, names: int, width: int) -> Strip:
        is_marked, is_here = run.path in self._marks, number == self._cursor
        signs = ("> " if self.is_ascii else "▸ ") if is_here else "  "
        mark = ("x" if self.is_ascii else "◆") if is_marked else " "
        name = run.name if len(run.name) <= names else "…" + run.name[len(run.name) - names + 1 :]
        parts = [
            (signs[0] + mark + " ", "mark"),
            (fit(name, names), "name"),
        ]
        for (_, cells, is_right, least), text in zip(_COLUMNS, run.cells, strict=True):
            if width >= least:
                cut = fit(text, cells)
                style = _KINDS.get(run.state, "fact") if not is_right else "fact"
                parts.append((" " + (cut.rstrip().rjust(cells) if is_right else cut), style))
        strip = Strip([Segment(text, self._style(style)) for text, style in parts])
        strip = strip.adjust_cell_length(width)
        if is_here:
            under = Style(bgcolor=self.get_component_rich_style("runs--cursor").bgcolor)
            return Strip([Segment(s.text, (s.style or Style()) + under) for s in strip])
        return strip

    def _style(self, name: str) -> Style:
        full = self.get_component_rich_style(f"runs--{name}")
        return Style(color=full.color, bold=full.bold, underline=full.underline)
