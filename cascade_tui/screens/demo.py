"""Starts the demo from the app: builds the tiny model, launches the run, and ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.worker import get_current_worker

from cascade_tui.commands.demo import Demo, DemoError, prepare
from cascade_tui.widgets.glyphs import GLYPHS, printable
from engine.run.launch import LaunchError, RunAliveError
from engine.run.paths import RunDirectory

_ABOUT = """\
Trains a tiny model on eight photographs that are shipped: some minutes on two cores, no GPU, \
no network. Model, config and run go to a folder of their own; a demo that was stopped goes on."""


class DemoScreen(ModalScreen[RunDirectory | None]):
    """Says what the demo does, and starts it on enter; ends with the run, or None."""

    BINDING_GROUP_TITLE = "Demo"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "start", "Start", id="demo.start"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="demo.help"),
        Binding("escape", "leave", "Back", id="demo.leave"),
    ]
    DEFAULT_CSS = """
    DemoScreen {
        align: center middle;
        & > Vertical {
            width: 72; max-width: 95%; height: auto; max-height: 95%;
            border: round $primary; background: $surface; padding: 1 2;
        }
        & Static { height: auto; width: 1fr; margin-bottom: 1; }
        & #news { margin-bottom: 0; }
    }
    """

    class Told(Message):
        """A part of the work has begun."""

        def __init__(self, line: str) -> None:
            super().__init__()
            self.line = line

    class Begun(Message):
        """The demo's run goes on."""

        def __init__(self, run: RunDirectory) -> None:
            super().__init__()
            self.run = run

    class Refused(Message):
        """The demo could not be started."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, output: Path) -> None:
        """Everything goes below ``output``."""
        super().__init__()
        self._output = output
        self._is_working = False

    def compose(self) -> ComposeResult:
        """What it is, where it goes, and how far it is."""
        panel = Vertical()
        panel.border_title = "The demo"
        panel.border_subtitle = "enter starts it, esc goes back"
        with panel:
            yield Static(_ABOUT, markup=False)
            yield Static(printable(f"folder  {self._output.absolute()}"), markup=False)
            yield Static("enter starts it", id="news", markup=False)

    def action_start(self) -> None:
        """Build what is missing, and launch."""
        if not self._is_working:
            self._is_working = True
            self.query_one(Vertical).border_subtitle = "esc goes back, and starts nothing"
            self._say("building the tiny model, the first time for a minute …")
            self._work()

    @work(thread=True, group="demo")
    def _work(self) -> None:
        worker = get_current_worker()
        try:
            demo = prepare(self._output.absolute(), self._tell)
            if not worker.is_cancelled:
                self._tell("checking and launching …")
                self.post_message(self.Begun(_launched(demo)))
        except (DemoError, LaunchError) as failure:
            self.post_message(self.Refused(str(failure)))

    def _tell(self, line: str) -> None:
        self.post_message(self.Told(line))

    @on(Told)
    def _told(self, event: Told) -> None:
        self._say(event.line)

    @on(Begun)
    def _begun(self, event: Begun) -> None:
        self.dismiss(event.run)

    @on(Refused)
    def _refused(self, event: Refused) -> None:
        self._is_working = False
        self.query_one(Vertical).border_subtitle = "enter tries again, esc goes back"
        self._say(f"{GLYPHS['error']} not started: {event.reason}")

    def _say(self, text: str) -> None:
        self.query_one("#news", Static).update(printable(text, keep_lines=True))

    def action_leave(self) -> None:
        """Back; what is not launched yet is not launched."""
        self.workers.cancel_group(self, "demo")
        self.dismiss(None)


def _launched(demo: Demo) -> RunDirectory:
    """Launch the demo's run, or find that it goes on from an earlier time.

    Raises:
        DemoError: its config, which may have been edited, has errors.
        LaunchError: it cannot be launched.
    """
    from cascade_tui.launching import prepare_and_launch
    from engine.config.loading import load_project

    project = load_project(demo.config, demo.overrides(num_steps=None))
    if project.errors:
        first = project.errors[0]
        raise DemoError(f"{demo.config}: {first.key}: {first.message}")
    try:
        return prepare_and_launch(project)
    except RunAliveError:
        return demo.run
