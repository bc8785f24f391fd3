"""The validation prompts of a draft: add, rename, rewrite, move, and what a validation draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, cast

from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Draft
from cascade_tui.draft_prompts import (
    SINGLE,
    Prompt,
    PromptError,
    add_prompt,
    change_prompt,
    duplicate_prompt,
    home_of,
    move_prompt,
    name_for,
    prompts_of,
    remove_prompt,
)
from cascade_tui.widgets.glyphs import GLYPHS, fit, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.prompt_editor import PromptEditor
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.fields import TrainingConfig
from engine.config.problems import Edit, Problem
from engine.config.prompts import SINGLE_PROMPT, check_prompts, prompt_key

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_SIGNS = 2
_NARROWEST_NAME, _WIDEST_NAME = 12, 28
_MOST_SEEDS = 64


class PromptsScreen(ModalScreen[str | None]):
    """A list of names and prompts, what is wrong with one below it; ends with None."""

    BINDING_GROUP_TITLE = "Prompts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit('text')", "Edit", id="prompts.edit", priority=True),
        Binding("r", "edit('name')", "Rename", id="prompts.rename"),
        Binding("a", "add", "Add", id="prompts.add"),
        Binding("c", "duplicate", "Copy", id="prompts.copy"),
        Binding("x,delete", "remove", "Remove", id="prompts.remove"),
        Binding("J,shift+down", "move(1)", "Move", key_display="J/K", id="prompts.lower"),
        Binding("K,shift+up", "move(-1)", "Move up", show=False, id="prompts.higher"),
        Binding(
            "plus", "seeds(1)", "More seeds", show=False, key_display="+", id="prompts.more_seeds"
        ),
        Binding(
            "minus",
            "seeds(-1)",
            "Fewer seeds",
            show=False,
            key_display="-",
            id="prompts.fewer_seeds",
        ),
        Binding("w", "save", "Save", id="prompts.save"),
        Binding("u", "undo", "Undo", id="prompts.undo"),
        Binding("U,ctrl+r", "redo", "Redo", show=False, id="prompts.redo"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="prompts.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="prompts.up"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="prompts.help"),
        Binding("escape,q", "back", "Back", key_display="esc", id="prompts.back"),
    ]
    DEFAULT_CSS = """
    PromptsScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & #draws { height: 1; padding: 0 1; color: $foreground 60%; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & #empty { height: auto; padding: 1 2; }
        & OptionList { height: 1fr; background: $background; border: none; padding: 0;
                       scrollbar-size-vertical: 1; }
        & OptionList:focus { background-tint: $background 0%; }
        & .option-list--option { padding: 0 1; }
    }
    """

    def __init__(self, draft: Draft) -> None:
        super().__init__()
        self.draft = draft
        self._prompts: tuple[Prompt, ...] = ()
        self._width = 0

    def compose(self) -> ComposeResult:
        """Title, what a validation draws, the prompts, the editor, the keys."""
        yield Static(id="title", markup=False)
        yield Static(id="draws", markup=False)
        yield Static(id="empty", markup=False)
        yield OptionList(markup=False)
        yield PromptEditor()
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(OptionList).focus()
        self._show()

    def on_resize(self) -> None:
        """The prompts are wrapped anew."""
        if self._prompts and self.size.width != self._width:
            self._show()

    # -- what is shown -------------------------------------------------------------------------

    @property
    def prompt(self) -> Prompt | None:
        """The highlighted prompt; None in an empty list."""
        place = self.query_one(OptionList).highlighted
        return self._prompts[place] if place is not None and place < len(self._prompts) else None

    def _show(self, name: str | None = None) -> None:
        """Show the prompts as they are now, the cursor on one or where it was."""
        lines = self.query_one(OptionList)
        place = lines.highlighted or 0
        self._prompts, self._width = prompts_of(self.draft), self.size.width
        names = [prompt.name for prompt in self._prompts]
        problems = _problems_of(self._prompts)
        name_cells = max((len(printable(name)) for name in names), default=0)
        name_cells = max(_NARROWEST_NAME, min(name_cells, _WIDEST_NAME, self._width // 3))
        lines.clear_options()
        lines.add_options(
            [ListOption(_row(prompt, name_cells, problems)) for prompt in self._prompts]
        )
        if name in names:
            place = names.index(name)
        lines.highlighted = min(place, len(names) - 1) if names else None
        lines.display = bool(names)
        self._show_around()

    def _show_around(self) -> None:
        home = home_of(self.draft)
        add = shown_key("prompts.add", "a")
        words = home.words if home.has_begun else f"no library yet: {add} begins {home.words}"
        self.query_one("#title", Static).update(printable(f"Prompts  ·  {words}"))
        config = self.draft.read().config
        draws = self.query_one("#draws", Static)
        draws.update(_draws(len({prompt.name for prompt in self._prompts}), config))
        empty = self.query_one("#empty", Static)
        empty.display = not self._prompts or bool(home.refusal)
        if home.refusal:
            empty.update(printable(f"{GLYPHS['error']} {home.refusal}"))
        elif not self._prompts:
            words = f"No prompts yet, so no pictures are drawn.\n{add} adds one to {home.words}."
            empty.update(printable(words, keep_lines=True))

    # -- edits ---------------------------------------------------------------------------------

    def action_add(self) -> None:
        """Write a new prompt."""
        home = home_of(self.draft)
        if home.refusal:
            self.notify(home.refusal, severity="error", markup=False)
            return
        taken = [prompt.name for prompt in self._prompts]
        title = f"New prompt in {home.words}"
        self.query_one(PromptEditor).open(None, taken, title, focus="name")

    def action_edit(self, part: Literal["name", "text"]) -> None:
        """Edit the highlighted prompt, beginning with its name or its text."""
        prompt = self.prompt
        if prompt is None:
            self.action_add()
            return
        taken = [other.name for other in self._prompts if other is not prompt]
        title = "validation_prompt; another name moves it into the library"
        title = title if prompt.is_single else f"Prompt {prompt.name}"
        self.query_one(PromptEditor).open(prompt, taken, title, focus=part)

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_edit("text")

    @on(PromptEditor.Taken)
    def _taken(self, event: PromptEditor.Taken) -> None:
        name = event.name
        try:
            if event.prompt is None:
                name = name or name_for(self.draft, event.text)
                add_prompt(self.draft, name, event.text)
            else:
                change_prompt(self.draft, event.prompt, name, event.text)
        except PromptError as failure:
            self.notify(str(failure), severity="error", markup=False)
            return
        self._leave_editor(name)

    def on_descendant_focus(self) -> None:
        """A click elsewhere ends editing."""
        editor = self.query_one(PromptEditor)
        if editor.display and self.focused and editor not in self.focused.ancestors:
            editor.settle()

    @on(PromptEditor.Left)
    def _left(self) -> None:
        self._leave_editor(None)

    def _leave_editor(self, name: str | None) -> None:
        self.query_one(PromptEditor).display = False
        self._show(name)
        self.set_focus(self.query_one(OptionList))

    def action_duplicate(self) -> None:
        """Add a copy of the highlighted prompt."""
        if self.prompt is None:
            return
        try:
            self._show(duplicate_prompt(self.draft, self.prompt))
        except PromptError as failure:
            self.notify(str(failure), severity="error", markup=False)

    def action_remove(self) -> None:
        """Take the highlighted prompt out of the library; undo brings it back."""
        prompt = self.prompt
        if prompt is not None:
            remove_prompt(self.draft, prompt)
            undo = shown_key("prompts.undo", "u")
            self.notify(f"{printable(prompt.name)} is drawn no more; {undo} undoes", markup=False)
            self._show()

    def action_move(self, by: Literal[-1, 1]) -> None:
        """Let the highlighted prompt change places with the next or the one before."""
        prompt = self.prompt
        if prompt is None:
            return
        try:
            move_prompt(self.draft, prompt, by)
        except PromptError as failure:
            self.notify(str(failure), severity="error", markup=False)
        self._show(prompt.name)

    def action_seeds(self, by: int) -> None:
        """Draw each prompt from more or fewer seeds."""
        wanted = self.draft.read().config.validation_num_seeds + by
        if 1 <= wanted <= _MOST_SEEDS:
            self.draft.apply(Edit("validation_num_seeds", wanted))
            self._show()

    def action_undo(self) -> None:
        """Take the last edit back."""
        self._show() if self.draft.undo() else self.notify("nothing to undo")

    def action_redo(self) -> None:
        """Do the undone edit again."""
        self._show() if self.draft.redo() else self.notify("nothing to redo")

    def action_save(self) -> None:
        """Write the files with edits; a file that was changed meanwhile is asked about."""
        form = cast("CascadeApp", self.app).form
        assert form is not None
        if self.draft.changed_on_disk():
            self.dismiss(None)
            form.call_later(form.action_save)
        else:
            form.save()

    def action_back(self) -> None:
        """Back to the form."""
        self.dismiss(None)

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def check_action(self, _action: str, _parameters: tuple[object, ...]) -> bool | None:
        """While a prompt is edited, the list's keys rest."""
        return not any(editor.display for editor in self.query(PromptEditor))


def _problems_of(prompts: Sequence[Prompt]) -> Mapping[str, list[Problem]]:
    """What is wrong with each prompt, by its key."""
    found: dict[str, list[Problem]] = {}
    library = {prompt.name: prompt.text for prompt in prompts if not prompt.is_single}
    for problem in check_prompts(library):
        found.setdefault(problem.key, []).append(problem)
    if SINGLE_PROMPT in library:
        message = f"not drawn: the library has a prompt {SINGLE_PROMPT}"
        found[SINGLE] = [Problem(SINGLE, "warning", message, "rename one")]
    return found


def _row(prompt: Prompt, name_cells: int, problems: Mapping[str, list[Problem]]) -> Table:
    """A prompt as signs, name and wrapped text, with its problems below."""
    own = problems.get(SINGLE if prompt.is_single else prompt_key(prompt.name), [])
    row = Table.grid(padding=(0, 1), expand=True)
    row.add_column(width=_SIGNS - 1)
    row.add_column(width=name_cells, no_wrap=True)
    row.add_column(ratio=1)
    sign = GLYPHS[own[0].severity] if own else " "
    words = Text(printable(" ".join(prompt.text.split())) or "(empty)")
    if prompt.is_single:
        words.append("  (validation_prompt)", "dim")
    if prompt.is_overridden:
        words.append("  (--set)", "dim")
    row.add_row(Text(sign), Text(fit(prompt.name, name_cells), "bold"), words)
    for problem in own:
        fix = f"; {problem.fix}" if problem.fix else ""
        row.add_row("", "", Text(printable(f"{GLYPHS[problem.severity]} {problem.message}{fix}")))
    return row


def _draws(num_prompts: int, config: TrainingConfig) -> str:
    """How many pictures a validation makes, and when there is one."""
    seeds = config.validation_num_seeds
    pictures = num_prompts * seeds
    every = config.validation_step_interval or config.checkpoint_step_interval
    parts = [
        f"{num_prompts} {_plural(num_prompts, 'prompt')} × {seeds} {_plural(seeds, 'seed')}"
        f" = {pictures} {_plural(pictures, 'picture')}",
        f"every {every:,} {_plural(every, 'step')}",
    ]
    if config.validation_on_start:
        parts.append("and at the start")
    return " ".join(parts)


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"
