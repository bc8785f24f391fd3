"""A line for a path, which goes on with the names that are there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.suggester import Suggester
from textual.widgets import Input


class _Paths(Suggester):
    """The first path that begins so; the disk is looked at in a thread."""

    def __init__(self, paths: Callable[[str], list[str]]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._paths = paths

    async def get_suggestion(self, value: str) -> str | None:
        """The first one that can be written as it is."""
        found = await asyncio.to_thread(self._paths, value) if value else []
        return next((name for name in found if name.isprintable()), None)


class PathInput(Input):
    """Tab takes the rest of a path where there is one, and else goes on."""

    BINDING_GROUP_TITLE = "A path"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "complete", "Complete the path, or go on", show=False, id="path.complete"),
    ]

    def __init__(
        self, paths: Callable[[str], list[str]], placeholder: str, *, id: str | None = None
    ) -> None:
        """``paths`` are those that begin with what was typed."""
        super().__init__(placeholder=placeholder, compact=True, id=id, suggester=_Paths(paths))
        self.cursor_blink = False

    def action_complete(self) -> None:
        """Take what is suggested behind the cursor, or go to the next part."""
        if self.cursor_at_end and self._suggestion and self._suggestion != self.value:
            self.action_cursor_right()
        else:
            self.screen.focus_next()
