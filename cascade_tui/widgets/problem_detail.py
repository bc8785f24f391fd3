"""What the highlighted field means, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.strip import Strip

from cascade_tui.draft import Field
from cascade_tui.field_text import shown_value
from cascade_tui.widgets.glyphs import GLYPHS, fit, printable
from cascade_tui.widgets.rows import RowWidget
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.options import Option
from engine.config.problems import Problem

_COLOURS = {"error": "$text-error", "warning": "$text-warning", "hint": "$text-accent"}

_PROMPTS = ("configure.prompts", "V", "lists the prompts")
_ACCELERATE = ("configure.accelerate", "a", "shows how the run is started")
_OWN_SCREENS = {
    "validation_prompt": _PROMPTS,
    "validation_prompt_library": _PROMPTS,
    "num_processes": _ACCELERATE,
    "accelerate_config_file": _ACCELERATE,
}
"""Options that have a screen of their own: the id of its key, the key by itself, what it does."""


class ProblemDetail(RowWidget, can_focus=True):
    """Help, unit, range and default of a field; its problems come first when there are any.

    A last row says how much there is below; the text scrolls by keys and wheel.
    """

    BINDING_GROUP_TITLE = "Explanation"
    MOST_REGIONS = 4
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll(-1)", "Up", show=False, id="detail.up"),
        Binding("down,j", "scroll(1)", "Down", show=False, id="detail.down"),
        Binding("pageup", "scroll(-5)", "Page up", show=False, id="detail.page_up"),
        Binding("pagedown", "scroll(5)", "Page down", show=False, id="detail.page_down"),
    ]
    DEFAULT_CSS = """
    ProblemDetail {
        padding: 0 1;
        &:focus { background: $surface; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = Text()
        self._top = 0

    def show(self, field: Field | None, problems: Sequence[Problem]) -> None:
        """Explain ``field`` and its ``problems``."""
        styles = {
            name: self.app.theme_variables.get(variable.removeprefix("$"), "")
            for name, variable in _COLOURS.items()
        }
        plain = {name: value for name, value in styles.items() if value.startswith("#")}
        text = describe(field, problems, plain)
        if text != self._text:
            self._text, self._top = text, 0
            self.redraw()

    def make_rows(self, width: int, height: int) -> list[Strip]:
        """The rows of the wrapped text that are in view."""
        if width <= 0 or height <= 0:
            return []
        console = self.app.console
        lines = list(self._text.wrap(console, width))
        self._top = max(0, min(self._top, len(lines) - height))
        num_below = len(lines) - self._top - height
        shown = lines[self._top : self._top + height]
        if num_below > 0:
            down = shown_key("configure.scroll_detail", "J")
            up = shown_key("configure.scroll_back", "K")
            shown[-1] = Text(fit(f"… {num_below + 1} more lines ({down}, {up})", width), "dim")
        return [Strip(line.render(console)) for line in shown]

    def action_scroll(self, by: int) -> None:
        """Move the text by lines."""
        self._top = max(0, self._top + by)
        self.redraw()

    def on_mouse_scroll_down(self) -> None:
        """The wheel scrolls."""
        self.action_scroll(1)

    def on_mouse_scroll_up(self) -> None:
        """The wheel scrolls."""
        self.action_scroll(-1)


def describe(
    field: Field | None, problems: Sequence[Problem], styles: dict[str, str] | None = None
) -> Text:
    """The explanation as text; ``styles`` are colours by severity."""
    if field is None:
        return Text("No field is highlighted.")
    text = _describe(field, problems, styles or {})
    text.plain = printable(text.plain, keep_lines=True)
    return text


def _describe(field: Field, problems: Sequence[Problem], styles: dict[str, str]) -> Text:
    text = Text()
    text.append(field.name, "bold")
    if field.is_overridden:
        text.append("  given with --set; an edit here wins over it")
    text.append("\n")
    for problem in problems:
        style = styles.get(problem.severity, "")
        text.append(f"{GLYPHS[problem.severity]} {problem.severity}: ", f"bold {style}".strip())
        text.append(problem.message + "\n", style)
        if problem.where:
            text.append(f"  at {problem.where}\n", "dim")
        if problem.download is not None:
            text.append(f"  {shown_key('configure.fix', 'f')} ", "bold")
            text.append(f"fetches them here; or: {problem.fix}\n")
        elif problem.fix:
            text.append(f"  fix: {problem.fix}\n")
        if field.key == "data_backend_config" and problem.message.startswith("malformed"):
            text.append("  t ", "bold")
            text.append("opens that file at the line\n")
        if problem.edit is not None:
            text.append(f"  {shown_key('configure.fix', 'f')} ", "bold")
            text.append("applies the fix\n")
        for line in problem.details:
            text.append(f"  {line}\n", "dim")
    if field.option is None:
        return text
    if problems:
        text.append("\n")
    text.append(field.option.help + "\n")
    for name, value in _facts(field, field.option):
        text.append(f"{name:<9}", "dim")
        text.append(value + "\n")
    if field.name in _OWN_SCREENS:
        id, key, words = _OWN_SCREENS[field.name]
        text.append(f"{shown_key(id, key)} ", "bold")
        text.append(f"{words}\n")
    return text


def words_of_fix(problem: Problem, key: str) -> str:
    """What mends a problem in one line, the ``key`` that does it here in front; empty if nothing
    does."""
    if problem.download is not None:
        return f"{key} fetches them here; or: {problem.fix}"
    if problem.edit is not None:
        return f"{key} applies the fix: {problem.fix}"
    return f"fix: {problem.fix}" if problem.fix else ""


def _facts(field: Field, option: Option) -> list[tuple[str, str]]:
    facts = [("value", shown_value(field.effective) or "(empty)")]
    facts.append(("default", shown_value(option.default) or "(empty)"))
    if option.unit:
        facts.append(("unit", option.unit))
    if limits := describe_range(option):
        facts.append(("range", limits))
    if option.choices:
        facts.append(("choices", ", ".join(option.choices)))
    facts.append(("kind", option.kind + (", may be empty" if option.is_optional else "")))
    return facts


def describe_range(option: Option) -> str:
    """The limits of a number in words; empty if it has none."""
    words = []
    if option.minimum is not None:
        bound = "above" if option.is_minimum_excluded else "at least"
        words.append(f"{bound} {_number(option.minimum)}")
    if option.maximum is not None:
        bound = "below" if option.is_maximum_excluded else "at most"
        words.append(f"{bound} {_number(option.maximum)}")
    return ", ".join(words)


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else shown_value(value)
