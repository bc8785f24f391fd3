"""The groups of fields, with the number of problems in each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.events import Click
from textual.message import Message

from cascade_tui.widgets.glyphs import GLYPHS, fit
from cascade_tui.widgets.rows import TextRows
from engine.config.problems import Severity


class GroupList(TextRows):
    """One line per group; the current one is marked, a click goes there."""

    DEFAULT_CSS = """
    GroupList { padding: 0 1; }
    """

    class Chosen(Message):
        """A group was clicked."""

        def __init__(self, group: str) -> None:
            super().__init__()
            self.group = group

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._current = ""
        self._groups: tuple[str, ...] = ()
        self._counts: Mapping[str, Counter[Severity]] = {}

    def show(self, groups: Sequence[str], counts: Mapping[str, Counter[Severity]]) -> None:
        """Show these groups with their problems by severity."""
        shown = (tuple(groups), {group: Counter(of) for group, of in counts.items()})
        if shown != (self._groups, self._counts):
            self._groups, self._counts = shown
            self.redraw()

    @property
    def current(self) -> str:
        """The group of the field under the cursor."""
        return self._current

    def mark(self, group: str) -> None:
        """Mark ``group`` as the current one."""
        if group != self._current:
            self._current = group
            self.redraw()

    @property
    def _top(self) -> int:
        """The first group in view: the current one is always seen."""
        if self.current not in self._groups:
            return 0
        spare = len(self._groups) - self.size.height
        return max(0, min(spare, self._groups.index(self.current) - self.size.height // 2))

    def make_lines(self, width: int) -> list[Text]:
        """The groups in view."""
        lines: list[Text] = []
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
            lines.append(Text.assemble((line, style), no_wrap=True, end=""))
        return lines

    def on_click(self, event: Click) -> None:
        """Go to the group under the pointer."""
        offset = event.get_content_offset(self)
        index = self._top + offset.y if offset is not None else -1
        if 0 <= index < len(self._groups):
            self.post_message(self.Chosen(self._groups[index]))
