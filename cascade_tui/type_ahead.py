"""Keys take effect one after the other, also when many come at once: over a slow link, or pasted.

Textual hands a key to the widget that has the focus now, and what the key leads to (another focus,
another screen) follows some messages later. Keys that come within that time would go to the old
place: of `/rank` the letters would be taken for keys of the form.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from textual import events, on
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

_ROUNDS = 3
"""How often a message follows a key: what it leads to leads to more, as enter in a field does."""
_LOOK_SECONDS, _MOST_LOOKS = 0.05, 40
"""A key whose widget went away before the message came through is waited for no longer."""


class TypeAhead(App[int], inherit_bindings=False):
    """An app that takes the next key when the one before has done what it does."""

    class Followed(Message):
        """Went the way of a key, from the widget that got it up to the app."""

        def __init__(self, number: int, rounds_left: int, source: MessagePump) -> None:
            super().__init__()
            self.number, self.rounds_left, self.source = number, rounds_left, source

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._typed: deque[events.Key | events.Paste] = deque()
        self._number = 0
        self._source: MessagePump = self
        self._is_under_way = False

    async def on_event(self, event: events.Event) -> None:
        """Let what is typed wait for what was typed before."""
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
        elif not self._is_under_way or (not self._typed and not self._source.is_attached):
            await self._take(event)
        else:
            self._typed.append(event)
            if len(self._typed) == 1:
                self._look(self._number, _MOST_LOOKS)

    async def _take(self, event: events.Key | events.Paste) -> None:
        self._is_under_way = True
        self._number += 1
        number, source = self._number, self.focused or self.screen
        self._source = source
        if self._typed:
            self._look(number, _MOST_LOOKS)
        await super().on_event(event)
        self._follow(number, _ROUNDS, source)

    def _look(self, number: int, looks_left: int) -> None:
        """See to it that the key of that number is not waited for in vain."""
        if number != self._number or not self._is_under_way:
            return
        if looks_left == 0 or not self._source.is_attached:
            self._pass_screen(number)
        else:
            self.set_timer(_LOOK_SECONDS, partial(self._look, number, looks_left - 1))

    def _follow(self, number: int, rounds_left: int, source: MessagePump) -> None:
        if not source.post_message(self.Followed(number, rounds_left, source)):
            self.call_later(self._go_on, number)

    @on(Followed)
    def _followed(self, message: Followed) -> None:
        if message.number != self._number:
            return  # it was given up
        if not self._typed:  # nobody types ahead: what comes later finds everything in its place
            self._is_under_way = False
        elif message.rounds_left > 1:
            self._follow(message.number, message.rounds_left - 1, message.source)
        else:  # behind the focus that was asked for, and behind the start of a new screen
            self.call_later(self._pass_screen, message.number)

    def _pass_screen(self, number: int) -> None:
        self.screen.call_later(self.call_later, self._go_on, number)

    async def _go_on(self, number: int) -> None:
        if number != self._number:
            return
        if self._typed:
            await self._take(self._typed.popleft())
        else:
            self._is_under_way = False
