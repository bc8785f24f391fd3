"""A screen around a draft: checks it in a thread, saves it, reads it again, launches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, cast

from textual import on, work
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer

from cascade_tui.draft import Draft, Snapshot
from cascade_tui.forecasting import forecast_run
from cascade_tui.screens.confirm import Confirm, ConfirmFetch
from cascade_tui.screens.refused import Chosen, LaunchRefused
from cascade_tui.screens.unsaved import Answer, ChangedUnderneath
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.environment import Environment, probe_environment
from engine.config.forecast import Forecast
from engine.config.hub import is_offline
from engine.config.loading import Checked
from engine.config.problems import Problem
from engine.run.paths import RunDirectory

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

CHECK_DELAY_SECONDS = 0.12


class DraftScreen(Screen[None]):
    """Everything about a draft but its looks; the form gives it those."""

    class CheckDone(Message):
        """A thread has checked the draft as it was at ``snapshot``."""

        def __init__(self, checked: Checked, snapshot: Snapshot, forecast: Forecast) -> None:
            super().__init__()
            self.checked, self.snapshot, self.forecast = checked, snapshot, forecast

    class CheckFailed(Message):
        """The draft as it was at ``snapshot`` could not be checked."""

        def __init__(self, reason: str, snapshot: Snapshot) -> None:
            super().__init__()
            self.reason, self.snapshot = reason, snapshot

    class Launched(Message):
        """A run was started."""

        def __init__(self, run: RunDirectory, notes: Sequence[str]) -> None:
            super().__init__()
            self.run, self.notes = run, tuple(notes)

    class NotLaunched(Message):
        """A run could not be started."""

        def __init__(self, reason: str) -> None:
            super().__init__()
            self.reason = reason

    def __init__(self, draft: Draft, *, environment: Environment | None = None) -> None:
        super().__init__()
        self.draft = draft
        self.environment = environment
        self.checked: Checked | None = None
        self.forecast: Forecast | None = None
        self.check_failure = ""
        self._checked_snapshot: Snapshot | None = None
        self._check_timer: Timer | None = None
        self._is_launch_wanted = False
        self._is_launching = False
        self._is_led = True  # to the first error, once it is known

    def show_draft(self) -> None:
        """Show the draft and its problems as they are now."""

    def go_to_problem(self, key: str | None) -> None:
        """Show the field with this key; None is no field."""

    def go_to_error(self) -> None:
        """Show the first field in error, unless the person works elsewhere."""

    @property
    def _owner(self) -> CascadeApp:
        return cast("CascadeApp", self.app)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of the latest check; none before the first."""
        return self.checked.problems if self.checked else ()

    @property
    def is_checked(self) -> bool:
        """Whether the latest check saw the draft as it stands."""
        return self._checked_snapshot == self.draft.snapshot()

    # -- checking ------------------------------------------------------------------------------

    def check_soon(self) -> None:
        if self._check_timer is not None:
            self._check_timer.stop()
        self._check_timer = self.set_timer(CHECK_DELAY_SECONDS, self.start_check)

    def start_check(self) -> None:
        self._check(self.draft.copy(), self.draft.snapshot())

    @work(thread=True, exclusive=True, group="check")
    def _check(self, draft: Draft, snapshot: Snapshot) -> None:
        environment = self.environment or probe_environment()
        try:
            checked = draft.check(environment)
            forecast = forecast_run(checked.config, checked.backends, environment)
        except OSError as failure:  # of a path that the config names
            where = f"{failure.filename}: " if failure.filename else ""
            self.post_message(self.CheckFailed(f"{where}{failure.strerror or failure}", snapshot))
        else:
            self.post_message(self.CheckDone(checked, snapshot, forecast))

    @on(CheckFailed)
    def _check_failed(self, event: CheckFailed) -> None:
        if event.snapshot != self.draft.snapshot():
            self.check_soon()
            return
        self._checked_snapshot, self.check_failure = event.snapshot, event.reason
        self.show_draft()
        if self._is_launch_wanted:
            self._is_launch_wanted = False
            self.post_message(self.NotLaunched(f"the config cannot be checked: {event.reason}"))

    @on(CheckDone)
    def _check_done(self, event: CheckDone) -> None:
        if event.snapshot != self.draft.snapshot():
            self.check_soon()
            return
        self.checked, self._checked_snapshot = event.checked, event.snapshot
        self.forecast = event.forecast
        self.check_failure = ""
        self.show_draft()
        if self._is_led:
            self._is_led = False
            self.go_to_error()
        if self._is_launch_wanted:
            self._is_launch_wanted = False
            self._launch_checked(event.checked)

    # -- files ---------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Write the files with edits; ask first if someone else changed one meanwhile."""
        paths = self.draft.changed_on_disk()
        if paths:
            self.app.push_screen(ChangedUnderneath(paths, self.draft), self._conflict_answered)
        else:
            self.save()

    def _conflict_answered(self, answer: Answer | None) -> None:
        if answer == "overwrite":
            self.save()
        elif answer == "reload":
            self._reload()

    def save(self) -> bool:
        """Write the files with edits; False, with a notice, if one cannot be written."""
        if self._owner.refuses_writing():
            return False
        try:
            paths = self.draft.save()
        except OSError as failure:
            reason = f"not saved: {failure.filename or ''} {failure.strerror or failure}"
            self.notify(printable(reason), severity="error", markup=False)
            return False
        names = ", ".join(str(path) for path in paths)
        self.notify(f"saved {printable(names)}" if paths else "nothing to save", markup=False)
        self.show_draft()
        return True

    def action_reload(self) -> None:
        """Read the files again; ask first if edits would be lost."""
        if self.draft.is_changed:
            question = "Read the files again? Your edits that are not saved are lost."
            self.app.push_screen(Confirm(question, "lose my edits"), self._reload_answered)
        else:
            self._reload()

    def _reload_answered(self, answer: bool | None) -> None:
        if answer:
            self._reload()

    def _reload(self) -> None:
        self._owner.open_config(self.draft.document.path)

    def action_open_editor(self) -> None:
        """Open the file in $EDITOR, and read it again afterwards."""
        if self.draft.is_changed:
            self.notify("save first (w): the editor would not see your edits")
            return
        self._owner.edit_outside(self.draft.document.path)

    # -- weights -------------------------------------------------------------------------------

    def mend(self, problem: Problem) -> None:
        """Apply the fix of a problem, or fetch the files that it misses."""
        if problem.download is not None:
            self.action_fetch_weights()

    def action_fetch_weights(self) -> None:
        """Ask once, then fetch all weights that the latest check missed."""
        from cascade_tui.fetching import question

        downloads = [problem.download for problem in self.problems if problem.download]
        if not downloads:
            self.notify("nothing that could be fetched is missing")
            return
        if self._owner.refuses_writing():
            return
        if is_offline():
            told = "HF_HUB_OFFLINE is set, so nothing is fetched: start again without it"
            self.notify(told, severity="warning")
            return
        self.app.push_screen(ConfirmFetch(question(downloads), "fetch"), self._fetch_answered)

    def _fetch_answered(self, is_wanted: bool | None) -> None:
        if not is_wanted:
            return
        from cascade_tui.fetching import fetch_command
        from cascade_tui.outside import SuspendNotSupported, lent_terminal, run_and_wait

        try:
            with fetch_command(self.draft) as command, lent_terminal(self.app):
                code = run_and_wait(command.arguments, command.shown)
        except OSError as failure:
            reason = f"not fetched: {failure.filename or ''} {failure.strerror or failure}"
            self.notify(printable(reason), severity="error", markup=False)
            return
        except SuspendNotSupported:
            told = "not fetched: there is no terminal to show it in; the fix names the command"
            self.notify(told, severity="error")
            return
        if code:
            fix = shown_key("configure.fix", "f")
            told = f"not everything was fetched; {fix} goes on with it, what is whole is kept"
            self.notify(told, severity="warning")
        else:
            self.notify("the weights are here; checking again")
        self._is_led = True
        self.start_check()

    # -- launch --------------------------------------------------------------------------------

    def action_launch(self) -> None:
        """Check once more, then start the run, or say why not."""
        if self._is_launching:
            self.notify("it is being launched")
            return
        stale = self.draft.stale()
        if stale and self.draft.is_changed:
            question = ChangedUnderneath(stale, self.draft)
            self.app.push_screen(question, self._conflict_answered)
            return
        if stale:
            launch = shown_key("configure.launch", "L")
            told = f"the file was changed meanwhile and is read again; {launch} launches it"
            self.app.notify(told)
            self._reload()
            return
        self._is_launch_wanted = True
        self.start_check()

    def _launch_checked(self, checked: Checked) -> None:
        errors = [problem for problem in checked.problems if problem.severity == "error"]
        if errors:
            self.app.push_screen(LaunchRefused(errors), self._error_chosen)
            return
        self._is_launching = True
        self._launch(self.draft.copy(), checked)

    def action_fix_errors(self) -> None:
        """Carry out every fix of an error that can be applied by itself."""

    def _error_chosen(self, chosen: Chosen | Literal["all"] | None) -> None:
        if chosen == "all":
            self.action_fix_errors()
        elif chosen is not None:
            self.go_to_problem(chosen.problem.key)
            if chosen.is_to_mend:
                self.mend(chosen.problem)

    @work(thread=True, exclusive=True, group="launch")
    def _launch(self, draft: Draft, checked: Checked) -> None:
        from cascade_tui.launching import prepare_and_launch
        from engine.run.launch import LaunchError, RunAliveError

        notes: list[str] = []
        try:
            run = prepare_and_launch(draft.project(checked), note=notes.append)
        except RunAliveError as failure:
            self.post_message(self.NotLaunched(f"{failure}. 3 watches it."))
        except LaunchError as failure:
            self.post_message(self.NotLaunched(str(failure)))
        else:
            self.post_message(self.Launched(run, notes))

    @on(NotLaunched)
    def _not_launched(self, event: NotLaunched) -> None:
        self._is_launching = False
        reason = printable(event.reason)
        self.notify(reason, title="Not launched", severity="error", markup=False, timeout=15)

    @on(Launched)
    def _launched(self, event: Launched) -> None:
        self._is_launching = False
        for note in event.notes:
            self.app.notify(note, markup=False)
        if self.draft.is_changed:
            save = shown_key("configure.save", "w")
            told = f"launched with edits that are not saved in the config ({save} saves)"
            self.app.notify(told)
        self._owner.open_run(event.run)
