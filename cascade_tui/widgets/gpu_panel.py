"""The GPUs: memory, use, power, temperature, throttling, processes."""

from __future__ import annotations

from rich.text import Text
from textual.geometry import Size

from cascade_tui.gpu import GpuReport
from cascade_tui.widgets.gpu_lines import GpuLines
from cascade_tui.widgets.rows import TextRows

_SHARE_OF_COLUMN = 0.6  # for one GPU or two; more take all but what the panel below needs
_ROWS_BELOW = 4
_BORDER_ROWS = 2
_LEAST_ROWS = 3


class GpuPanel(TextRows):
    """As much of the GPUs as the column it stands in has room for, or why there is none."""

    DEFAULT_CSS = """
    GpuPanel {
        height: auto;
        border: round $foreground 40%;
        border-title-color: $foreground;
        padding: 0 1;
        overflow: hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._report: GpuReport | None = None
        self._trainer_peak_bytes = 0
        self._trainer_pid: int | None = None
        self._room = _LEAST_ROWS
        self.border_title = "GPU"

    @property
    def lines(self) -> GpuLines | None:
        """What is shown, to be shown elsewhere too; None before the first report."""
        if self._report is None:
            return None
        return GpuLines(
            self._report,
            trainer_pid=self._trainer_pid,
            trainer_peak_bytes=self._trainer_peak_bytes,
        )

    def show(self, report: GpuReport) -> None:
        """Show a new report."""
        before, self._report = self._report, report
        if before is None or len(before.gpus) != len(report.gpus):
            self.refresh(layout=True)  # more GPUs are given more room
        title = self._title()
        if title != self.border_title:
            self.border_title = title
        self.redraw()

    def show_trainer(self, *, pid: int | None, peak_bytes: int) -> None:
        """Mark the trainer's processes, and tell its own peak of tensors (0: unknown)."""
        if (pid, peak_bytes) != (self._trainer_pid, self._trainer_peak_bytes):
            self._trainer_pid, self._trainer_peak_bytes = pid, peak_bytes
            self.redraw()

    def _title(self) -> str:
        gpus = self._report.gpus if self._report else ()
        if len(gpus) == 1:
            return f"GPU {gpus[0].index}  {gpus[0].name}"
        return "GPUs: VRAM, use" if gpus else "GPU"

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as lines, up to its share of the column."""
        num_gpus = len(self._report.gpus) if self._report else 0
        column = container.height + _BORDER_ROWS  # what is given has our border taken off
        rows = int(column * _SHARE_OF_COLUMN)
        if num_gpus > 2:
            rows = column - _ROWS_BELOW
        self._room = max(_LEAST_ROWS, rows - _BORDER_ROWS)
        return super().get_content_height(container, viewport, width)

    def make_lines(self, width: int) -> list[Text]:
        """The bars are as wide as the panel."""
        lines = self.lines
        if lines is None or width <= 0:
            return []
        if not lines.report.gpus:
            text = Text(f"no NVIDIA GPU to show: {lines.report.reason}", style="dim")
            return list(text.wrap(self.app.console, width))
        return lines.small(width, self._room)
