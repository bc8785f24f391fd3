"""All alerts of the run that is watched: those that hold, and those that did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from cascade_tui.alerts import Alert
from cascade_tui.widgets.glyphs import GLYPHS, printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.problems import Severity

ALERT_STYLES: dict[Severity, str] = {
    "error": "$text-error",
    "warning": "$text-warning",
    "hint": "",
}
"""The gravest first."""


class AlertScreen(ModalScreen[None]):
    """A list of alerts with what to do; `show` brings it up to date."""

    BINDING_GROUP_TITLE = "Alerts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,exclamation_mark,q", "app.pop_screen", "Close", id="alerts.close"),
    ]
    DEFAULT_CSS = """
    AlertScreen {
        align: center middle;
        & > VerticalScroll {
            width: 90; max-width: 98%; height: auto; max-height: 95%;
            border: round $warning; background: $surface; padding: 0 1;
            scrollbar-size-vertical: 1;
        }
        & Static { height: auto; }
    }
    """

    def __init__(self, now: Iterable[Alert], earlier: Iterable[Alert]) -> None:
        super().__init__()
        self._text = alerts_text(now, earlier)

    def compose(self) -> ComposeResult:
        """One text, which scrolls."""
        panel = VerticalScroll()
        panel.border_title = "Alerts"
        panel.border_subtitle = f"{shown_key('alerts.close', 'escape')} closes"
        with panel:
            yield Static(self._text)

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def show(self, now: Iterable[Alert], earlier: Iterable[Alert]) -> None:
        """Show what holds now, if that is something else."""
        text = alerts_text(now, earlier)
        if text != self._text:
            self._text = text
            for static in self.query(Static):
                static.update(text)


def alerts_text(now: Iterable[Alert], earlier: Iterable[Alert]) -> Content:
    """What holds, with its remedy, and what held before."""
    parts = [_entry(alert, ALERT_STYLES[alert.severity]) for alert in now]
    parts = parts or [Content(f"{GLYPHS['hint']} nothing to look at now")]
    past = [_entry(alert, "dim") for alert in earlier]
    if past:
        parts += [Content.styled("\nno more:", "bold"), *past]
    return Content("\n").join(parts)


def _entry(alert: Alert, style: str) -> Content:
    fix = f"\n    {printable(alert.fix)}" if alert.fix else ""
    text = f"{GLYPHS[alert.severity]} {printable(alert.message)}"
    return Content.assemble((text, style), (fix, "dim"))
