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
    """One line a cache: a bar, what is done of what, pace, size, time left, hits."""

    DEFAULT_CSS = """
    CachePanel {
        height: auto;
        border: round $surface-lighten-3;
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
        is_roomy = self.size.height >= 2 * len(caches)
        return [line for cache in caches for line in self._lines(cache, width, is_roomy)]

    def _lines(self, cache: CacheState, width: int, is_roomy: bool) -> list[Text]:
        """One line, or two if the facts do not fit beside the bar and there is room below."""
        share = cache.done / cache.total if cache.total else 1.0
        done = f" {_spaced(cache.done)}/{_spaced(cache.total)}"
        bar_width = max(6, min(24, width - 36))
        text = Text.assemble(f"{cache.which:<7}", bar(share, bar_width, style="green"), done)
        lines = [text]
        for fact in _facts(cache):
            if lines[-1].cell_len + 2 + len(fact) > width:
                if not is_roomy or len(lines) == 2:
                    break
                lines.append(Text("     "))
            lines[-1].append(f"  {fact}")
        return lines


def _facts(cache: CacheState) -> list[str]:
    """What else there is to say, the most needed first."""
    if cache.done >= cache.total:
        facts = ["✔", format_bytes(cache.bytes)]
    else:
        facts = [f"{cache.per_second:.3g}/s"] if cache.per_second > 0 else []
        if cache.eta_seconds is not None:
            facts.append(f"{format_duration(cache.eta_seconds)} left")
        facts.append(format_bytes(cache.bytes))
    return [*facts, f"{_spaced(cache.hits)} hits"] if cache.hits else facts


def _spaced(number: int) -> str:
    """``4 812``: thousands apart."""
    return f"{number:,}".replace(",", " ")
