"""The groups of fields, with the number of problems in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from cascade_tui.widgets.glyphs import GLYPHS, fit
from engine.config.problems import Severity


class GroupList(Widget):
    """One line per group; the current one is marked, a click goes there."""

    DEFAULT_CSS = """
    GroupList { padding: 0 1; }
    """

    current: reactive[str] = reactive("")

    class Chosen(Message):
        """A group was clicked."""

        def __init__(self, group: str) -> None:
            super().__init__()
            self.group = group

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._groups: tuple[str, ...] = ()
        self._counts: Mapping[str, Counter[Severity]] = {}

    def show(self, groups: Sequence[str], counts: Mapping[str, Counter[Severity]]) -> None:
        """Show these groups with their problems by severity."""
        shown = (tuple(groups), {group: Counter(of) for group, of in counts.items()})
        if shown != (self._groups, self._counts):
            self._groups, self._counts = shown
            self.refresh()

    @property
    def _top(self) -> int:
        """The first group in view: the current one is always seen."""
        if self.current not in self._groups:
            return 0
        spare = len(self._groups) - self.size.height
        return max(0, min(spare, self._groups.index(self.current) - self.size.height // 2))

    def render(self) -> Text:
        """The groups in view."""
        text = Text(no_wrap=True, end="")
        width = self.size.width
        for group in self._groups[self._top : self._top + self.size.height]:
            counts = self._counts.get(group, Counter())
            shown = " ".join(
                f"{GLYPHS[severity]}{counts[severity]}"
                for severity in ("error", "warning")
                if counts[severity]
            )
            marker = "▌" if group == self.current else " "
            line = marker + fit(group, width - 2 - len(shown)) + " " + shown
            style = "bold" if group == self.current else ("" if shown else "dim")
            text.append(line + "\n", style)
        return text

    def on_click(self, event: Click) -> None:
        """Go to the group under the pointer."""
        offset = event.get_content_offset(self)
        index = self._top + offset.y if offset is not None else -1
        if 0 <= index < len(self._groups):
            self.post_message(self.Chosen(self._groups[index]))
