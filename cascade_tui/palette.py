"""What the palette (ctrl+p) offers: all that a key does now, and what was opened last."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.app import App, SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.screen import Screen
from textual.style import Style

from cascade_tui.keymap import is_unbound
from cascade_tui.recent import Recent, recently_opened, remember
from cascade_tui.widgets.glyphs import printable

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp


class _RecentHit(DiscoveryHit):
    """Stands in front of the actions, in the order of its like."""

    @property
    def score(self) -> float:
        """The palette sorts by this; actions have 0."""
        return 1.0


class RecentCommands(Provider):
    """Opens a run or a config again."""

    async def startup(self) -> None:
        """Look in a thread which are there still: a disk may take its time."""
        self._recent = await asyncio.to_thread(recently_opened)

    async def discover(self) -> Hits:
        """All of them, the last one first."""
        for recent in self._recent:
            text = printable(str(recent))
            yield _RecentHit(Content(text), self._opener(recent), text=text)

    async def search(self, query: str) -> Hits:
        """Those whose name or path holds the query."""
        matcher = self.matcher(query)
        for recent in self._recent:
            text = printable(str(recent))
            score, offsets = matcher.fuzzy_search.match(query, text)
            if score > 0:
                shown = Content(text)
                for offset in offsets:
                    style = self.match_style or Style(reverse=True)
                    shown = shown.stylize(style, offset, offset + 1)
                yield Hit(score, shown, self._opener(recent), text=text)

    def _opener(self, recent: Recent) -> partial[None]:
        return partial(open_again, cast("CascadeApp", self.app), recent)


def key_commands(app: App[Any], screen: Screen[Any]) -> Iterator[SystemCommand]:
    """Everything that a key does now, each with its key."""
    told: set[str] = set()
    for key, active in screen.active_bindings.items():
        binding = active.binding
        if not active.enabled or binding.action in told or binding.system:
            continue
        told.add(binding.action)
        if binding.description and binding.id and binding.action != "command_palette":
            shown = f"key {app.get_key_display(binding) or key}"
            shown = "no key" if is_unbound(key) else shown
            about = f"{binding.tooltip}  " if binding.tooltip else ""
            run = partial(app.run_action, binding.action, active.node)
            yield SystemCommand(binding.description, f"{about}({shown})", run)


def open_again(app: CascadeApp, recent: Recent) -> None:
    """Open what was open before; a config that is open still is shown as it is."""
    form = app.form
    if form is not None and form.draft.document.path.absolute() == recent.path:
        app.action_show_configure()
        return
    refusal = app.open_path(recent.path)
    if refusal:
        app.notify(refusal, severity="error", markup=False)


def remember_opened(app: CascadeApp, path: Path) -> None:
    """Keep, in a thread, that this was opened; not if nothing may be written."""

    def write() -> None:
        try:
            remember(path)
        except OSError as failure:
            told = f"what was opened is not remembered: {failure.strerror}"
            app.notify(told, markup=False)

    if not app.is_readonly:
        app.run_worker(write, thread=True, group="recent")
