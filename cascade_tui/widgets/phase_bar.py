"""One line on where the time of a run went: a bar of its phases, and what they are."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.headless_view import format_duration
from cascade_tui.widgets.rows import TextRows

_SIGNS = {
    "preparing": ("░", "dim"),
    "caching": ("▒", "magenta"),
    "compiling": ("╳", ""),
    "training": ("█", "green"),
    "validating": ("▓", "blue"),
    "saving": ("▄", "yellow"),
    "paused": ("·", "dim"),
}
_OTHER = ("▚", "")
_LEAST_BAR, _LARGEST_SHARE = 12, 0.35


class PhaseBar(TextRows):
    """Shares of the time as a bar, each with a sign of its own; the legend tells the durations."""

    DEFAULT_CSS = """
    PhaseBar { height: 1; padding: 0 1; background: $surface; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._spent: Mapping[str, float] = {}

    def show(self, snapshot: RunSnapshot) -> None:
        """Show a snapshot."""
        if snapshot.seconds_by_phase is not self._spent:
            self._spent = snapshot.seconds_by_phase
            self.redraw()

    def make_lines(self, width: int) -> list[Text]:
        """The bar and as much of the legend as fits, the longest phases first to be told."""
        return [phase_line(self._spent, width)] if sum(self._spent.values()) > 0 else []


def phase_line(seconds_by_phase: Mapping[str, float], width: int) -> Text:
    """The line in at most ``width`` cells."""
    total = sum(seconds_by_phase.values())
    entries = {
        phase: f"{_sign(phase)[0]} {phase} {format_duration(seconds)}"
        for phase, seconds in seconds_by_phase.items()
        if seconds >= 1
    }
    room = width - max(_LEAST_BAR, int(width * _LARGEST_SHARE))
    told: set[str] = set()
    for phase in sorted(entries, key=lambda phase: -seconds_by_phase[phase]):
        if room >= len(entries[phase]) + 2:
            room -= len(entries[phase]) + 2
            told.add(phase)
    legend = Text()
    for phase, entry in entries.items():
        if phase in told:
            legend.append("  ").append(entry[0], _sign(phase)[1]).append(entry[1:])
    line = Text(no_wrap=True)
    for phase, cells in _cells(seconds_by_phase, total, width - legend.cell_len).items():
        sign, style = _sign(phase)
        line.append(sign * cells, style)
    return line.append_text(legend)


def _cells(seconds: Mapping[str, float], total: float, width: int) -> dict[str, int]:
    """Cells a phase, ``width`` together; the ends of phases are rounded, not their lengths."""
    cells, elapsed, drawn = {}, 0.0, 0
    for phase, spent in seconds.items():
        elapsed += spent
        end = round(width * elapsed / total)
        cells[phase] = end - drawn
        drawn = end
    return cells


def _sign(phase: str) -> tuple[str, str]:
    return _SIGNS.get(phase, _OTHER)
