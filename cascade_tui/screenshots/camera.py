"""Opens the app without a terminal, brings it to what is to be seen, and takes its picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from textual.pilot import Pilot
from textual.screen import Screen

from cascade_tui.app import CascadeApp
from cascade_tui.screenshots.picture import Picture, look_at

_PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.4
"""A screen that is the same after this long has all its data; one of a live run never is."""
_MOST_LOOKS = 8

AnyScreen = TypeVar("AnyScreen", bound=Screen[Any])


class ScreenshotError(Exception):
    """A picture cannot be taken; says which, and what is missing."""


@dataclass(frozen=True, slots=True)
class Camera:
    """Before one app that runs; ``name`` is the picture's, for errors."""

    pilot: Pilot[int]
    name: str

    @property
    def app(self) -> CascadeApp:
        """The app that is pictured."""
        app = self.pilot.app
        assert isinstance(app, CascadeApp)
        return app

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Let the app work until the condition holds.

        Raises:
            ScreenshotError: it does not, for a long time.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while not condition():
            if loop.time() > deadline:
                raise ScreenshotError(f"{self.name}: no {what} after {_PATIENCE_SECONDS:.0f} s")
            await self.pilot.pause(0.05)

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Press a key for each character of a word."""
        await self.pilot.press(*text)

    async def screen(self, kind: type[AnyScreen]) -> AnyScreen:
        """The screen that is shown, once it is of this kind."""
        await self.until(lambda: isinstance(self.app.screen, kind), kind.__name__)
        screen = self.app.screen
        assert isinstance(screen, kind)
        return screen

    async def settle(self) -> Picture:
        """What the app shows, once it is the same for a while."""
        before = look_at(self.app, self.name)
        for _ in range(_MOST_LOOKS):
            await self.pilot.pause(_LOOK_SECONDS)
            now = look_at(self.app, self.name)
            if now == before:
                break
            before = now
        return before


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture to take: the app to open, its size, and the way to what is to be seen."""

    name: str
    size: tuple[int, int]
    open: Callable[[], CascadeApp]
    bring: Callable[[Camera], Awaitable[object]]

    @property
    def file_name(self) -> str:
        """Without a suffix; as `monitor-120x36`."""
        return f"{self.name}-{self.size[0]}x{self.size[1]}"


async def take(shot: Shot) -> Picture:
    """Take a picture.

    Raises:
        ScreenshotError: what is to be seen does not come.
    """
    async with shot.open().run_test(size=shot.size) as pilot:
        camera = Camera(pilot, shot.file_name)
        await shot.bring(camera)
        picture = await camera.settle()
    return replace(picture, title=f"cascade-tui · {shot.name.replace('-', ' ')}")
