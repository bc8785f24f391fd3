"""Compares what an app shows with stored pictures, at every size that a terminal may have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from form_pilot import until
from syrupy import SnapshotAssertion
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen

from cascade_tui.themes import ThemedApp

SIZES = {"200x50": (200, 50), "120x36": (120, 36), "80x24": (80, 24)}
"""The largest first: what is looked at has to stay in sight while the terminal shrinks."""
Look = Callable[[Pilot[Any]], Awaitable[object]]


class Looks:
    """What an app shows beside what was stored under the test's name; see the fixture `looks`."""

    def __init__(self, snapshot: SnapshotAssertion, folder: Path) -> None:
        self._snapshot, self._folder = snapshot, folder

    async def compare(
        self, app: ThemedApp, theme: str, bring: Look, ready: Look | None = None
    ) -> None:
        """Bring an app to what is to be seen and look at every size, once `ready` is over there.

        All sizes that look otherwise are told, with what they look like.
        """
        app.use_theme(theme)
        differ = []
        async with app.run_test(size=SIZES["200x50"]) as pilot:
            await bring(pilot)
            for name, size in SIZES.items():
                await pilot.resize_terminal(*size)
                await until(pilot, lambda size=size: app.screen.size == Size(*size))
                if ready is not None:
                    await ready(pilot)
                await pilot.pause()
                svg = app.export_screenshot(simplify=True)
                if self._snapshot(name=name) != svg:
                    path = self._folder / f"{name}.svg"
                    path.write_text(svg)
                    differ.append(str(path))
        assert not differ, "these look other than the stored pictures"


async def shown(pilot: Pilot[int], kind: type[Screen]) -> Screen:
    """The screen that is shown, once it is of this kind."""
    await until(pilot, lambda: isinstance(pilot.app.screen, kind))
    await pilot.pause()
    return pilot.app.screen
