"""The home screen: every run below a folder, with its state told truthfully."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static

from cascade_tui.commands.status import report
from cascade_tui.run_copy import CannotCopyError, copy_config
from cascade_tui.widgets.glyphs import shown_path
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.run_table import RunTable, make_row
from cascade_tui.widgets.shown_keys import shown_key
from engine.run.paths import RunDirectory, find_runs

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_PERIOD_SECONDS = 5.0
_DEPTH = 4
_MOST_COMPARED = 4
_LOOKING = "looking…"
_OF_RUNS = frozenset(["resume", "compare", "copy", "filter", "clear"])
"""What can be done only where there are runs."""
_WITHOUT_RUNS = frozenset(["demo", "preset"])
"""What the footer offers besides where there is none."""


class RunsScreen(Screen[None]):
    """A line a run; looked at again every few seconds, in a thread."""

    BINDING_GROUP_TITLE = "Runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume"),
        Binding("c", "compare", "Compare", tooltip="compare the marked runs", id="runs.compare"),
        Binding("n", "copy_config", "New", tooltip="a new config made of it", id="runs.clone"),
        Binding("y", "copy", "Copy path", show=False, id="runs.copy"),
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter"),
        Binding("o", "begin", "Begin", tooltip="open a path, or begin anew", id="runs.begin"),
        Binding("d", "demo", "Demo", show=False, tooltip="train the demo", id="runs.demo"),
        Binding(
            "p",
            "preset",
            "Preset",
            show=False,
            tooltip="a new config from a preset",
            id="runs.preset",
        ),
        Binding("escape", "clear", "All runs", show=False, id="runs.clear"),
    ]
    DEFAULT_CSS = """
    RunsScreen {
        & Static { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & #head { background: $surface; }
        & #empty { display: none; height: 1fr; padding: 1 2; }
        & Input { display: none; height: 1; border: none; padding: 0 1; }
        &.-empty #empty { display: block; }
        &.-empty RunTable { display: none; }
    }
    """

    class Looked(Message):
        """The runs as they are now."""

        def __init__(self, reports: list[dict[str, Any]]) -> None:
            super().__init__()
            self.reports = reports

    class Refused(Message):
        """Something could not be done with a run."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self._reports: list[dict[str, Any]] | None = None
        self._news = _LOOKING
        self._is_empty = False

    def compose(self) -> ComposeResult:
        """Where, how many, the runs, the words to filter by."""
        mode = "read only, " if self._owner.is_readonly else ""
        yield Static(
            f"{mode}runs below {shown_path(self.root.absolute())}", id="head", markup=False
        )
        yield Static(_LOOKING, id="news", markup=False)
        yield RunTable()
        yield Static(_how_to_begin(), id="empty", markup=False)
        words = Input(compact=True, placeholder="only runs whose path or state holds")
        words.cursor_blink = False
        yield words
        yield KeyFooter()

    def on_mount(self) -> None:
        """Look now, and every few seconds."""
        self.query_one(RunTable).focus()
        self._look()
        self.set_interval(_PERIOD_SECONDS, self._look)

    def on_screen_resume(self) -> None:
        """Look at once: what another screen covered is old."""
        self._look()

    def _look(self) -> None:
        if self.is_current:
            self.run_worker(self._read, thread=True, group="look", exclusive=True)

    def _read(self) -> None:
        runs = find_runs(self.root, max_depth=_DEPTH)
        now = time.time()  # one for all: what is as old keeps its place
        self.post_message(self.Looked([report(run, now=now) for run in runs]))

    def on_runs_screen_looked(self, message: Looked) -> None:
        """Show them, those that run first, then those that were heard of last."""
        self._reports = sorted(message.reports, key=_rank)
        self._show()

    @property
    def active_bindings(self) -> dict[str, ActiveBinding]:
        """As textual's; without runs the footer shows more ways to begin."""
        found = super().active_bindings
        if not self._is_empty:
            return found
        return {
            key: active._replace(binding=replace(active.binding, show=True))
            if active.binding.action in _WITHOUT_RUNS
            else active
            for key, active in found.items()
        }

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Where there are no runs, nothing is offered that needs one."""
        return not (self._is_empty and action in _OF_RUNS)

    def _set_empty(self, is_empty: bool) -> None:
        """Offer what can be done with runs, or without any."""
        if is_empty == self._is_empty:
            return
        self._is_empty = is_empty
        self.set_class(is_empty, "-empty")
        self.refresh_bindings()
        if not is_empty:
            self.call_after_refresh(self.query_one(RunTable).focus)

    def _show(self) -> None:
        tables = self.query(RunTable)
        if self._reports is None or not tables:
            return
        table = tables.first()
        words = self.query_one(Input).value.lower()
        rows = [
            make_row(facts, _name(facts, self.root), is_ascii=table.is_ascii)
            for facts in self._reports
        ]
        shown = [row for row in rows if words in row.words]
        self._set_empty(not rows)
        table.show(shown)
        alive = sum(bool(facts["alive"]) for facts in self._reports)
        news = [f"{len(shown)} of {len(rows)}" if words else count_of(len(rows)), f"{alive} alive"]
        if table.marked:
            news.append(f"{len(table.marked)} marked ({shown_key('runs.compare', 'c')} compares)")
        told = ", ".join(news) if rows else ""
        if told != self._news:
            self._news = told
            self.query_one("#news", Static).update(told)

    @property
    def chosen(self) -> str | None:
        """The path of the run under the cursor."""
        row = self.query_one(RunTable).chosen
        return None if row is None else row.path

    @property
    def _owner(self) -> CascadeApp:
        return cast("CascadeApp", self.app)

    @on(RunTable.Opened)
    def _open(self, event: RunTable.Opened) -> None:
        self._owner.open_run(RunDirectory(Path(event.path)))

    @on(RunTable.Marked)
    def _marked(self) -> None:
        self._show()

    def action_copy(self) -> None:
        """Copy the path of the run, through the terminal (OSC 52)."""
        if self.chosen is not None:
            path = str(Path(self.chosen).absolute())
            self.app.copy_to_clipboard(path)
            self.notify(f"sent to the clipboard: {path}", markup=False)

    def action_begin(self) -> None:
        """Open a path, or begin from an example."""
        self._owner.show_welcome()

    def action_demo(self) -> None:
        """Train the demo, and watch it."""
        self._owner.begin_demo()

    def action_preset(self) -> None:
        """Begin a config from a preset; nothing is written before it is saved."""
        from cascade_tui.draft import Draft
        from cascade_tui.shipped_files import example_configs, free_path
        from engine.config.documents import Document

        form = self._owner.form
        if form is not None and form.draft.is_changed:
            self.notify("the open config has edits that are not saved: save or undo them first")
            return
        path = free_path(Path("my-run.toml"))
        draft = Draft(Document(path, "", "toml"))
        draft.replace_text(path, example_configs()[0].read_text(encoding="utf-8"))
        self._owner.open_draft(draft)
        form = self._owner.form
        assert form is not None
        form.call_later(form.action_presets)

    def _guide(self) -> None:
        from cascade_tui.screens.guide import GuideScreen

        self.app.push_screen(GuideScreen(self._owner.environment), self._guided)

    def _guided(self, path: Path | None) -> None:
        if path is not None:
            self._owner.open_config(path)

    def action_compare(self) -> None:
        """Compare the marked runs; one marked run with that under the cursor."""
        from cascade_tui.screens.compare_runs import CompareRunsScreen

        table = self.query_one(RunTable)
        paths = list(table.marked)
        if len(paths) == 1 and self.chosen not in (None, paths[0]):
            paths.append(str(self.chosen))
        if len(paths) < 2:
            mark = shown_key("runs.mark", "space")
            self.notify(f"mark two runs or more with {mark}, then compare them")
        elif len(paths) > _MOST_COMPARED:
            self.notify(f"at most {_MOST_COMPARED} runs fit beside each other")
        else:
            runs = [RunDirectory(Path(path)) for path in paths]
            by_path = {row.path: row.name for row in table.runs}
            names = [by_path[path] for path in paths]
            self.app.push_screen(CompareRunsScreen(runs, names))

    def action_copy_config(self) -> None:
        """Copy the run's config to a new file with an output_dir of its own, and edit it.

        Without any run the guide makes a config.
        """
        if self._reports == []:
            self._guide()
            return
        if self.chosen is None or self._owner.refuses_writing():
            return
        try:
            path = copy_config(RunDirectory(Path(self.chosen)), Path())
        except CannotCopyError as failure:
            self.notify(str(failure), severity="warning", markup=False)
            return
        self._owner.open_config(path)
        self.notify(f"wrote {path}, with an output_dir of its own", markup=False)

    def action_resume(self) -> None:
        """Go on after a pause, or launch again from the last checkpoint."""
        path = self.chosen
        if path is not None and not self._owner.refuses_writing():
            self.notify(f"to go on: {path}", markup=False)
            self.run_worker(lambda: self._resume(Path(path)), thread=True, group="resume")

    def _resume(self, path: Path) -> None:
        from cascade_tui.steering import CannotResumeError, resume

        try:
            resume(RunDirectory(path))
        except CannotResumeError as failure:
            self.post_message(self.Refused(str(failure)))

    def on_runs_screen_refused(self, message: Refused) -> None:
        """Say why."""
        self.notify(message.reason, severity="warning", markup=False)

    def action_filter(self) -> None:
        """Type what runs must hold."""
        words = self.query_one(Input)
        words.display = True
        words.focus()

    @on(Input.Changed)
    def _typed(self) -> None:
        self._show()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.query_one(RunTable).focus()

    def action_clear(self) -> None:
        """All runs again."""
        words = self.query_one(Input)
        words.value = ""
        words.display = False
        self.query_one(RunTable).focus()


def _rank(facts: dict[str, Any]) -> tuple[bool, float]:
    age = facts["heartbeat_age_seconds"]
    if facts["alive"]:
        return False, 0.0  # their heartbeats would make them change places
    return True, math.inf if age is None else age


def _name(facts: dict[str, Any], root: Path) -> str:
    path = Path(facts["run"])
    return str(path.relative_to(root)) if path != root else path.absolute().name


def count_of(number: int) -> str:
    """``1 run``, ``3 runs``."""
    return f"{number} run{'' if number == 1 else 's'}"


def _how_to_begin() -> str:
    """What stands where the runs would."""
    keys = {
        shown_key("runs.demo", "d"): "train the demo: a tiny model, in minutes, on any machine",
        shown_key("runs.clone", "n"): "a config for your own pictures, from four answers",
        shown_key("runs.preset", "p"): "a config from a preset",
        shown_key("runs.begin", "o"): "an example to begin from, or a path to open",
        shown_key("app.palette", "ctrl+p"): "everything that can be done here",
    }
    width = max(map(len, keys))
    lines = "\n".join(f"  {key:<{width}}  {what}" for key, what in keys.items())
    elsewhere = "Runs elsewhere:  cascade-tui --runs FOLDER"
    return f"No run below this folder yet. To begin:\n\n{lines}\n\n{elsewhere}\n"
