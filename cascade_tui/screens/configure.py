"""The form: edit a config, see every problem at once, mend, save, launch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.message import Message
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Input, Static

from cascade_tui.draft import Draft, Field, Snapshot
from cascade_tui.screens.configure_keys import CONFIGURE_KEYS
from cascade_tui.screens.unsaved import Answer, ChangedUnderneath, LaunchRefused
from cascade_tui.widgets.field_editor import FieldEditor, choices_of, next_choice
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.group_list import GroupList
from cascade_tui.widgets.problem_detail import ProblemDetail
from cascade_tui.widgets.verdict import Verdict
from engine.config.environment import Environment
from engine.config.loading import Checked
from engine.config.problems import Edit, Problem, Severity
from engine.run.paths import RunDirectory

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

CHECK_DELAY_SECONDS = 0.12
_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "hint": 2}


class ConfigureScreen(Screen[None]):
    """Groups, fields and what they mean; the draft holds the edits, a thread checks them."""

    BINDING_GROUP_TITLE = "Configure"
    BINDINGS = CONFIGURE_KEYS
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (textual declares it without ClassVar)
        (0, "-narrow"),
        (100, "-medium"),
        (160, "-wide"),
    ]

    class CheckDone(Message):
        """A thread has checked the draft as it was at ``snapshot``."""

        def __init__(self, checked: Checked, snapshot: Snapshot) -> None:
            super().__init__()
            self.checked, self.snapshot = checked, snapshot

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
        self._checked_snapshot: Snapshot | None = None
        self._filters: set[str] = set()
        self._check_timer: Timer | None = None
        self._is_launch_wanted = False

    # -- layout --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, search, the three panes, the verdict, the keys."""
        yield Static(id="title", markup=False)
        search = Input(placeholder="search names, values and help", compact=True, id="search")
        search.cursor_blink = False
        yield search
        with Horizontal(id="body"):
            yield GroupList(id="groups")
            with Container(id="middle"):
                yield FieldList(id="fields")
                yield FieldEditor(id="editor")
            yield ProblemDetail(id="detail")
        yield Verdict(id="verdict")
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        """Show the values at once; problems follow from the first check."""
        self.query_one(FieldList).focus()
        self._show()
        self._start_check()

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

    def _show(self) -> None:
        fields = self.draft.fields(self.problems)
        severities: dict[str, Severity] = {}
        counts: dict[str, Counter[Severity]] = {}
        group_of = {field.key: field.group for field in fields}
        for problem in self.problems:
            known = severities.get(problem.key, "hint")
            severities[problem.key] = min(problem.severity, known, key=_RANK.__getitem__)
            counts.setdefault(group_of[problem.key], Counter())[problem.severity] += 1
        visible = [field for field in fields if self._matches(field, severities)]
        self.query_one(GroupList).show(list(dict.fromkeys(group_of.values())), counts)
        self.query_one(FieldList).show(visible, severities)
        self._show_detail()
        self.query_one(Verdict).show(
            self.problems if self.checked else None, is_changed=self.draft.is_changed
        )
        self._show_title(len(visible), len(fields))

    def _show_title(self, num_visible: int, num_fields: int) -> None:
        parts = [f"Configure  {self.draft.document.path}"]
        words = sorted(self._filters) + ([f"/{self._query}"] if self._query else [])
        if words:
            parts.append(f"{num_visible} of {num_fields} fields: {', '.join(words)} (esc: all)")
        self.query_one("#title", Static).update("  ·  ".join(parts))

    def _show_detail(self) -> None:
        field = self.query_one(FieldList).field
        own = [problem for problem in self.problems if field and problem.key == field.key]
        self.query_one(ProblemDetail).show(field, own)
        self.query_one(GroupList).current = field.group if field else ""

    # -- filters -------------------------------------------------------------------------------

    @property
    def _query(self) -> str:
        return self.query_one("#search", Input).value.strip()

    def _matches(self, field: Field, severities: dict[str, Severity]) -> bool:
        if "problems" in self._filters and field.key not in severities:
            return False
        if "changed" in self._filters and not field.is_changed:
            return False
        about = field.option.help if field.option else ""
        haystack = f"{field.key} {field.group} {field.value} {about}".lower()
        return all(word in haystack for word in self._query.lower().split())

    def action_search(self) -> None:
        """Type what the fields shown must contain."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def action_toggle_filter(self, name: str) -> None:
        """Show only the fields with problems, or only those that differ from their defaults."""
        self._filters ^= {name}
        self._show()

    def action_clear(self) -> None:
        """Show all fields again."""
        search = self.query_one("#search", Input)
        search.value = ""
        search.display = False
        self._filters.clear()
        self.query_one(FieldList).focus()
        self._show()

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._show()

    @on(Input.Submitted, "#search")
    def _search_done(self) -> None:
        if not self._query:
            self.query_one("#search").display = False
        self.query_one(FieldList).focus()

    @on(FieldList.Highlighted)
    def _highlighted(self) -> None:
        self._show_detail()

    @on(GroupList.Chosen)
    def _group_chosen(self, event: GroupList.Chosen) -> None:
        fields = self.query_one(FieldList)
        fields.go_to_group(event.group)
        fields.focus()

    def action_next_problem(self, by: int) -> None:
        """Go to the next (or previous) field that has a problem."""
        fields = self.query_one(FieldList)
        with_problems = {problem.key for problem in self.problems}
        keys = [field.key for field in self.draft.fields(self.problems)]
        if fields.field is None or not with_problems:
            return
        here = keys.index(fields.field.key)
        order = keys[here + 1 :] + keys[:here] if by > 0 else keys[:here][::-1] + keys[:here:-1]
        for key in order:
            if key in with_problems and fields.go_to(key):
                return

    def action_scroll_detail(self, by: int) -> None:
        """Scroll the explanation of the field."""
        self.query_one(ProblemDetail).scroll_relative(y=3 * by, animate=False)

    def check_action(self, action: str, _parameters: tuple[object, ...]) -> bool | None:
        """While a field is edited or text is typed, the screen's keys rest."""
        focused = self.focused
        if focused is None or action == "clear":
            return True
        is_editing = any(isinstance(node, FieldEditor) for node in focused.ancestors)
        return not (is_editing or isinstance(focused, Input))

    # -- edits ---------------------------------------------------------------------------------

    @on(FieldList.EditRequested)
    def _edit(self, event: FieldList.EditRequested) -> None:
        if isinstance(event, FieldList.CycleRequested) and choices_of(event.field):
            self._apply(Edit(event.field.key, next_choice(event.field)))
            return
        if event.field.option is not None and event.field.option.kind == "boolean":
            self._apply(Edit(event.field.key, next_choice(event.field)))
            return
        if event.field.option is None and event.field.value is None:
            return  # a line that is only there for its problem
        middle = self.query_one("#middle", Container)
        self.query_one(FieldList).make_room()
        region = self.query_one(FieldList).value_region()
        self.query_one(FieldEditor).open(event.field, region, middle.size.height)

    @on(FieldEditor.Done)
    def _edited(self, event: FieldEditor.Done) -> None:
        self.query_one(FieldList).focus()
        self._apply(Edit(event.field.key, event.value))

    @on(FieldEditor.Cancelled)
    def _edit_cancelled(self) -> None:
        self.query_one(FieldList).focus()

    def _apply(self, edit: Edit) -> None:
        try:
            self.draft.apply(edit)
        except KeyError:
            self.notify(f"{edit.key} is not in the file", severity="error", markup=False)
            return
        self._changed()

    def _changed(self) -> None:
        self._show()
        self._check_soon()

    def action_apply_fix(self) -> None:
        """Carry out the fix of the highlighted field's first problem that has one."""
        field = self.query_one(FieldList).field
        for problem in self.problems:
            if field is not None and problem.key == field.key and problem.edit is not None:
                self._apply(problem.edit)
                self.query_one(FieldList).go_to(problem.edit.key)
                return
        self.notify("this field has no fix that can be applied by itself")

    def action_to_default(self) -> None:
        """Remove the field from the file, so that its default counts."""
        field = self.query_one(FieldList).field
        if field is not None and field.value is not None:
            self._apply(Edit(field.key, None))

    def action_undo(self) -> None:
        """Take the last edit back."""
        self._changed() if self.draft.undo() else self.notify("nothing to undo")

    def action_redo(self) -> None:
        """Do the last undone edit again."""
        self._changed() if self.draft.redo() else self.notify("nothing to redo")

    # -- checking ------------------------------------------------------------------------------

    def _check_soon(self) -> None:
        if self._check_timer is not None:
            self._check_timer.stop()
        self._check_timer = self.set_timer(CHECK_DELAY_SECONDS, self._start_check)

    def _start_check(self) -> None:
        self._check(self.draft.copy(), self.draft.snapshot())

    @work(thread=True, exclusive=True, group="check")
    def _check(self, draft: Draft, snapshot: Snapshot) -> None:
        self.post_message(self.CheckDone(draft.check(self.environment), snapshot))

    @on(CheckDone)
    def _check_done(self, event: CheckDone) -> None:
        if event.snapshot != self.draft.snapshot():
            self._check_soon()
            return
        self.checked, self._checked_snapshot = event.checked, event.snapshot
        self._show()
        if self._is_launch_wanted:
            self._is_launch_wanted = False
            self._launch_checked(event.checked)

    # -- files ---------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Write the files with edits; ask first if someone else changed one meanwhile."""
        paths = self.draft.changed_on_disk()
        if paths:
            self.app.push_screen(ChangedUnderneath(paths), self._conflict_answered)
        else:
            self.save()

    def _conflict_answered(self, answer: Answer | None) -> None:
        if answer == "overwrite":
            self.save()
        elif answer == "reload":
            self.action_reload()

    def save(self) -> bool:
        """Write the files with edits; False, with a notice, if one cannot be written."""
        try:
            paths = self.draft.save()
        except OSError as failure:
            reason = f"not saved: {failure.filename or ''} {failure.strerror or failure}"
            self.notify(reason, severity="error", markup=False)
            return False
        names = ", ".join(str(path) for path in paths)
        self.notify(f"saved {names}" if paths else "nothing to save", markup=False)
        self._show()
        return True

    def action_reload(self) -> None:
        """Read the files again; unsaved edits are lost."""
        self._owner.open_config(self.draft.document.path)

    def action_open_editor(self) -> None:
        """Open the file in $EDITOR, and read it again afterwards."""
        if self.draft.is_changed:
            self.notify("save first (w): the editor would not see your edits")
            return
        self._owner.edit_outside(self.draft.document.path)

    # -- launch --------------------------------------------------------------------------------

    def action_launch(self) -> None:
        """Check once more, then start the run, or say why not."""
        stale = self.draft.stale()
        if stale and self.draft.is_changed:
            self.app.push_screen(ChangedUnderneath(stale), self._conflict_answered)
            return
        if stale:
            self.app.notify("the file was changed meanwhile and is read again; L launches it")
            self.action_reload()
            return
        self._is_launch_wanted = True
        self._start_check()

    def _launch_checked(self, checked: Checked) -> None:
        errors = [problem for problem in checked.problems if problem.severity == "error"]
        if errors:
            self.app.push_screen(LaunchRefused(errors), self._go_to_error)
            return
        self._launch(self.draft.copy(), checked)

    def _go_to_error(self, key: str | None) -> None:
        if key is None:
            return
        if not self.query_one(FieldList).go_to(key):
            self.action_clear()
            self.query_one(FieldList).go_to(key)

    @work(thread=True, exclusive=True, group="launch")
    def _launch(self, draft: Draft, checked: Checked) -> None:
        from cascade_tui.launching import prepare_and_launch
        from engine.run.launch import LaunchError

        notes: list[str] = []
        try:
            run = prepare_and_launch(draft.project(checked), note=notes.append)
        except LaunchError as failure:
            self.post_message(self.NotLaunched(str(failure)))
        else:
            self.post_message(self.Launched(run, notes))

    @on(NotLaunched)
    def _not_launched(self, event: NotLaunched) -> None:
        self.notify(event.reason, title="Not launched", severity="error", markup=False, timeout=15)

    @on(Launched)
    def _launched(self, event: Launched) -> None:
        for note in event.notes:
            self.app.notify(note, markup=False)
        if self.draft.is_changed:
            self.app.notify("launched with edits that are not saved in the config (w saves)")
        self._owner.open_run(event.run)
