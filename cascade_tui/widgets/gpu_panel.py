"""The GPUs: memory, use, power, temperature."""

from __future__ import annotations

from rich.text import Text

from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.widgets.bars import bar
from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.rows import TextRows

MEMORY_MARK = 0.95
"""Above this share of the memory, a fragmented allocator may fail."""

_GIB = 1 << 30


class GpuPanel(TextRows):
    """Three lines for one GPU, two each for several, or why there is none."""

    DEFAULT_CSS = """
    GpuPanel {
        height: auto;
        border: round $surface-lighten-3;
        border-title-color: $foreground;
        padding: 0 1;
        overflow: hidden;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._report: GpuReport | None = None
        self._trainer_peak_bytes = 0
        self.border_title = "GPU"

    def show(self, report: GpuReport | None = None, trainer_peak_bytes: int | None = None) -> None:
        """Show a new report, or a new peak as the trainer counts it (0: unknown)."""
        self._report = self._report if report is None else report
        if trainer_peak_bytes is not None:
            self._trainer_peak_bytes = trainer_peak_bytes
        title = self._title()
        if title != self.border_title:
            self.border_title = title
        self.redraw()

    def _title(self) -> str:
        gpus = self._report.gpus if self._report else ()
        if len(gpus) == 1:
            return f"GPU {gpus[0].index}  {gpus[0].name}"
        return "GPUs" if gpus else "GPU"

    def make_lines(self, width: int) -> list[Text]:
        """The bars are as wide as the panel."""
        if self._report is None or width <= 0:
            return []
        gpus = self._report.gpus
        if not gpus:
            text = Text(f"no NVIDIA GPU to show: {self._report.reason}", style="dim")
            return list(text.wrap(self.app.console, width))
        return [
            line
            for gpu in gpus
            for line in _lines(
                gpu, width, is_single=len(gpus) == 1, trainer_peak_bytes=self._trainer_peak_bytes
            )
        ]


def _lines(gpu: GpuSample, width: int, *, is_single: bool, trainer_peak_bytes: int) -> list[Text]:
    used, total = gpu.used_bytes / _GIB, gpu.total_bytes / _GIB
    share = gpu.used_bytes / gpu.total_bytes if gpu.total_bytes else 0.0
    is_full = share >= MEMORY_MARK
    label = "VRAM " if is_single else f"{gpu.index} "
    numbers = f" {used:.1f}/{total:.0f} GiB" + (" ▲" if is_full else "")
    space = max(4, width - len(label) - len(numbers))
    style = "red" if is_full else "green"
    memory = Text.assemble(label, bar(share, space, mark=MEMORY_MARK, style=style), numbers)
    facts = _facts(gpu)
    if not is_single:
        return [memory, Text(fit("  ".join(facts), width))]
    peak = f"peak {gpu.peak_bytes / _GIB:.1f} GiB"
    if trainer_peak_bytes:
        peak += f", tensors {trainer_peak_bytes / _GIB:.1f}"
    return [memory, Text(fit(peak, width)), Text(fit("  ".join(facts), width))]


def _facts(gpu: GpuSample) -> list[str]:
    facts = []
    if gpu.utilization_percent is not None:
        facts.append(f"util {gpu.utilization_percent} %")
    if gpu.power_watts is not None:
        limit = "" if gpu.power_limit_watts is None else f"/{gpu.power_limit_watts:.0f}"
        facts.append(f"{gpu.power_watts:.0f}{limit} W")
    if gpu.temperature_celsius is not None:
        facts.append(f"{gpu.temperature_celsius} °C")
    return facts
