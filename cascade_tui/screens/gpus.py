"""All GPUs in full: every number, every process."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from cascade_tui.widgets.gpu_lines import GpuLines
from cascade_tui.widgets.rows import TextRows
from cascade_tui.widgets.shown_keys import shown_key


class GpuBlocks(TextRows):
    """A block of lines for each GPU."""

    DEFAULT_CSS = "GpuBlocks { height: auto; }"

    def __init__(self, lines: GpuLines | None) -> None:
        super().__init__()
        self._lines = lines

    def show(self, lines: GpuLines | None) -> None:
        """Show another moment."""
        self._lines = lines
        self.redraw()

    def make_lines(self, width: int) -> list[Text]:
        """Why there is nothing, or all there is."""
        if self._lines is None:
            return [Text("the GPUs have not been asked yet", style="dim")]
        if not self._lines.report.gpus:
            text = Text(f"no NVIDIA GPU to show: {self._lines.report.reason}", style="dim")
            return list(text.wrap(self.app.console, max(1, width)))
        return self._lines.full(width)


class GpuScreen(ModalScreen[None]):
    """Shows what the Monitor's GPU panel has no room for; `show` brings it up to date."""

    BINDING_GROUP_TITLE = "All GPUs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,u,q", "app.pop_screen", "Close", id="gpus.close"),
    ]
    DEFAULT_CSS = """
    GpuScreen {
        align: center middle;
        & > VerticalScroll {
            width: 100; max-width: 100%; height: auto; max-height: 100%;
            border: round $primary; background: $surface; padding: 0 1;
            scrollbar-size-vertical: 1;
        }
    }
    """

    def __init__(self, lines: GpuLines | None) -> None:
        super().__init__()
        self._first = lines

    def compose(self) -> ComposeResult:
        """The blocks, which scroll."""
        panel = VerticalScroll()
        panel.border_title = "GPUs"
        close = shown_key("gpus.close", "escape")
        panel.border_subtitle = f"● of this run · ↑/↓ scroll · {close} closes"
        with panel:
            yield GpuBlocks(self._first)

    def on_mount(self) -> None:
        """Arrow keys scroll."""
        self.query_one(VerticalScroll).focus()

    def show(self, lines: GpuLines | None) -> None:
        """Show another moment."""
        for blocks in self.query(GpuBlocks):
            blocks.show(lines)
