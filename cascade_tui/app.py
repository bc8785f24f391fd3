"""The app: which screen is shown, what the keys do everywhere, and how it ends."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from cascade_tui.pictures import TRUE_COLOUR_TERMS, Setting

# Read when textual is imported: nothing moves by itself, and frames no faster than hands are.
os.environ.setdefault("TEXTUAL_FPS", "30")
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
if os.environ.get("TERM") in TRUE_COLOUR_TERMS:
    os.environ.setdefault("TEXTUAL_COLOR_SYSTEM", "truecolor")

from textual.actions import ActionParseResult, parse
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.filter import LineFilter, Monochrome
from textual.screen import Screen
from textual.widgets import Input

from cascade_tui.keymap import in_words, is_unbound
from cascade_tui.leaving import SIGNALS, SignalEnd
from cascade_tui.notifying import NotifyBy
from cascade_tui.opening import collect_garbage
from cascade_tui.palette import RecentCommands, key_commands, remember_opened
from cascade_tui.picture_app import PictureApp
from cascade_tui.screens.help import HelpScreen
from cascade_tui.terminal_limits import line_filters
from cascade_tui.widgets.glyphs import ASCII_KEYS, needs_ascii
from cascade_tui.widgets.shown_keys import shown_key
from cascade_tui.wire import WireMeter, is_over_ssh, metered
from engine.run.paths import RunDirectory

if TYPE_CHECKING:  # who watches a run need not wait for the form's imports
    from cascade_tui.draft import Draft
    from cascade_tui.screens.configure import ConfigureScreen
    from cascade_tui.screens.parse_error import ParseErrorScreen
    from engine.config.environment import Environment

_WRITING = frozenset(
    [
        "save",
        "launch",
        "steer",
        "pause",
        "stop",
        "abort",
        "change",
        "resume",
        "copy_config",
        "open_editor",
        "write",
    ]
)
"""Actions of any screen that change a run or a file."""
_STARTED_SECONDS = 1.0


class CascadeApp(PictureApp, inherit_bindings=False):
    """Configure a run, launch it, watch it. Leaving it never stops a run."""

    TITLE = "cascade-tui"
    CSS_PATH = "app.tcss"
    COMMANDS = App.COMMANDS | {RecentCommands}
    BINDING_GROUP_TITLE = "Everywhere"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "show_runs", "Runs", show=False, id="app.runs"),
        Binding("2", "show_configure", "Configure", show=False, id="app.configure"),
        Binding("3", "show_monitor", "Monitor", show=False, id="app.monitor"),
        Binding("4", "show_gallery", "Gallery", show=False, id="app.gallery"),
        Binding("5", "show_log", "Log", show=False, id="app.log"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help"),
        Binding("ctrl+p", "command_palette", "Everything", show=False, id="app.palette"),
        Binding("tab", "app.focus_next", "Next part", show=False, id="app.focus_next"),
        Binding("shift+tab", "app.focus_previous", "Part before", show=False, id="app.focus_back"),
        Binding("T", "next_theme", "Other colours", show=False, id="app.theme"),
        Binding("q,ctrl+c", "quit", "Quit", key_display="q", id="app.quit"),
    ]

    def __init__(
        self,
        config: Path | None = None,
        run_directory: Path | None = None,
        overrides: Sequence[str] = (),
        *,
        environment: Environment | None = None,
        notify_by: NotifyBy = "off",
        runs_root: Path | None = None,
        is_readonly: bool = False,
        theme: str | None = None,
        keymap: Mapping[str, str] | None = None,
        pictures: Setting = "half",
    ) -> None:
        """`environment` is what rules see of the machine; left out, it is looked at.

        `notify_by` is how the terminal calls somebody to a run that is watched. Runs are shown
        below `runs_root`, by default the working directory. `is_readonly` leaves every run and
        every file as it is. `theme` is one of `THEMES`; left out, the one chosen last counts.
        `keymap` is what `keymap.chosen_keys` gives. `pictures` is how they are drawn.
        """
        no_colour = os.environ.get("NO_COLOR")
        super().__init__()
        if no_colour is not None:
            os.environ["NO_COLOR"] = no_colour  # textual takes it away; children need it too
        self._first_config = config
        self._overrides = tuple(overrides)
        self._environment = environment
        self._notify_by = notify_by
        self._runs_root = runs_root or Path()
        self.is_readonly = is_readonly
        self.use_theme(theme)
        self.set_keymap(keymap or {})
        self.use_pictures(pictures)
        self.run_directory = RunDirectory(run_directory) if run_directory else None
        self.configure: ConfigureScreen | ParseErrorScreen | None = None
        self.monitor: Screen[Any] | None = None
        self._runs: Screen[Any] | None = None
        self._beside: dict[str, tuple[RunDirectory, Screen[Any]]] = {}
        self._fits_terminal = False
        self.wire: WireMeter | None = None
        self._signal_end: SignalEnd | None = None
        self._fitting: dict[bool, list[LineFilter]] = {}

    def run_in_terminal(self) -> int:
        """Run in this process's terminal, drawn with what it can show; returns the exit code."""
        self._fits_terminal = True
        if is_over_ssh(os.environ):
            self.wire = WireMeter()
            self.driver_class = metered(self.driver_class, self.wire)
        self._signal_end = SignalEnd()
        self.run()
        self._signal_end.done()
        return self.return_code or 0

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's, then what the terminal cannot show; greys are colours too."""
        filters = super().get_line_filters()
        if not self._fits_terminal:
            return filters
        is_dark = self.current_theme.dark
        if is_dark not in self._fitting:
            self._fitting[is_dark] = line_filters(self.console, is_dark=is_dark)
        return [item for item in filters if not isinstance(item, Monochrome)] + self._fitting[
            is_dark
        ]

    def on_mount(self) -> None:
        """Show what was named on the command line, and end cleanly on signals."""
        loop = asyncio.get_running_loop()
        if self._signal_end is not None:
            self._signal_end.watch(loop, lambda code: self.exit(return_code=code))
        else:
            for number in SIGNALS:
                loop.add_signal_handler(number, partial(self.exit, return_code=128 + number))
        self.set_timer(_STARTED_SECONDS, collect_garbage)
        if self.is_readonly:
            self.notify("read only: no run and no file is changed")
        if self._first_config is not None:
            self.open_config(self._first_config, self._overrides)
        elif self.run_directory is not None:
            self.open_run(self.run_directory)
        else:
            self.action_show_runs()

    def get_key_display(self, binding: Binding) -> str:
        """The sign of a key, or its name; an action without a key has a dash."""
        if is_unbound(binding.key):
            return in_words(binding.key)
        shown = super().get_key_display(binding)
        is_spelled = self._fits_terminal and needs_ascii()
        return ASCII_KEYS.get(shown, shown) if is_spelled else shown

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Do what a key or the palette asks for, unless it writes and nothing may be written."""
        name = parse(action)[1] if isinstance(action, str) else action[1]
        if name in _WRITING and self.refuses_writing():
            return True
        return await super().run_action(action, default_namespace, namespaces)

    def refuses_writing(self) -> bool:
        """Whether nothing may be changed (`--readonly`); says so if that is the case."""
        if self.is_readonly:
            self.notify("read only: this would change a run or a file (--readonly)")
        return self.is_readonly

    @property
    def form(self) -> ConfigureScreen | None:
        """The form; None if no config is open, or the open one cannot be read."""
        if self.configure is None:
            return None
        from cascade_tui.screens.configure import ConfigureScreen

        return self.configure if isinstance(self.configure, ConfigureScreen) else None

    @property
    def environment(self) -> Environment | None:
        """What rules see of the machine; None if it is to be looked at."""
        return self._environment

    # -- screens -------------------------------------------------------------------------------

    def open_path(self, path: Path) -> str:
        """Open a config or a run directory; returns why not, or nothing."""
        try:
            path.stat()
        except (OSError, ValueError) as failure:
            return f"✖ {path} cannot be opened: {getattr(failure, 'strerror', None) or failure}"
        if path.is_dir():
            run = RunDirectory(path)
            if not run.exists():
                return f"✖ {path} is not a run directory"
            self.open_run(run)
        else:
            self.open_config(path)
        return ""

    def open_config(self, path: Path, overrides: Sequence[str] | None = None) -> None:
        """Edit a config; edits of another one that are not saved are asked about first."""
        read = partial(self._read_config, path, overrides)
        if self.form is None or self.form.draft.document.path.absolute() == path.absolute():
            read()
        else:
            self._when_edits_are_settled(read)

    def _read_config(self, path: Path, overrides: Sequence[str] | None) -> None:
        """Show the form; a config that cannot be read is shown where it breaks."""
        if overrides is None:
            overrides = self._overrides if path == self._first_config else ()
        from cascade_tui.draft import Draft
        from cascade_tui.screens.parse_error import ParseErrorScreen
        from engine.config.documents import DocumentError

        try:
            self.open_draft(Draft.open(path, overrides))
        except DocumentError as failure:
            screen = ParseErrorScreen(path, failure.problem, overrides)
            old, self.configure = self.configure, screen
            self._show(screen, old, "configure")

    def open_draft(self, draft: Draft) -> None:
        """Edit a config whose text is at hand, saved or not."""
        from cascade_tui.screens.configure import ConfigureScreen

        remember_opened(self, draft.document.path)
        screen = ConfigureScreen(draft, environment=self._environment)
        old, self.configure = self.configure, screen
        self._show(screen, old, "configure")

    def open_run(self, run: RunDirectory) -> None:
        """Watch a run."""
        from cascade_tui.screens.monitor import MonitorScreen

        remember_opened(self, run.root)
        self.run_directory = run
        old, self.monitor = self.monitor, MonitorScreen(run, notify_by=self._notify_by)
        self._show(self.monitor, old, "monitor")

    def _show(self, screen: Screen[Any], old: Screen[Any] | None, name: str) -> None:
        """Show a new base screen under its name, in the place of the old one of that name."""
        if old is not None and self.screen is old:
            self._go(screen)
            self.uninstall_screen(old)
            self.install_screen(screen, name)
            return
        if old is not None:
            self.uninstall_screen(old)
            if old.is_running:  # it lies under another screen: its threads end with it
                old.remove()
        self.install_screen(screen, name)
        self._go(screen)

    def _go(self, screen: Screen[Any]) -> None:
        """Show a base screen: above textual's own empty one, in the place of any other."""
        if len(self.screen_stack) == 1:
            self.push_screen(screen)
        else:
            self.switch_screen(screen)

    def action_show_configure(self) -> None:
        """Show the form."""
        if self.configure is None:
            self.notify("no config is open: cascade-tui CONFIG opens one")
        elif self.screen is not self.configure:
            self._go(self.configure)

    def action_show_monitor(self) -> None:
        """Show the run."""
        if self.monitor is not None:
            if self.screen is not self.monitor:
                self._go(self.monitor)
            return
        run = self._run_of_config()
        if run is None:
            self._say_there_is_no_run()
        else:
            self.open_run(run)

    def _say_there_is_no_run(self) -> None:
        launch = shown_key("configure.launch", "L")
        self.notify(f"there is no run yet: {launch} launches the config")

    def action_show_runs(self) -> None:
        """Show every run below the folder of runs."""
        from cascade_tui.screens.runs import RunsScreen

        if self._runs is None:
            self._runs = RunsScreen(self._runs_root)
            self.install_screen(self._runs, "runs")
        if self.screen is not self._runs:
            self._go(self._runs)

    def show_welcome(self) -> None:
        """Open a path, or begin from an example."""
        from cascade_tui.screens.welcome import WelcomeScreen

        self._go(WelcomeScreen())

    def begin_demo(self) -> None:
        """Ask, train the demo below the folder of runs, and watch it."""
        from cascade_tui.commands.demo import DEFAULT_OUTPUT
        from cascade_tui.screens.demo import DemoScreen

        def begun(run: RunDirectory | None) -> None:
            if run is not None:
                self.open_run(run)

        if not self.refuses_writing():
            self.push_screen(DemoScreen(self._runs_root / DEFAULT_OUTPUT), begun)

    def action_show_gallery(self) -> None:
        """Show the validation pictures."""
        from cascade_tui.screens.gallery import GalleryScreen

        self._show_beside("gallery", GalleryScreen)

    def action_show_log(self) -> None:
        """Show what the trainer wrote."""
        from cascade_tui.screens.log import LogScreen

        self._show_beside("log", LogScreen)

    def _show_beside(self, name: str, make: Callable[[RunDirectory], Screen[Any]]) -> None:
        """Show another screen of the run that is watched; a new one for another run."""
        run = self.run_directory or self._run_of_config()
        if run is None:
            self._say_there_is_no_run()
            return
        self.run_directory = run
        known, old = self._beside.get(name, (None, None))
        if old is not None and known == run:
            if self.screen is not old:
                self._go(old)
            return
        screen = make(run)
        self._beside[name] = (run, screen)
        self._show(screen, old, name)

    def _run_of_config(self) -> RunDirectory | None:
        """The run in the open config's output_dir, if it was launched before."""
        from cascade_tui.launching import run_directory_of

        form = self.form
        if form is None or form.checked is None:
            return None
        run = run_directory_of(form.draft.project(form.checked))
        try:
            return run if run.exists() else None
        except OSError:
            return None  # checking tells it as a problem of output_dir

    def action_help(self) -> None:
        """Say what the keys do."""
        self.push_screen(HelpScreen(self.screen))

    def edit_outside(self, path: Path, line: int | None = None) -> None:
        """Open a file in $VISUAL or $EDITOR, and read it again afterwards."""
        from cascade_tui.outside import edit

        if not self.refuses_writing() and edit(self, path, line):
            self.open_config(path)

    # -- palette and end -----------------------------------------------------------------------

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything that a key does now, for ctrl+p."""
        yield from key_commands(self, screen)
        yield SystemCommand("Theme", "other colours", self.action_change_theme)

    def action_command_palette(self) -> None:
        """Everything by its name; nothing blinks there either."""
        super().action_command_palette()
        self.call_after_refresh(self._stop_blinking)

    def _stop_blinking(self) -> None:
        for words in self.screen.query(Input):
            words.cursor_blink = False

    async def action_quit(self) -> None:
        """Leave; edits that are not saved are asked about. A run goes on."""
        self._when_edits_are_settled(lambda: self.exit(0))

    def _when_edits_are_settled(self, act: Callable[[], None]) -> None:
        """Do what takes the form away, once its edits are saved or given up."""
        form = self.form
        if form is None or not form.draft.is_changed:
            act()
            return
        from cascade_tui.screens.unsaved import ask_about_edits

        ask_about_edits(form, act)
