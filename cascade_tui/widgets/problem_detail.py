"""What the highlighted field means, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from cascade_tui.draft import Field
from cascade_tui.field_text import shown_value
from cascade_tui.widgets.glyphs import GLYPHS
from engine.config.options import Option
from engine.config.problems import Problem

_COLOURS = {"error": "$text-error", "warning": "$text-warning", "hint": "$text-accent"}


class ProblemDetail(VerticalScroll):
    """Help, unit, range and default of a field; its problems come first when there are any."""

    DEFAULT_CSS = """
    ProblemDetail {
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & > Static { height: auto; }
        &:focus { background: $surface; }
    }
    """

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static()

    def show(self, field: Field | None, problems: Sequence[Problem]) -> None:
        """Explain ``field`` and its ``problems``."""
        styles = {
            name: self.app.theme_variables.get(variable.removeprefix("$"), "")
            for name, variable in _COLOURS.items()
        }
        plain = {name: value for name, value in styles.items() if value.startswith("#")}
        self.query_one(Static).update(describe(field, problems, plain))
        self.scroll_home(animate=False)


def describe(
    field: Field | None, problems: Sequence[Problem], styles: dict[str, str] | None = None
) -> Text:
    """The explanation as text; ``styles`` are colours by severity."""
    text = Text()
    if field is None:
        return text.append("No field is highlighted.")
    text.append(field.name, "bold")
    if field.is_overridden:
        text.append("  given with --set; an edit here wins over it")
    text.append("\n")
    for problem in problems:
        style = (styles or {}).get(problem.severity, "")
        text.append(f"{GLYPHS[problem.severity]} {problem.severity}: ", f"bold {style}".strip())
        text.append(problem.message + "\n", style)
        if problem.where:
            text.append(f"  at {problem.where}\n", "dim")
        if problem.fix:
            text.append(f"  fix: {problem.fix}\n")
        if problem.edit is not None:
            text.append("  f ", "bold")
            text.append("applies the fix\n")
    if field.option is None:
        return text
    if problems:
        text.append("\n")
    text.append(field.option.help + "\n")
    for name, value in _facts(field, field.option):
        text.append(f"{name:<9}", "dim")
        text.append(value + "\n")
    return text


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
