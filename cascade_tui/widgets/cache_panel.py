"""How far the caches are."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual.widgets import Static

from cascade_tui.follow.snapshot import CacheState
from cascade_tui.headless_view import format_bytes, format_duration
from cascade_tui.widgets.bars import bar

_NAMES = ("text", "latent")


class CachePanel(Static):
    """One line a cache: a bar, what is done of what, pace, size, time left, hits."""

    DEFAULT_CSS = """
    CachePanel {
        border: round $surface-lighten-3;
        border-title-color: $foreground;
        padding: 0 1;
        overflow: hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id)
        self.border_title = "caches"
        self._caches: Mapping[str, CacheState] = {}

    def show(self, caches: Mapping[str, CacheState]) -> None:
        """Show the caches as they are now."""
        if caches is not self._caches:
            self._caches = caches
            self._draw()

    def on_mount(self) -> None:
        """Say that there is nothing yet."""
        self._draw()

    def on_resize(self) -> None:
        """The bars are as wide as the panel."""
        self._draw()

    def _draw(self) -> None:
        if not self._caches:
            self.update(Text("nothing cached yet", style="dim"))
            return
        caches = [self._caches[name] for name in _NAMES if name in self._caches]
        is_roomy = self.size.height >= 2 * len(caches)
        self.update(Text("\n").join([self._lines(cache, is_roomy) for cache in caches]))

    def _lines(self, cache: CacheState, is_roomy: bool) -> Text:
        """One line, or two if the facts do not fit beside the bar and there is room below."""
        share = cache.done / cache.total if cache.total else 1.0
        done = f" {_spaced(cache.done)}/{_spaced(cache.total)}"
        bar_width = max(6, min(24, self.size.width - 36))
        text = Text.assemble(f"{cache.which:<7}", bar(share, bar_width, style="green"), done)
        used = text.cell_len
        for fact in _facts(cache):
            if used + 2 + len(fact) > self.size.width:
                if not is_roomy:
                    break
                is_roomy, used = False, 5
                text.append("\n     ")
            text.append(f"  {fact}")
            used += 2 + len(fact)
        text.no_wrap = True
        return text


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
