"""What a run will take, each figure with where it comes from."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType

from cascade_tui.forecasting import long_lines
from cascade_tui.screens.text_panel import TextPanel
from cascade_tui.widgets.glyphs import printable
from engine.config.forecast import Forecast

_HOW = """
GPU memory is summed from measurements of every model type on an H100, within about a tenth for \
published priors. The time is that of training alone, without caching and validation: as an \
earlier run here took it, else estimated from an H100. Caches count as if nothing were cached yet.
"""


class ForecastScreen(TextPanel):
    """Shows a forecast; esc closes it."""

    BINDING_GROUP_TITLE = "Forecast"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "app.pop_screen", "Close", id="forecast.close"),
    ]
    PANEL_TITLE = "What the run will take"
    CLOSE_ID = "forecast.close"

    def __init__(self, forecast: Forecast) -> None:
        super().__init__()
        self._forecast = forecast

    def describe(self) -> Text:
        """The figures, and how they were made."""
        text = Text()
        for name, words in long_lines(self._forecast):
            text.append(f"{name}\n", "bold")
            text.append(f"  {printable(words)}\n")
        text.append(_HOW)
        return text
