"""Keys that come all at once, as over a slow connection, take effect in their order."""

from __future__ import annotations

from typing import ClassVar

import pytest
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, TextArea

from cascade_tui.themes import ThemedApp
from tests.cascade_tui.test_monitor import until


class Form(ThemedApp):
    """Two fields and a text; enter sends what the first field holds, as forms of ours do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", priority=True),
        Binding("tab", "app.focus_next"),
        Binding("escape", "leave"),
        Binding("slash", "search"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[str] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Input("100", id="one", select_on_focus=False)
            yield Input(id="two", select_on_focus=False)
            yield TextArea("100")

    def action_send(self) -> None:
        self.sent.append(self.query_one("#one", Input).value)

    def action_search(self) -> None:
        self.query_one("#two").focus()

    def action_leave(self) -> None:
        self.query_one("#one").remove()

    def type_at_once(self, *keys: str) -> None:
        """What the terminal's driver does with a burst of bytes."""
        for key in keys:
            self.post_message(events.Key(key, key if len(key) == 1 else None))


def values(app: Form) -> list[str]:
    return [field.value for field in app.query(Input)]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (("backspace", "backspace", "backspace", "2", "3"), ["23", ""]),
        (("left", "5", "end", "6"), ["10506", ""]),
        (("7", "tab", "8", "backspace", "9"), ["1007", "9"]),
        (("tab", "x", "shift+x", "y"), ["100", "xy"]),
    ],
)
async def test_a_burst_of_keys_edits_as_if_typed_slowly(
    keys: tuple[str, ...], expected: list[str]
) -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.query_one("#one").focus()
        await pilot.pause()
        app.type_at_once(*keys)
        await until(pilot, lambda: values(app) == expected)


async def test_a_text_of_lines_too() -> None:
    app = Form()
    async with app.run_test() as pilot:
        area = app.query_one(TextArea)
        area.focus()
        area.cursor_location = (0, 3)
        await pilot.pause()
        app.type_at_once("backspace", "backspace", "4", "left", "5")
        await until(pilot, lambda: area.text == "154")


async def test_enter_sends_all_that_was_typed_before_it_and_nothing_after() -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.query_one("#one").focus()
        await pilot.pause()
        app.type_at_once("5", "enter", "6", "enter")
        app.post_message(events.Paste("78"))
        app.type_at_once("enter")
        await until(pilot, lambda: len(app.sent) == 3)
        assert app.sent == ["1005", "10056", "1005678"]


async def test_what_follows_a_key_that_opens_a_field_goes_into_the_field() -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.screen.set_focus(None)
        await pilot.pause()
        app.type_at_once("slash", "a", "b")
        await until(pilot, lambda: values(app) == ["100", "ab"])


async def test_keys_go_on_after_the_field_is_gone() -> None:
    app = Form()
    async with app.run_test() as pilot:
        app.query_one("#one").focus()
        await pilot.pause()
        app.type_at_once("escape", "1")
        await until(pilot, lambda: not app.query("#one"))
        app.query_one("#two").focus()
        await pilot.pause()
        app.type_at_once("2")
        await until(pilot, lambda: values(app)[-1].endswith("2"))
