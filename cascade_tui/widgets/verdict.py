"""The bottom line of the form: may this be launched?"""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Static

from cascade_tui.forecasting import short_words
from cascade_tui.widgets.glyphs import GLYPHS, READY, printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.forecast import Forecast
from engine.config.problems import Problem


def describe_verdict(
    problems: Sequence[Problem] | None,
    *,
    is_changed: bool,
    failure: str = "",
    forecast: Forecast | None = None,
) -> str:
    """`✖ 2 errors  ▲ 3 warnings  • not saved (w)  GPU ~7.8/26 GB  ~2 h 5 min`, or that it is ready.

    ``problems`` is None while nothing has been checked; ``failure`` says why it cannot be.
    """
    if failure:
        words = [f"{GLYPHS['error']} cannot be checked: {printable(failure)}"]
    elif problems is None:
        words = ["checking …"]
    else:
        words = [
            _counted(GLYPHS[severity], sum(p.severity == severity for p in problems), severity)
            for severity in ("error", "warning", "hint")
            if any(p.severity == severity for p in problems)
        ]
        if not any(problem.severity == "error" for problem in problems):
            words.insert(0, f"{READY} ready to launch ({shown_key('configure.launch', 'L')})")
    unsaved = f"• not saved ({shown_key('configure.save', 'w')})"
    takes = short_words(forecast) if forecast is not None else []
    return "  ".join([*words, *([unsaved] if is_changed else []), *takes])


def _counted(glyph: str, number: int, noun: str) -> str:
    return f"{glyph} {number} {noun}{'' if number == 1 else 's'}"


class Verdict(Static):
    """The verdict on the whole config, in words and signs."""

    DEFAULT_CSS = """
    Verdict {
        height: 1;
        padding: 0 1;
        background: $surface;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        &.-errors { color: $text-error; text-style: bold; }
        &.-ready { color: $text-success; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._words = ""

    def show(
        self,
        problems: Sequence[Problem] | None,
        *,
        is_changed: bool,
        failure: str = "",
        forecast: Forecast | None = None,
    ) -> None:
        """Show the verdict; see `describe_verdict`."""
        has_errors = bool(failure) or any(p.severity == "error" for p in problems or ())
        self.set_class(has_errors, "-errors")
        self.set_class(problems is not None and not has_errors, "-ready")
        words = describe_verdict(
            problems, is_changed=is_changed, failure=failure, forecast=forecast
        )
        if words != self._words:
            self._words = words
            self.update(words, layout=False)
