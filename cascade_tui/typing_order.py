"""Keys take effect in the order in which they were typed.

Textual hands a character straight to the text field that has the focus, but a key that is bound
(backspace, tab, enter) goes up from there to the app first, and a field that a key opens has the
focus only after that. Where several keys come at once, as over a slow SSH connection, later ones
would overtake it: "backspace, 2" would type 2 and delete it again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

Typed = events.Key | events.Paste
_PATIENCE_SECONDS = 0.5
"""A widget that is taken off the screen may never answer."""


class TypingOrder:
    """Holds a key back while the one before it is still on its way."""

    def __init__(self, app: App[Any], deliver: Callable[[Typed], Awaitable[None]]) -> None:
        """``deliver`` does with a key what the app does with any."""
        self._app = app
        self._deliver = deliver
        self._waiting: deque[Typed] = deque()
        self._turn = 0
        self._is_busy = False

    async def take(self, event: Typed) -> None:
        """Deliver it now, or when its turn comes."""
        if self._is_busy:
            self._waiting.append(event)
        else:
            await self._type(event)

    async def _type(self, event: Typed) -> None:
        widget = self._app.focused or self._app.screen
        await self._deliver(event)
        self._is_busy = True
        self._turn += 1
        done = partial(self._app.call_later, self._go_on, self._turn)
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, done)
        # The app comes last, and once more: what a key's action asks of it is done by then.
        nodes = [*widget.ancestors_with_self, self._app]
        _after(nodes, partial(self._go_on, self._turn))

    async def _go_on(self, turn: int) -> None:
        """The key of that turn has taken effect: on with those that wait."""
        if turn != self._turn or not self._is_busy:
            return
        self._is_busy = False
        if self._waiting:
            await self._type(self._waiting.popleft())


def _after(nodes: Sequence[MessagePump], act: Callable[[], Awaitable[None]]) -> None:
    """Call once each of the nodes, one after the other, has done what is in its queue."""
    for number, node in enumerate(nodes):
        then = partial(_after, nodes[number + 1 :], act) if nodes[number + 1 :] else act
        if node.call_later(then):
            return
