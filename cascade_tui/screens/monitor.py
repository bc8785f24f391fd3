"""A run as it goes: charts, GPU, caches, pictures, console; and its steering wheel."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Static

from cascade_tui.follow.follower import RunFollower
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.gpu import GpuReport, GpuSource, GpuWatch
from cascade_tui.notifying import NotifyBy
from cascade_tui.screens.monitor_keys import MONITOR_KEYS, MORE_KEYS, STEERING, STEERING_IDS
from cascade_tui.steering import CannotResumeError, NothingRunsError, resume, steer
from cascade_tui.widgets.alert_strip import AlertStrip
from cascade_tui.widgets.cache_panel import CachePanel
from cascade_tui.widgets.chart_kinds import CHARTS
from cascade_tui.widgets.chart_window import ChartWindow
from cascade_tui.widgets.console_tail import ConsoleView
from cascade_tui.widgets.gpu_panel import GpuPanel
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.line_chart import SMOOTHING, LineChart
from cascade_tui.widgets.phase_bar import PhaseBar
from cascade_tui.widgets.run_header import RunHeader
from cascade_tui.widgets.run_outcome import command_text, notice_text, outcome_text, resuming_text
from cascade_tui.widgets.thumbnails import Thumbnails
from engine.run.control import CommandName
from engine.run.paths import RunDirectory

if TYPE_CHECKING:  # read when they are asked for: the first picture need not wait
    from cascade_tui.screens.chart import ChartScreen
    from cascade_tui.screens.gpus import GpuScreen
    from engine.config.frozen import FrozenConfig
    from engine.config.live import LiveChange

_OVER = ("finished", "failed", "stopped", "lost", "lost-at-reboot")
_STOP_QUESTION = (
    "Stop the run after this step? It saves a checkpoint first; r resumes from it later."
)
_ABORT_QUESTION = (
    "Abort the run? It has 15 seconds to save and end. Then it is killed, and what came after the "
    "last checkpoint is lost."
)


class MonitorScreen(Screen[None]):
    """Follows one run directory. Closing it does nothing to the run."""

    BINDING_GROUP_TITLE = "Monitor"
    BINDINGS = MONITOR_KEYS
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (Textual declares it so)
        (0, "-phone"),
        (64, "-narrow"),
        (100, "-medium"),
        (160, "-wide"),
        (190, "-widest"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (18, "-low"), (30, "-high")]  # noqa: RUF012
    DEFAULT_CSS = """
    MonitorScreen {
        & #top { height: 5fr; }
        & #loss { width: 1fr; }
        & #side { width: 46; }
        & GpuPanel { height: auto; min-height: 3; max-height: 80%; }
        & CachePanel { height: 1fr; min-height: 3; }
        & #middle { height: 3fr; }
        & #middle LineChart { width: 1fr; }
        & #bottom { height: 4fr; }
        & Thumbnails { width: 1fr; }
        & ConsoleView { display: none; width: 1fr; }
        & #outcome, & #command, & #notice { display: none; }
        & #outcome { height: auto; max-height: 8; padding: 0 1; }
        & #news { height: 1; padding: 0 1; }
        & #command { width: auto; max-width: 50%; height: 1; margin-right: 2; color: $text-accent;
                     text-wrap: nowrap; text-overflow: ellipsis; }
        & #notice { width: 1fr; height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & #news.-no-notice AlertStrip { width: 1fr; max-width: 100%; margin-right: 0; }

        &.-low #middle, &.-low PhaseBar, &.-flat #middle, &.-flat PhaseBar { display: none; }
        &.-phone #middle, &.-phone PhaseBar { display: none; }
        &.-narrow #side { width: 34; }
        &.-wide #side, &.-widest #side { width: 60; }
        & #validation, & #images_per_second, & #loader_wait { display: none; }
        &.-wide #validation, &.-wide #images_per_second { display: block; }
        &.-widest #middle LineChart { display: block; }
        &.-wide ConsoleView, &.-widest ConsoleView { display: block; }

        &.-phone #top { layout: vertical; height: 3fr; }
        &.-phone #loss { height: 1fr; min-height: 5; }
        &.-phone #side { width: 1fr; height: auto; max-height: 60%; }
        &.-phone #bottom { height: 2fr; }
        &.-phone CachePanel { height: auto; min-height: 0; }
        &.-phone.-no-gpu GpuPanel, &.-phone.-cached CachePanel { display: none; }
        &.-flat.-phone #side, &.-flat.-phone #bottom, &.-flat.-phone Thumbnails { display: none; }
        &.-flat #outcome { max-height: 5; }

        &.-over #outcome { color: $text-success; }
        &.-stopped #outcome { color: $text-warning; }
        &.-broken #outcome { color: $text-error; }
        &.-broken ConsoleView { display: block; }
        &.-broken.-narrow Thumbnails, &.-broken.-phone Thumbnails { display: none; }

        &.-console #top, &.-console #middle, &.-console Thumbnails { display: none; }
        &.-console ConsoleView { display: block; }
    }
    """

    class Changed(Message):
        """The run directory has something new."""

        def __init__(self, snapshot: RunSnapshot) -> None:
            super().__init__()
            self.snapshot = snapshot

        def can_replace(self, message: Message) -> bool:
            """Only the newest counts."""
            return isinstance(message, MonitorScreen.Changed)

    class GpusChanged(Message):
        """NVML told something new."""

        def __init__(self, report: GpuReport) -> None:
            super().__init__()
            self.report = report

    class Refused(Message):
        """A command could not be sent."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    class SettingsRead(Message):
        """What may be changed in the run, as it is now."""

        def __init__(self, current: FrozenConfig) -> None:
            super().__init__()
            self.current = current

    def __init__(
        self,
        run: RunDirectory,
        *,
        read_gpus: Callable[[], GpuReport] | None = None,
        clock: Callable[[], float] = time.monotonic,
        notify_by: NotifyBy = "off",
    ) -> None:
        """``read_gpus`` stands in for NVML; ``clock`` paces the time left.

        ``notify_by`` says how the terminal calls somebody when there is a new alert, or the end.
        """
        super().__init__()
        self.run = run
        self.snapshot: RunSnapshot | None = None
        self._clock = clock
        self._window = ChartWindow()
        self._chart: ChartScreen | None = None
        self._all_gpus: GpuScreen | None = None
        self._notify_by = notify_by
        self._follower = RunFollower(run, lambda s: self._post(self.Changed(s)))
        self._gpus = GpuWatch(
            lambda report: self._post(self.GpusChanged(report)), read_gpus or GpuSource().read
        )

    def compose(self) -> ComposeResult:
        """Three rows of panels between the header and the news."""
        yield RunHeader(self.run.root.name, clock=self._clock)
        yield PhaseBar()
        yield Static(id="outcome", markup=False)
        with Horizontal(id="top"):
            yield CHARTS["loss"].make("loss")
            with Vertical(id="side"):
                yield GpuPanel()
                yield CachePanel()
        with Horizontal(id="middle"):
            for name in ("validation", "lr", "grad_norm", "images_per_second", "loader_wait"):
                yield CHARTS[name].make(name)
        with Horizontal(id="bottom"):
            yield Thumbnails()
            yield ConsoleView()
        with Horizontal(id="news"):
            yield Static(id="command", markup=False)
            yield AlertStrip(self._notify_by)
            yield Static(id="notice", markup=False)
        yield KeyFooter(*MORE_KEYS)

    def on_mount(self) -> None:
        """Begin to follow."""
        self._follower.start()
        self._gpus.start()

    def on_unmount(self) -> None:
        """End the threads."""
        self._follower.stop()
        self._gpus.stop()

    def _post(self, message: Message) -> None:
        """From another thread: hand over; a screen that closes takes no more."""
        self.post_message(message)  # not only if is_running: that turns true after on_mount

    # -- what is shown -----------------------------------------------------------------------

    def on_monitor_screen_changed(self, message: Changed) -> None:
        """Show a snapshot: each part repaints only what differs."""
        before, snapshot = self.snapshot, message.snapshot
        if before is not None and before.version == snapshot.version:
            return
        self.snapshot = snapshot
        state = snapshot.state.name
        with self.app.batch_update():
            self._set_classes(snapshot)
            # Loops over none or one: a message may arrive while the screen is taken apart.
            for header in self.query(RunHeader):
                header.show(snapshot)
            for phases in self.query(PhaseBar):
                phases.show(snapshot)
            for chart in self.query(LineChart):
                CHARTS[str(chart.id)].show_in(chart, snapshot)
            if self._chart is not None:
                self._chart.show(snapshot)
            for gpus in self.query(GpuPanel):
                gpus.show_trainer(pid=snapshot.state.pid, peak_bytes=snapshot.peak_memory_bytes)
            for caches in self.query(CachePanel):
                caches.show(snapshot.caches)
            for thumbnails in self.query(Thumbnails):
                thumbnails.show(snapshot)
            for console in self.query(ConsoleView):
                console.show(snapshot.console)
            self._show_words(before, snapshot)
        if before is None or before.state.name != state:
            self.refresh_bindings()
        for strip in self.query(AlertStrip):
            strip.see(snapshot)

    def _set_classes(self, snapshot: RunSnapshot) -> None:
        """What the state changes in the look, all at once: each change styles every widget."""
        state, caches = snapshot.state.name, snapshot.caches.values()
        looks = {
            "-cached": not snapshot.phase.startswith("caching") or not caches,
            "-over": state in _OVER,
            "-stopped": state == "stopped",
            "-broken": state in ("failed", "lost", "lost-at-reboot"),
        }
        classes = (self.classes - looks.keys()) | {name for name, is_on in looks.items() if is_on}
        if classes != self.classes:
            self.set_classes(classes)

    def _show_words(self, before: RunSnapshot | None, snapshot: RunSnapshot) -> None:
        """The outcome, the last commands and the last problem, where they changed."""
        texts: dict[str, Callable[[RunSnapshot, RunDirectory], Text | Content]] = {
            "#outcome": outcome_text,
            "#command": command_text,
            "#notice": notice_text,
        }
        for selector, describe in texts.items():
            text = describe(snapshot, self.run)
            if before is None or text != describe(before, self.run):
                for words in self.query(selector).results(Static):
                    words.update(text)
                    words.display = bool(text)
        for news in self.query("#news"):
            news.set_class(not notice_text(snapshot, self.run), "-no-notice")

    def on_monitor_screen_gpus_changed(self, message: GpusChanged) -> None:
        """Show the GPUs."""
        self.set_class(not message.report.gpus, "-no-gpu")
        for gpus in self.query(GpuPanel):
            gpus.show(message.report)
            if self._all_gpus is not None:
                self._all_gpus.show(gpus.lines)
        for strip in self.query(AlertStrip):
            strip.see_gpus(message.report)

    # -- steering ----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Only what the run can do now is offered; until that is known, what most can."""
        if action not in (*STEERING, "resume"):
            return True
        if self.snapshot is None:
            return action != "resume"
        state = self.snapshot.state
        if action == "resume":
            return state.name == "paused" or (not state.is_alive and state.name != "finished")
        return state.is_alive

    @property
    def hidden_keys(self) -> frozenset[str]:
        """What the footer leaves out: what is not allowed, and one of two keys that do the same."""
        if getattr(self.app, "is_readonly", False):  # our own app has it
            return STEERING_IDS
        is_paused = self.snapshot is not None and self.snapshot.state.name == "paused"
        return frozenset({"monitor.pause"}) if is_paused else frozenset()

    def on_key(self, event: events.Key) -> None:
        """Say why a key does nothing that steers other runs."""
        for binding in self._bindings.key_to_bindings.get(event.key, ()):
            action = binding.action.partition("(")[0]
            if action in STEERING and not self.check_action(action, ()):
                self.action_steer("stop")  # which says why not

    def action_resume(self) -> None:
        """Go on after a pause, or launch again from the last checkpoint."""
        if self.snapshot is not None:
            self.notify(resuming_text(self.snapshot))
        self.run_worker(self._resume, thread=True, group="resume", exclusive=True)

    def _resume(self) -> None:
        """In a thread: the frozen config is read."""
        try:
            resume(self.run)
        except CannotResumeError as failure:
            self._post(self.Refused(str(failure)))

    def action_steer(self, command: CommandName, **arguments: object) -> None:
        """Leave a command for the run, or say why not."""
        self.run_worker(lambda: self._steer(command, **arguments), thread=True)

    def _steer(self, command: CommandName, **arguments: object) -> None:
        """In a thread: a supervisor may have to be started first."""
        try:
            steer(self.run, command, **arguments)
        except NothingRunsError as error:
            self._post(self.Refused(str(error)))
        except OSError as error:
            self._post(self.Refused(f"cannot write to {self.run.root}: {error.strerror}"))

    def on_monitor_screen_refused(self, message: Refused) -> None:
        """Say why a command was not sent."""
        self.notify(message.reason, severity="warning", markup=False)

    def action_change(self) -> None:
        """Change intervals or prompts while the run goes on."""
        if self.snapshot is None or not self.snapshot.state.is_alive:
            self.action_steer("change")  # which says why not
            return
        self.run_worker(self._read_settings, thread=True)

    def _read_settings(self) -> None:
        """In a thread: what counts in the run now, from its directory."""
        from engine.config.frozen import FrozenConfigError
        from engine.config.live import load_current

        try:
            current, _ = load_current(self.run.root)
        except FrozenConfigError as error:
            self._post(self.Refused(str(error)))
        else:
            self._post(self.SettingsRead(current))

    def on_monitor_screen_settings_read(self, message: SettingsRead) -> None:
        """Show the form with what counts now."""
        from cascade_tui.screens.change import ChangeForm

        def answered(change: LiveChange | None) -> None:
            if change is not None:
                self.action_steer("change", **change.arguments())

        if self.is_current:
            self.app.push_screen(ChangeForm(message.current), answered)

    def action_pause(self) -> None:
        """Pause, or go on if it is paused."""
        is_paused = self.snapshot is not None and self.snapshot.state.name == "paused"
        self.action_steer("resume" if is_paused else "pause")

    def action_stop(self) -> None:
        """Stop, once confirmed."""
        self._ask(_STOP_QUESTION, "stop it", "stop")

    def action_abort(self) -> None:
        """Abort, once confirmed."""
        self._ask(_ABORT_QUESTION, "abort it", "abort")

    def _ask(self, question: str, yes: str, command: CommandName) -> None:
        if self.snapshot is None or not self.snapshot.state.is_alive:
            self.action_steer(command)  # which says why not
            return

        from cascade_tui.screens.confirm import Confirm

        def answered(answer: bool | None) -> None:
            if answer:
                self.action_steer(command)

        self.app.push_screen(Confirm(question, yes), answered)

    # -- looking -----------------------------------------------------------------------------

    def action_toggle_console(self) -> None:
        """The console large, or small again."""
        self.toggle_class("-console")

    def action_small_console(self) -> None:
        """Back from the large console."""
        self.remove_class("-console")

    def action_scroll(self, count: int) -> None:
        """Scroll the console back by ``count`` lines."""
        self.query_one(ConsoleView).scroll_lines(count)

    def action_chart(self) -> None:
        """One chart on the whole screen."""
        from cascade_tui.screens.chart import ChartScreen

        self._chart = ChartScreen(self.run, self.snapshot, self._window, self._look_at)
        self.app.push_screen(self._chart)

    def action_whole(self) -> None:
        """Every chart from the first step to the last, and no crosshair."""
        self._look_at(ChartWindow())

    def _look_at(self, window: ChartWindow) -> None:
        """All charts show the same steps, and point at the same one."""
        self._window = window
        with self.app.batch_update():
            for chart in self.query(LineChart):
                chart.change(window=window)

    @on(LineChart.Pointed)
    def _pointed(self, message: LineChart.Pointed) -> None:
        window = self._window.pointed(message.step)
        if message.zoom:
            window = self._window.zoomed(message.zoom, message.chart.end, message.step)
        self._look_at(window)

    def action_toggle_log_axis(self) -> None:
        """Logarithmic loss and gradient norm, or linear again."""
        is_log = not self.query_one("#loss", LineChart).is_log
        for name in ("#loss", "#grad_norm"):
            self.query_one(name, LineChart).change(is_log=is_log)

    def action_smooth(self, direction: int) -> None:
        """The loss line smoother (1) or rougher (-1)."""
        chart = self.query_one("#loss", LineChart)
        position = SMOOTHING.index(chart.smoothing) + direction
        chart.change(smoothing=SMOOTHING[min(len(SMOOTHING) - 1, max(0, position))])

    def action_scrub(self, direction: int) -> None:
        """Go to earlier or later pictures."""
        self.query_one(Thumbnails).scrub(direction)

    def action_alerts(self) -> None:
        """All alerts, and what to do about each."""
        self.query_one(AlertStrip).open()

    def action_gpus(self) -> None:
        """All GPUs in full, with the processes on them."""
        from cascade_tui.screens.gpus import GpuScreen

        self._all_gpus = GpuScreen(self.query_one(GpuPanel).lines)
        self.app.push_screen(self._all_gpus)

    def action_picture(self) -> None:
        """The pictures of the step that is shown, as large as can be."""
        step = self.query_one(Thumbnails).step
        if self.snapshot is None or step is None:
            self.notify("no validation pictures yet", severity="warning")
            return
        from cascade_tui.screens.picture import PictureScreen

        self.app.push_screen(PictureScreen(self.snapshot, step))
