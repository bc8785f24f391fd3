"""Every run below a folder, with its state told truthfully."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Footer, Input, OptionList, Static
from textual.widgets.option_list import Option

from cascade_tui.commands.status import report
from cascade_tui.headless_view import format_duration
from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.run_header import STATE_GLYPHS
from engine.run.launch import LaunchError
from engine.run.paths import RunDirectory, find_runs

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_PERIOD_SECONDS = 5.0
_DEPTH = 4
_EMPTY = "no run below this folder yet: o opens a config, an example or a path"


class RunsScreen(Screen[None]):
    """A line a run; looked at again every few seconds, in a thread."""

    BINDING_GROUP_TITLE = "Runs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume", id="runs.resume"),
        Binding("y", "copy", "Copy path", id="runs.copy"),
        Binding("slash", "filter", "Filter", key_display="/", id="runs.filter"),
        Binding("o", "begin", "Open or begin", id="runs.begin"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="runs.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="runs.up"),
        Binding("escape", "clear", "All runs", show=False, id="runs.clear"),
    ]
    DEFAULT_CSS = """
    RunsScreen {
        & Static { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & #head { background: $surface; }
        & OptionList { height: 1fr; }
        & Input { display: none; height: 1; border: none; padding: 0 1; }
    }
    """

    class Looked(Message):
        """The runs as they are now."""

        def __init__(self, reports: list[dict[str, Any]]) -> None:
            super().__init__()
            self.reports = reports

    class Refused(Message):
        """A run could not be resumed."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self._reports: list[dict[str, Any]] | None = None
        self._shown: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        """Where, how many, the runs, the words to filter by."""
        yield Static(f"runs below {self.root.absolute()}", id="head", markup=False)
        yield Static(id="news", markup=False)
        yield OptionList(markup=False)
        words = Input(compact=True, placeholder="only runs whose path or state holds")
        words.cursor_blink = False
        yield words
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Look now, and every few seconds."""
        self.query_one(OptionList).focus()
        self.query_one("#news", Static).update("looking…")
        self._look()
        self.set_interval(_PERIOD_SECONDS, self._look)

    def _look(self) -> None:
        if self.is_current:
            self.run_worker(self._read, thread=True, group="look", exclusive=True)

    def _read(self) -> None:
        runs = find_runs(self.root, max_depth=_DEPTH)
        self.post_message(self.Looked([report(run) for run in runs]))

    def on_runs_screen_looked(self, message: Looked) -> None:
        """Show them, those that run first."""
        self._reports = sorted(message.reports, key=lambda facts: not facts["alive"])
        self._show()

    def on_resize(self) -> None:
        """More or less fits."""
        self._show()

    def _show(self) -> None:
        lists = self.query(OptionList)
        if self._reports is None or not lists:
            return
        words = self.query_one(Input).value.lower()
        room = max(20, self.size.width - 4)
        longest = max((len(_name(f, self.root)) for f in self._reports), default=0)
        names = max(12, min(longest, room // 3))
        shown = [(f["run"], run_line(f, self.root, room, names)) for f in self._reports]
        shown = [(path, line) for path, line in shown if words in f"{path} {line}".lower()]
        if not self._reports:
            news = _EMPTY
        else:
            alive = sum(bool(facts["alive"]) for facts in self._reports)
            news = f"{len(shown)} of {len(self._reports)} · {alive} alive · enter opens"
        self.query_one("#news", Static).update(news)
        if shown == self._shown:
            return
        runs, chosen = lists.first(), self.chosen
        self._shown = shown
        runs.clear_options()
        runs.add_options([Option(Text(line, no_wrap=True)) for _, line in shown])
        paths = [path for path, _ in shown]
        runs.highlighted = paths.index(chosen) if chosen in paths else (0 if paths else None)

    @property
    def chosen(self) -> str | None:
        """The path of the run under the cursor."""
        number = self.query_one(OptionList).highlighted
        return None if number is None or number >= len(self._shown) else self._shown[number][0]

    @on(OptionList.OptionSelected)
    def _open(self, event: OptionList.OptionSelected) -> None:
        path = self._shown[event.option_index][0]
        cast("CascadeApp", self.app).open_run(RunDirectory(Path(path)))

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_copy(self) -> None:
        """Copy the path of the run, through the terminal (OSC 52)."""
        if self.chosen is not None:
            path = str(Path(self.chosen).absolute())
            self.app.copy_to_clipboard(path)
            self.notify(f"sent to the clipboard: {path}", markup=False)

    def action_begin(self) -> None:
        """Open a path, or begin from an example."""
        cast("CascadeApp", self.app).show_welcome()

    def action_resume(self) -> None:
        """Launch a run again; it goes on from its last checkpoint."""
        path = self.chosen
        if path is not None:
            self.run_worker(lambda: self._resume(Path(path)), thread=True, group="resume")

    def _resume(self, path: Path) -> None:
        from cascade_tui.launching import continue_run
        from engine.run.status import derive_state

        run = RunDirectory(path)
        if derive_state(run).name == "finished":
            self.post_message(self.Refused(f"{path} is finished: there is nothing to resume"))
            return
        try:
            continue_run(run)
        except LaunchError as failure:
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
        self.query_one(OptionList).focus()

    def action_clear(self) -> None:
        """All runs again."""
        words = self.query_one(Input)
        words.value = ""
        words.display = False
        self.query_one(OptionList).focus()


def _name(facts: dict[str, Any], root: Path) -> str:
    path = Path(facts["run"])
    return str(path.relative_to(root)) if path != root else path.absolute().name


def run_line(facts: dict[str, Any], root: Path, width: int, name_width: int) -> str:
    """Name, state, step, loss, pace and time left in one line of ``width`` cells."""
    state = f"{STATE_GLYPHS[facts['state']]} {facts['state']}"
    if facts["exit_code"]:
        state += f" ({facts['exit_code']})"
    total = f"/{facts['max_train_steps']}" if facts["max_train_steps"] else ""
    loss = "" if facts["loss"] is None else f"loss {facts['loss']:.4g}"
    words = [f"{facts['step']}{total}", loss]
    if facts["alive"] and facts["images_per_second"]:
        words.append(f"{facts['images_per_second']:.3g} img/s")
    if facts["alive"] and facts["seconds_left"] is not None:
        words.append(f"{format_duration(facts['seconds_left'])} left")
    elif facts["heartbeat_age_seconds"] is not None and not facts["alive"]:
        words.append(f"{format_duration(facts['heartbeat_age_seconds'])} ago")
    told = "  ".join(word for word in words if word)
    return fit(f"{fit(_name(facts, root), name_width)} {fit(state, 16)} {told}", width)
