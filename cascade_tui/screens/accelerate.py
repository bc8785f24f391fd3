"""How a run will be started: the options that decide it, what follows from them, the command."""

from __future__ import annotations

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Static

from cascade_tui.draft import Draft
from cascade_tui.launch_plan import PLAN_OPTIONS, LaunchPlan, plan_launch
from cascade_tui.screens.draft_screen import DraftScreen
from cascade_tui.widgets.field_editor import FieldEditor, choices_of, next_choice
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.launch_text import describe_plan
from engine.config.environment import Environment, probe_environment
from engine.config.loading import Checked
from engine.config.problems import Edit, Problem, Severity

_ORDER: tuple[Severity, ...] = ("error", "warning", "hint")


class AccelerateScreen(DraftScreen, ModalScreen[None]):
    """The options on one side, what they lead to on the other; over the form of the same draft."""

    BINDING_GROUP_TITLE = "Accelerate"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "apply_fix", "Fix", id="accelerate.fix"),
        Binding("D", "to_default", "Default", show=False, id="accelerate.default"),
        Binding("y", "copy_command", "Copy command", id="accelerate.copy"),
        Binding("r", "look_again", "Look again", show=False, id="accelerate.look"),
        Binding("w", "save", "Save", id="accelerate.save"),
        Binding("L", "launch", "Launch", id="accelerate.launch"),
        Binding("u", "undo", "Undo", id="accelerate.undo"),
        Binding("U,ctrl+r", "redo", "Redo", show=False, id="accelerate.redo"),
        Binding("J", "scroll(3)", "Scroll", key_display="J/K", id="accelerate.scroll"),
        Binding("K", "scroll(-3)", "Scroll back", show=False, id="accelerate.scroll_back"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="accelerate.help"),
        Binding("escape,q", "back", "Back", key_display="esc", id="accelerate.back"),
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-medium")]  # noqa: RUF012 (as textual)
    DEFAULT_CSS = """
    AccelerateScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & #body { height: 1fr; layout: horizontal; }
        & #options { width: 1fr; max-width: 56; height: 1fr; }
        & #middle { height: 1fr; layers: base editor; }
        & #help { height: 3; padding: 0 1; color: $foreground 60%; }
        & #told { width: 1fr; height: 1fr; padding: 0 1; border-left: solid $foreground 40%;
                  scrollbar-size-vertical: 1; }
        & #plan { height: auto; width: 1fr; }
        &.-narrow #body { layout: vertical; }
        &.-narrow #options { max-width: 100%; height: 13; }
        &.-narrow #help { height: 2; }
        &.-narrow #told { border-left: none; border-top: solid $foreground 40%; }
    }
    """

    class Planned(Message):
        """A thread has looked at what the checked draft leads to."""

        def __init__(self, plan: LaunchPlan, environment: Environment, checked: Checked) -> None:
            super().__init__()
            self.plan, self.environment, self.checked = plan, environment, checked

    def __init__(self, draft: Draft, *, environment: Environment | None = None) -> None:
        super().__init__(draft, environment=environment)
        self.plan: LaunchPlan | None = None

    def compose(self) -> ComposeResult:
        """Title, the options, what follows from them, the keys."""
        yield Static(id="title", markup=False)
        with Container(id="body"):
            with Vertical(id="options"):
                with Container(id="middle"):
                    yield FieldList(id="fields")
                    yield FieldEditor(id="editor")
                yield Static(id="help", markup=False)
            with VerticalScroll(id="told", can_focus=False):
                yield Static("looking at the GPUs and the pictures …", id="plan", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the options at once; what follows from them is looked up in threads."""
        fields = self.query_one(FieldList)
        fields.focus()
        self.watch(fields, "highlighted", self._explain, init=False)
        self.show_draft()
        self.start_check()

    # -- what is shown -------------------------------------------------------------------------

    def show_draft(self) -> None:
        fields = {field.key: field for field in self.draft.fields()}
        severities: dict[str, Severity] = {}
        for problem in self._own_problems:
            known = severities.get(problem.key, "hint")
            severities[problem.key] = min(problem.severity, known, key=_ORDER.index)
        self.query_one(FieldList).show([fields[key] for key in PLAN_OPTIONS], severities)
        mark = "  ·  • not saved" if self.draft.is_changed else ""
        title = f"Accelerate  ·  how {self.draft.document.path} is started{mark}"
        self.query_one("#title", Static).update(printable(title))
        if self.check_failure:
            words = printable(f"✖ the config cannot be checked: {self.check_failure}")
            self.query_one("#plan", Static).update(words)
        elif self.checked is not None and self.is_checked:
            self._look(self.checked)

    def _explain(self) -> None:
        field = self.query_one(FieldList).field
        option = field.option if field else None
        self.query_one("#help", Static).update(option.help if option else "", layout=False)

    @property
    def _own_problems(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.key in PLAN_OPTIONS]

    @work(thread=True, exclusive=True, group="plan")
    def _look(self, checked: Checked) -> None:
        environment = self.environment or probe_environment()
        plan = plan_launch(checked.config, checked.backends, environment)
        self.post_message(self.Planned(plan, environment, checked))

    @on(Planned)
    def _planned(self, event: Planned) -> None:
        if event.checked is self.checked:
            self.plan = event.plan
            self.query_one("#plan", Static).update(describe_plan(event.plan, self._own_problems))

    def action_scroll(self, by: int) -> None:
        """Scroll what follows."""
        self.query_one("#told", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_look_again(self) -> None:
        """Look at the GPUs, the accelerate file and the pictures again."""
        self.start_check()

    def action_copy_command(self) -> None:
        """Copy the command line, through the terminal (OSC 52)."""
        if self.plan is not None:
            self.app.copy_to_clipboard(self.plan.command_line)
            self.notify("the command was sent to the clipboard")

    # -- edits ---------------------------------------------------------------------------------

    @on(FieldList.EditRequested)
    def _edit(self, event: FieldList.EditRequested) -> None:
        field, fields = event.field, self.query_one(FieldList)
        is_cycled = isinstance(event, FieldList.CycleRequested) and choices_of(field)
        if is_cycled or (field.option is not None and field.option.kind == "boolean"):
            self._apply(Edit(field.key, next_choice(field)))
            return
        fields.make_room()
        self.query_one(FieldEditor).open(field, fields.value_region(), self._middle_height)

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

    @on(FieldList.Moved)
    def _place_editor(self) -> None:
        editor, fields = self.query_one(FieldEditor), self.query_one(FieldList)
        if editor.display and fields.is_on(editor.field):
            editor.place(fields.value_region(), self._middle_height)

    def on_descendant_focus(self) -> None:
        """A click elsewhere ends editing."""
        editor = self.query_one(FieldEditor)
        if editor.display and self.focused and editor not in self.focused.ancestors:
            edit = editor.leave()
            if edit is not None:
                self._apply(edit)

    @property
    def _middle_height(self) -> int:
        return self.query_one("#middle", Container).size.height

    def _apply(self, edit: Edit) -> None:
        self.draft.apply(edit)
        self._changed()

    def _changed(self) -> None:
        self.show_draft()
        self.check_soon()

    def action_apply_fix(self) -> None:
        """Carry out the fix of the highlighted option, else of the first that has one."""
        field = self.query_one(FieldList).field
        with_fix = [problem for problem in self._own_problems if problem.edit is not None]
        own = [problem for problem in with_fix if field and problem.key == field.key]
        for problem in (own or with_fix)[:1]:
            assert problem.edit is not None
            self._apply(problem.edit)
            return
        self.notify("no option here has a fix that can be applied by itself")

    def action_to_default(self) -> None:
        """Remove the option from the file, so that its default counts."""
        field = self.query_one(FieldList).field
        if field is not None and field.value is not None:
            self._apply(Edit(field.key, None))

    def action_undo(self) -> None:
        """Take the last edit back."""
        self._changed() if self.draft.undo() else self.notify("nothing to undo")

    def action_redo(self) -> None:
        """Do the undone edit again."""
        self._changed() if self.draft.redo() else self.notify("nothing to redo")

    # -- leaving -------------------------------------------------------------------------------

    def action_launch(self) -> None:
        """Let the form launch the run, as it would there."""
        form = self._owner.form
        assert form is not None
        self.dismiss(None)
        form.call_later(form.action_launch)

    def action_save(self) -> None:
        """Write the files with edits; if one was changed meanwhile, the form asks."""
        form = self._owner.form
        if self.draft.changed_on_disk() and form is not None:
            self.dismiss(None)
            form.call_later(form.action_save)
        else:
            self.save()

    def action_back(self) -> None:
        """Back to the form."""
        self.dismiss(None)

    def check_action(self, _action: str, _parameters: tuple[object, ...]) -> bool | None:
        """While an option is edited, the screen's keys rest."""
        return not any(editor.display for editor in self.query(FieldEditor))
