"""One line on the run: name, state, step, pace, time left."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.text import Text

from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.headless_view import format_duration
from cascade_tui.widgets.rows import TextRows

STATE_GLYPHS = {
    "new": "○",
    "starting": "◌",
    "running": "●",
    "paused": "‖",
    "finished": "✔",
    "failed": "✖",
    "stopped": "■",
    "lost": "✖",
    "lost-at-reboot": "✖",
}
_STYLES = {
    "running": "green",
    "finished": "green",
    "paused": "yellow",
    "stopped": "yellow",
    "failed": "red",
    "lost": "red",
    "lost-at-reboot": "red",
}
_CACHES = {"caching_text": "text", "caching_latents": "latent"}
_WORDS = {"new": "never launched", "lost-at-reboot": "lost at a reboot"}
_TIME_LEFT_PERIOD_SECONDS = 1.0


class RunHeader(TextRows):
    """Shows what fits, the most needed first; the time left changes at most once a second."""

    DEFAULT_CSS = """
    RunHeader { height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(
        self,
        name: str = "",
        *,
        clock: Callable[[], float] = time.monotonic,
        id: str | None = None,
    ) -> None:
        """``name`` is all that is shown until there is a snapshot."""
        super().__init__(id=id)
        self._run_name = name
        self._clock = clock
        self._snapshot: RunSnapshot | None = None
        self._time_left = ""
        self._time_left_from = -_TIME_LEFT_PERIOD_SECONDS

    def show(self, snapshot: RunSnapshot) -> None:
        """Show a snapshot."""
        self._snapshot = snapshot
        now = self._clock()
        seconds = snapshot.eta_seconds if snapshot.phase == "training" else None
        if seconds is None:
            self._time_left = ""
        elif now - self._time_left_from >= _TIME_LEFT_PERIOD_SECONDS or not self._time_left:
            self._time_left = f"{format_duration(seconds)} left"
            self._time_left_from = now
        self.redraw()

    def make_lines(self, width: int) -> list[Text]:
        """The line; another width holds other facts."""
        if self._snapshot is None:
            return [Text(self._run_name, style="bold")]
        is_readonly = getattr(self.app, "is_readonly", False)  # our own app has it
        text = header_text(self._snapshot, self._time_left, width, is_readonly=is_readonly)
        wire = getattr(self.app, "wire", None)
        # Of a run that goes on alone: else the line would stand still with a figure of before.
        if wire is not None and self._snapshot.phase == "training":
            _append_wire(text, wire.bytes_per_second, width)
        return [text]


def header_text(
    snapshot: RunSnapshot, time_left: str, width: int, *, is_readonly: bool = False
) -> Text:
    """The line in at most ``width`` cells; a long name is cut before a fact is left out."""
    state = snapshot.state
    words = f"{STATE_GLYPHS[state.name]} {_WORDS.get(state.name, state.name)}"
    phase = snapshot.phase.replace("_", " ")
    if state.name == "running" and phase:
        words = f"{STATE_GLYPHS['running']} {phase}"
    facts = ["read only"] if is_readonly else []
    cache = snapshot.caches.get(_CACHES.get(snapshot.phase, ""))
    if state.is_alive and cache is not None:
        facts.append(f"{_spaced(cache.done)}/{_spaced(cache.total)}")
        if cache.eta_seconds:
            facts.append(f"{format_duration(cache.eta_seconds)} left")
    elif snapshot.max_steps:
        percent = 100 * snapshot.step // snapshot.max_steps
        facts.append(f"step {_spaced(snapshot.step)}/{_spaced(snapshot.max_steps)}  {percent} %")
    elif snapshot.step:
        facts.append(f"step {_spaced(snapshot.step)}")
    if state.is_alive and snapshot.phase == "training" and snapshot.images_per_second > 0:
        facts.append(f"{snapshot.images_per_second:.3g} img/s")
    if time_left:
        facts.append(time_left)
    if snapshot.quiet_minutes:
        facts.insert(0, f"▲ no step for {snapshot.quiet_minutes} min")
    if snapshot.is_partial:
        facts.append("reading the whole log…")
    length = len(words) + sum(len(fact) + 2 for fact in facts)
    room = max(8, width - length - 2)
    name = snapshot.name if len(snapshot.name) <= room else snapshot.name[: room - 1] + "…"
    text = Text.assemble((name, "bold"), "  ", (words, _STYLES.get(state.name, "")), no_wrap=True)
    for fact in facts:
        if text.cell_len + 2 + len(fact) <= width:
            text.append(f"  {fact}")
    return text


def _append_wire(text: Text, bytes_per_second: float, width: int) -> None:
    """At the right end what the app sends, where there is room."""
    words = f"ssh {max(1, round(bytes_per_second / 1000))} kB/s"
    gap = width - text.cell_len - len(words)
    if gap >= 2:
        text.append(" " * gap + words, "dim")


def _spaced(number: int) -> str:
    """``12 480``: thousands apart."""
    return f"{number:,}".replace(",", " ")
