"""What a run will take, each figure with where it comes from."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from cascade_tui.forecasting import long_lines
from cascade_tui.widgets.glyphs import printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.forecast import Forecast

_HOW = """
GPU memory is summed from measurements of every model type on an H100, within about a tenth for \
published priors. The time is that of training alone, without caching and validation: as an \
earlier run here took it, else estimated from an H100. Caches count as if nothing were cached yet.
"""


class ForecastScreen(ModalScreen[None]):
    """Shows a forecast; esc closes it."""

    BINDING_GROUP_TITLE = "Forecast"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "app.pop_screen", "Close", id="forecast.close"),
    ]
    DEFAULT_CSS = """
    ForecastScreen {
        align: center middle;
        & > VerticalScroll {
            width: 76; max-width: 100%; height: auto; max-height: 95%;
            border: round $primary; background: $surface; padding: 0 2;
            scrollbar-size-vertical: 1;
        }
        & Static { height: auto; }
    }
    """

    def __init__(self, forecast: Forecast) -> None:
        super().__init__()
        self._forecast = forecast

    def compose(self) -> ComposeResult:
        """A line a figure, then how they were made."""
        panel = VerticalScroll()
        panel.border_title = "What the run will take"
        panel.border_subtitle = f"{shown_key('forecast.close', 'escape')} closes"
        with panel:
            yield Static(describe_forecast(self._forecast))

    def on_mount(self) -> None:
        """Arrow keys scroll the text."""
        self.query_one(VerticalScroll).focus()


def describe_forecast(forecast: Forecast) -> Text:
    """The figures, and how they were made."""
    text = Text()
    for name, words in long_lines(forecast):
        text.append(f"{name}\n", "bold")
        text.append(f"  {printable(words)}\n")
    text.append(_HOW)
    return text
