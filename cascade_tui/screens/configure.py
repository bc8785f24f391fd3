"""The form: edit a config, see every problem at once, mend, save, launch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal
from textual.widgets import Input, Static

from cascade_tui.draft import Draft, Field
from cascade_tui.screens.configure_keys import CONFIGURE_KEYS
from cascade_tui.screens.draft_screen import DraftScreen
from cascade_tui.widgets.field_editor import FieldEditor, choices_of, next_choice
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.group_list import GroupList
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.problem_detail import ProblemDetail
from cascade_tui.widgets.search_input import SearchInput
from cascade_tui.widgets.shown_keys import shown_key
from cascade_tui.widgets.verdict import Verdict
from engine.config.environment import Environment
from engine.config.problems import Edit, Problem, Severity

_RANK: dict[Severity, int] = {"error": 0, "warning": 1, "hint": 2}


class ConfigureScreen(DraftScreen):
    """Groups, fields and what they mean; fields are edited in place."""

    BINDING_GROUP_TITLE = "Configure"
    BINDINGS = CONFIGURE_KEYS
    AUTO_FOCUS = "#fields"
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 (textual declares it without ClassVar)
        (0, "-narrow"),
        (100, "-medium"),
        (160, "-wide"),
    ]

    def __init__(self, draft: Draft, *, environment: Environment | None = None) -> None:
        super().__init__(draft, environment=environment)
        self._filters: set[str] = set()
        self._shown_title = ""

    # -- layout --------------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Title, search, the three panes, the verdict, the keys."""
        search = SearchInput("search names, values and help", id="search")
        with Horizontal(id="head"):
            yield Static(id="title", markup=False)
            yield search
        with Horizontal(id="body"):
            yield GroupList(id="groups")
            with Container(id="middle"):
                yield FieldList(id="fields")
                yield FieldEditor(id="editor")
            yield ProblemDetail(id="detail")
        yield Verdict(id="verdict")
        yield KeyFooter(
            "configure.text",
            "configure.datasets",
            "configure.prompts",
            "configure.accelerate",
            "configure.forecast",
            "configure.default",
            "configure.next_problem",
        )

    def on_mount(self) -> None:
        """Show the values at once; problems follow from the first check."""
        fields = self.query_one(FieldList)
        fields.focus()
        self.watch(fields, "highlighted", self._show_detail, init=False)
        self.show_draft()
        self.start_check()

    def show_draft(self) -> None:
        fields = self.draft.fields(self.problems)
        severities: dict[str, Severity] = {}
        counts: dict[str, Counter[Severity]] = {}
        group_of = {field.key: field.group for field in fields}
        for problem in self.problems:
            known = severities.get(problem.key, "hint")
            severities[problem.key] = min(problem.severity, known, key=_RANK.__getitem__)
            counts.setdefault(group_of[problem.key], Counter())[problem.severity] += 1
        words = self._query.lower().split()
        visible = [field for field in fields if self._matches(field, severities, words)]
        self.query_one(GroupList).show(list(dict.fromkeys(group_of.values())), counts)
        self.query_one(FieldList).show(visible, severities)
        self._show_detail()
        self.query_one(Verdict).show(
            self.problems if self.checked else None,
            is_changed=self.draft.is_changed,
            failure=self.check_failure,
            forecast=self.forecast,
        )
        self._show_title(len(visible), len(fields))

    def _show_title(self, num_visible: int, num_fields: int) -> None:
        parts = [f"Configure  {self.draft.document.path}"]
        parts += ["read only"] if self._owner.is_readonly else []
        words = sorted(self._filters) + ([f"/{self._query}"] if self._query else [])
        if words:
            back = f"{shown_key('configure.clear_filters', 'escape')}: all"
            parts.append(f"{num_visible} of {num_fields} fields: {', '.join(words)} ({back})")
        title = printable("  ·  ".join(parts))
        if title != self._shown_title:
            self._shown_title = title
            self.query_one("#title", Static).update(title, layout=False)

    def _show_detail(self) -> None:
        field = self.query_one(FieldList).field
        own = [problem for problem in self.problems if field and problem.key == field.key]
        self.query_one(ProblemDetail).show(field, own)
        self.query_one(GroupList).mark(field.group if field else "")

    # -- filters -------------------------------------------------------------------------------

    @property
    def _query(self) -> str:
        return self.query_one("#search", Input).value.strip()

    def _matches(
        self, field: Field, severities: Mapping[str, Severity], words: Sequence[str]
    ) -> bool:
        if "problems" in self._filters and field.key not in severities:
            return False
        if "changed" in self._filters and not field.is_changed:
            return False
        if not words:
            return True
        about = field.option.help if field.option else ""
        haystack = f"{field.key} {field.group} {field.value} {about}".lower()
        return all(word in haystack for word in words)

    def action_search(self) -> None:
        """Type what the fields shown must contain."""
        search = self.query_one("#search", Input)
        search.display = True
        search.focus()

    def action_toggle_filter(self, name: str) -> None:
        """Show only the fields with problems, or only those that differ from their defaults."""
        self._filters ^= {name}
        self._show_matching()

    def action_clear(self) -> None:
        """Show all fields again."""
        search = self.query_one("#search", Input)
        search.value = ""
        search.display = False
        self._filters.clear()
        self.query_one(FieldList).focus()
        self.show_draft()

    @on(Input.Changed, "#search")
    def _searched(self) -> None:
        self._show_matching()

    def _show_matching(self) -> None:
        """Show the fields that match; the cursor stays on its own, or goes to the first."""
        fields = self.query_one(FieldList)
        before = fields.field
        self.show_draft()
        if not fields.is_on(before):
            fields.action_first()

    @on(Input.Submitted, "#search")
    def _search_done(self) -> None:
        if not self._query:
            self.query_one("#search").display = False
        self.query_one(FieldList).focus()

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
        self.query_one(ProblemDetail).action_scroll(3 * by)

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
        fields = self.query_one(FieldList)
        fields.make_room()
        self.query_one(FieldEditor).open(event.field, fields.value_region(), self._middle_height)

    @on(FieldEditor.Done)
    def _edited(self, event: FieldEditor.Done) -> None:
        self._apply(Edit(event.field.key, event.value))
        self._back_to_list(event.move)

    @on(FieldEditor.Cancelled)
    def _edit_cancelled(self, event: FieldEditor.Cancelled) -> None:
        self._back_to_list(event.move)

    def _back_to_list(self, move: int) -> None:
        fields = self.query_one(FieldList)
        self.set_focus(fields)
        if move:
            fields.action_move(move)

    def on_descendant_focus(self) -> None:
        """A click elsewhere ends editing."""
        editor = self.query_one(FieldEditor)
        if editor.display and self.focused and editor not in self.focused.ancestors:
            self._leave_editor()

    @on(FieldList.Moved)
    def _place_editor(self) -> None:
        editor = self.query_one(FieldEditor)
        if not editor.display:
            return
        fields = self.query_one(FieldList)
        region, height = fields.value_region(), self._middle_height
        if fields.is_on(editor.field) and 0 <= region.y < height:
            editor.place(region, height)
        else:
            self._leave_editor()
            self.set_focus(fields)

    @property
    def _middle_height(self) -> int:
        return self.query_one("#middle", Container).size.height

    def _leave_editor(self) -> None:
        edit = self.query_one(FieldEditor).leave()
        if edit is not None:
            self._apply(edit)

    def _apply(self, edit: Edit) -> None:
        try:
            self.draft.apply(edit)
        except KeyError:
            self.notify(f"{edit.key} is not in the file", severity="error", markup=False)
            return
        self._changed()

    def _changed(self) -> None:
        self.show_draft()
        self.check_soon()

    def action_apply_fix(self) -> None:
        """Carry out the fix of the highlighted field's first problem that has one."""
        field = self.query_one(FieldList).field
        for problem in self.problems:
            is_own = field is not None and problem.key == field.key
            if is_own and (problem.edit is not None or problem.download is not None):
                self.mend(problem)
                return
        self.notify("this field has no fix that can be applied by itself")

    def mend(self, problem: Problem) -> None:
        """Apply the fix of a problem, or fetch the files that it misses."""
        if problem.edit is None:
            super().mend(problem)
            return
        self._apply(problem.edit)
        self.query_one(FieldList).go_to(problem.edit.key)

    def action_fix_errors(self) -> None:
        """Carry out every fix of an error that can be applied by itself, as one step of undo."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        edits = {problem.key: problem.edit for problem in errors if problem.edit is not None}
        if not edits:
            self.notify("no error has a fix that can be applied by itself")
            return
        try:
            self.draft.apply_all(edits.values())
        except KeyError as failure:
            self.notify(f"{failure} is not in the file", severity="error", markup=False)
            return
        undo = shown_key("configure.undo", "u")
        number = f"{len(edits)} fix{'es' * (len(edits) > 1)}"
        self.notify(f"applied {number} ({undo} takes back)")
        self._is_led = True
        self._changed()

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

    # -- other views of the draft --------------------------------------------------------------

    def action_forecast(self) -> None:
        """Say what the run will take, and where each figure comes from."""
        from cascade_tui.screens.forecast import ForecastScreen

        if self.forecast is None:
            self.notify("the config is being checked")
        else:
            self.app.push_screen(ForecastScreen(self.forecast))

    def action_compare(self) -> None:
        """Compare with the file on disk, and from there with anything else."""
        from cascade_tui.draft_diff import Source
        from cascade_tui.screens.compare import CompareScreen

        path = self.draft.document.path
        on_disk = Source("disk", "the file on disk", path)
        self.app.push_screen(CompareScreen(self.draft, on_disk, Path()), self._came_back)

    def action_presets(self) -> None:
        """Choose a starting point."""
        from cascade_tui.screens.presets import PresetsScreen

        screen = PresetsScreen(self.draft, self.environment)
        self.app.push_screen(screen, lambda _: self._came_back(None))

    def action_datasets(self) -> None:
        """Add and remove data backends, and see their buckets."""
        from cascade_tui.screens.datasets import DatasetsScreen

        self.app.push_screen(DatasetsScreen(self.draft, self.environment), self._came_back)

    def action_prompts(self) -> None:
        """Write the prompts that validations draw."""
        from cascade_tui.screens.prompts import PromptsScreen

        self.app.push_screen(PromptsScreen(self.draft), self._came_back)

    def action_accelerate(self) -> None:
        """See how the run will be started, and on what."""
        from cascade_tui.screens.accelerate import AccelerateScreen

        screen = AccelerateScreen(self.draft, environment=self.environment)
        self.app.push_screen(screen, self._came_back)

    def action_raw_text(self) -> None:
        """Edit the text of the file that the highlighted field stands in, at its line."""
        from cascade_tui.screens.raw_text import RawTextScreen
        from cascade_tui.text_file import text_of_field

        field = self.query_one(FieldList).field
        file, line = text_of_field(self.draft, field.key if field is not None else "")
        screen = RawTextScreen(file, self.environment, line)
        self.app.push_screen(screen, self._text_taken)

    def _text_taken(self, draft: Draft | None) -> None:
        if draft is not None:
            self._came_back(None)

    def _came_back(self, key: str | None) -> None:
        """Show what another view did to the draft, and the field it leads to."""
        self._changed()
        self.go_to_problem(key)

    def go_to_error(self) -> None:
        """Show the first field in error, unless the person works elsewhere."""
        fields = self.query_one(FieldList)
        in_error = {problem.key for problem in self.problems if problem.severity == "error"}
        shown = [field.key for field in self.draft.fields(self.problems) if field.key in in_error]
        is_free = fields.is_at_start or not self._is_wrong(fields.field)
        if shown and is_free and self.focused in (None, fields):
            fields.go_to("" if "" in in_error else shown[0])  # what is wrong with the whole file

    def _is_wrong(self, field: Field | None) -> bool:
        return field is not None and any(problem.key == field.key for problem in self.problems)

    def go_to_problem(self, key: str | None) -> None:
        """Show the field with this key, all fields if need be; None is no field."""
        if key is None:
            return
        if not self.query_one(FieldList).go_to(key):
            self.action_clear()
            self.query_one(FieldList).go_to(key)
