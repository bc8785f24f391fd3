"""How far the caches are."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text

from cascade_tui.follow.snapshot import CacheState
from cascade_tui.headless_view import format_bytes, format_duration
from cascade_tui.widgets.bars import bar
from cascade_tui.widgets.rows import TextRows

_NAMES = ("text", "latent")


class CachePanel(TextRows):
    """A line or two a cache: a bar, what is done of what, pace, time left, size, hit rate."""

    DEFAULT_CSS = """
    CachePanel {
        height: auto;
        border: round $foreground 40%;
        border-title-color: $foreground;
        padding: 0 1;
        overflow: hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.border_title = "caches"
        self._caches: Mapping[str, CacheState] = {}

    def show(self, caches: Mapping[str, CacheState]) -> None:
        """Show the caches as they are now."""
        if caches is not self._caches:
            self._caches = caches
            self.redraw()

    def make_lines(self, width: int) -> list[Text]:
        """The bars are as wide as the panel."""
        if not self._caches:
            return [Text("nothing cached yet", style="dim")]
        caches = [self._caches[name] for name in _NAMES if name in self._caches]
        room = max(1, self.size.height // len(caches))
        return [line for cache in caches for line in self._lines(cache, width, room)]

    def _lines(self, cache: CacheState, width: int, room: int) -> list[Text]:
        """As many facts as fit beside the bar and in the lines below, ``room`` lines in all."""
        share = cache.done / cache.total if cache.total else 1.0
        done = f" {_spaced(cache.done)}/{_spaced(cache.total)}"
        bar_width = max(6, min(24, width - 36))
        text = Text.assemble(f"{cache.which:<7}", bar(share, bar_width, style="green"), done)
        lines = [text]
        for fact in _facts(cache):
            if lines[-1].cell_len + 2 + len(fact) > width:
                if len(lines) == room:
                    continue  # a shorter one may fit
                lines.append(Text())
            lines[-1].append(f"  {fact}")
        return lines


def _facts(cache: CacheState) -> list[str]:
    """What else there is to say, the most needed first."""
    made = max(0, cache.done - cache.hits)
    hits = f"hits {100 * cache.hits / cache.total:.0f} %" if cache.total else ""
    rate = f"{cache.per_second:,.3g}/s" if cache.per_second < 1000 else ""
    rate = rate or f"{_spaced(round(cache.per_second))}/s"
    rate = rate if cache.per_second > 0 else ""
    share = f"a share of {_spaced(cache.needed)}" if cache.is_share else ""
    if cache.done >= cache.total:
        size = f"{format_bytes(cache.bytes)} made" if made else "cached before"
        return _told("✔", size, hits if made else "", rate if made else "", share)
    left = "" if cache.eta_seconds is None else f"{format_duration(cache.eta_seconds)} left"
    size = format_bytes(cache.bytes)
    if cache.planned_bytes and not cache.is_share:
        size += f" of {format_bytes(cache.planned_bytes)}"
    return _told(rate, left, size, hits, share)


def _told(*facts: str) -> list[str]:
    return [fact for fact in facts if fact]


def _spaced(number: int) -> str:
    """``4 812``: thousands apart."""
    return f"{number:,}".replace(",", " ")
