"""A small form for what may be changed in a run that goes on."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from cascade_tui.field_text import shown_value, typed_value
from cascade_tui.widgets.glyphs import GLYPHS, fit, from_printable, printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.documents import PROMPTS
from engine.config.fields import OPTIONS
from engine.config.frozen import FrozenConfig
from engine.config.live import LIVE_OPTIONS, LiveChange, apply_change, differences

_LABEL_CELLS = 25
_UNCHANGED = "nothing changed yet; a prompt whose text is emptied is taken away"


class ChangeForm(ModalScreen[LiveChange | None]):
    """Checks at each keystroke as the trainer will; closes with the change, or None."""

    BINDING_GROUP_TITLE = "Changing the run"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send the change", id="change.send", priority=True),
        Binding("escape", "leave", "Leave it as it is", id="change.leave"),
        Binding("up", "app.focus_previous", "Field above", show=False, id="change.up"),
        Binding("down", "app.focus_next", "Field below", show=False, id="change.down"),
    ]
    DEFAULT_CSS = """
    ChangeForm {
        align: center middle;
        & > Vertical {
            width: 100; max-width: 98%; height: auto; max-height: 95%;
            border: round $primary; background: $surface; padding: 0 1;
        }
        & VerticalScroll { height: auto; max-height: 55vh; scrollbar-size-vertical: 1; }
        & .row { height: 1; }
        & .row > Static { width: 27; height: 1; }
        & .row > Input { width: 1fr; height: 1; border: none; padding: 0 1;
                         background: $panel; }
        & .row > #new-name { width: 26; max-width: 26; margin-right: 1; }
        & .row > Input:focus { background: $surface-lighten-3; }
        & #verdict { height: auto; min-height: 2; max-height: 5; margin-top: 1; }
        & #buttons { height: 1; }
        & #buttons Button { margin-right: 2; }
    }
    """

    def __init__(self, current: FrozenConfig) -> None:
        """``current`` is what counts in the run now."""
        super().__init__()
        self._current = current
        self._shown = {
            **{key: shown_value(getattr(current.config, key)) for key in LIVE_OPTIONS},
            **{f"{PROMPTS}.{name}": text for name, text in current.prompts.items()},
        }
        self._change = LiveChange()
        self._is_valid = False

    def compose(self) -> ComposeResult:
        """A line a value, a line for a new prompt, the verdict."""
        with Vertical() as panel:
            panel.border_title = "Change the run while it goes on"
            with VerticalScroll(can_focus=False):
                for key, text in self._shown.items():
                    yield self._row(key, text)
                with Horizontal(classes="row"):
                    yield _input("new-name", "", "a new prompt's name")
                    yield _input("new-text", "", "what to draw")
            yield Static(id="verdict", markup=False)
            with Horizontal(id="buttons"):
                send, leave = shown_key("change.send", "enter"), shown_key("change.leave", "escape")
                yield Button(f"{send} send it", id="send", compact=True)
                yield Button(f"{leave} leave it", id="leave", compact=True)

    def _row(self, key: str, text: str) -> Horizontal:
        label = key.removeprefix(f"{PROMPTS}.")
        placeholder = {"validation_step_interval": "as checkpoint_step_interval"}.get(key, "none")
        position = list(self._shown).index(key)
        return Horizontal(
            Static(fit(label, _LABEL_CELLS), markup=False),
            _input(f"value-{position}", printable(text), placeholder),
            classes="row",
        )

    def on_mount(self) -> None:
        """The first value is edited first."""
        self.query(Input).first().focus()
        self._check()

    @on(Input.Changed)
    def _check(self) -> None:
        """Say what would change, or why it cannot be."""
        self._change = self._read()
        after, problems = apply_change(self._current, self._change)
        problem = next((f"{p.key}: {p.message}" for p in problems), "") or self._unfinished()
        changes = list(differences(self._current, after))
        self._is_valid = bool(changes) and not problem
        if problem:
            text = Text.assemble((f"{GLYPHS['error']} {printable(problem)}", "red"))
        elif changes:
            text = Text("\n".join(f"• {printable(str(change))}" for change in changes))
        else:
            text = Text(_UNCHANGED, style="dim")
        self.query_one("#verdict", Static).update(text)

    def _read(self) -> LiveChange:
        """What is typed and differs from what counts now."""
        options: dict[str, Any] = {}
        prompts: dict[str, str | None] = {}
        for position, (key, before) in enumerate(self._shown.items()):
            typed = self.query_one(f"#value-{position}", Input).value
            if typed == printable(before):
                continue
            if key in OPTIONS:
                options[key] = typed_value(OPTIONS[key], typed)
            else:
                prompts[key.removeprefix(f"{PROMPTS}.")] = from_printable(typed).strip() or None
        name, text = self._new_prompt()
        if name and text:
            prompts[name] = text
        return LiveChange(options, prompts)

    def _new_prompt(self) -> tuple[str, str]:
        name, text = (self.query_one(f"#new-{part}", Input).value for part in ("name", "text"))
        return name.strip(), text.strip()

    def _unfinished(self) -> str:
        name, text = self._new_prompt()
        if name in self._current.prompts:
            return f"there is a prompt {name} already"
        if bool(name) != bool(text):
            return "a new prompt needs a name and a text"
        return ""

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "send":
            self._send()
        else:
            self.dismiss(None)

    def action_send(self) -> None:
        """Close with the change, if there is one and it may be made."""
        if self.focused is not None and self.focused.id == "leave":
            self.dismiss(None)
            return
        self._send()

    def _send(self) -> None:
        if self._is_valid:
            self.dismiss(self._change)
        else:
            self.app.bell()

    def action_leave(self) -> None:
        """Close without a change."""
        self.dismiss(None)


def _input(identity: str, value: str, placeholder: str) -> Input:
    field = Input(value, placeholder, id=identity, compact=True, select_on_focus=False)
    field.cursor_blink = False
    return field
