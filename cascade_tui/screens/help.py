"""What the keys do, made from the bindings themselves."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen

from cascade_tui.screens.text_panel import TextPanel

_SIGNS = """\
✖ error: a run cannot start    ▲ warning: it can, but look    · hint
• differs from the default     (--set) given on the command line

Other keys: `cascade-tui keys --example` shows the file for them.
"""


class HelpScreen(TextPanel):
    """Every key that works on a screen, by the part of the screen that it belongs to."""

    BINDING_GROUP_TITLE = "Help"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "app.pop_screen", "Close", id="help.close"),
    ]
    PANEL_TITLE = "Keys"
    CLOSE_ID = "help.close"

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._about = about

    def describe(self) -> Text:
        """The keys."""
        return describe_keys(self._about)


def describe_keys(screen: Screen[object]) -> Text:
    """The keys of the app, of a screen and of its widgets that have a title for them."""
    text = Text()
    nodes: list[DOMNode] = [screen, *screen.query("*"), screen.app]
    told: set[str] = set()
    for node in nodes:
        title = node.BINDING_GROUP_TITLE
        if title is None or title in told:
            continue
        told.add(title)
        keys_by_action = _keys_of(node)
        if not keys_by_action:
            continue
        text.append(f"{title}\n", "bold")
        for description, keys in keys_by_action.items():
            text.append(f"  {', '.join(keys):<12} {description}\n")
        text.append("\n")
    text.append(_SIGNS)
    return text


def _keys_of(node: DOMNode) -> dict[str, list[str]]:
    """The keys by what they do, in the order of declaration."""
    keys: dict[str, list[str]] = {}
    for binding in node.BINDINGS:
        if isinstance(binding, Binding) and binding.id and binding.description:
            chosen = Binding(node.app._keymap.get(binding.id, binding.key), binding.action)
            names = keys.setdefault(binding.tooltip or binding.description, [])
            shown = map(node.app.get_key_display, Binding.make_bindings([chosen]))
            names += [name for name in shown if name not in names]
    return keys
