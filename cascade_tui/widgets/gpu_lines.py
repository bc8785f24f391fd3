"""GPUs as lines of text, in as much detail as there is room for."""

from __future__ import annotations

from rich.text import Text

from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.gpu_processes import GpuProcess, is_of_run
from cascade_tui.widgets.bars import bar
from cascade_tui.widgets.glyphs import fit
from cascade_tui.widgets.shown_keys import shown_key

MEMORY_MARK = 0.95
"""Above this share of the memory, a fragmented allocator may fail."""

_GIB = 1 << 30
_WARN, _OURS = "▲", "●"
_SMALL_BAR = 8
_LARGE_BAR = 60


class GpuLines:
    """A report with what the trainer says of itself: its pid, and its peak of tensors (0: none)."""

    def __init__(
        self, report: GpuReport, *, trainer_pid: int | None, trainer_peak_bytes: int
    ) -> None:
        self.report = report
        self.trainer_pid = trainer_pid
        self.trainer_peak_bytes = trainer_peak_bytes
        everyone = [process for gpu in report.gpus for process in gpu.processes]
        self._trainer = next((p for p in everyone if p.pid == trainer_pid), None)

    def is_ours(self, process: GpuProcess) -> bool:
        """Whether a process is of the run that is watched."""
        return is_of_run(process, self._trainer, self.trainer_pid)

    def small(self, width: int, height: int) -> list[Text]:
        """All GPUs in at most ``height`` lines: two lines each, one each, or two a line."""
        gpus = self.report.gpus
        if len(gpus) == 1:
            lines = self._detailed(gpus[0], width)[:height]
            return lines + self._some_processes(gpus[0], width, height - len(lines))
        if 2 * len(gpus) <= height:
            return [line for gpu in gpus for line in _two_lines(gpu, width)]
        lines = [_one_line(gpu, width) for gpu in gpus]
        if len(lines) > height:
            halves = [_half_line(gpu, (width - 1) // 2) for gpu in gpus]
            pairs = (halves[first : first + 2] for first in range(0, len(halves), 2))
            lines = [Text(" ").join(pair) for pair in pairs]
        if len(lines) <= height:
            return lines
        more = f"{len(gpus) - 2 * (height - 1)} more: {shown_key('monitor.gpus', 'u')} shows all"
        return [*lines[: height - 1], Text(fit(more, width), style="dim")]

    def full(self, width: int) -> list[Text]:
        """Everything about every GPU, a block each."""
        lines: list[Text] = []
        for gpu in self.report.gpus:
            lines.append(Text(fit(f"GPU {gpu.index}  {gpu.name}", width), style="bold"))
            lines += self._detailed(gpu, width)
            table = self._process_lines(gpu, width)
            lines += table or [Text("the driver reports no process", style="dim")]
            lines.append(Text())
        return lines[:-1]

    def _detailed(self, gpu: GpuSample, width: int) -> list[Text]:
        """Memory, its peaks, what it does, and why it is slower than it could be."""
        peak, share = f"peak {_gib(gpu.peak_bytes)}", ""
        if gpu.total_bytes:
            share = f" ({100 * gpu.peak_bytes / gpu.total_bytes:.0f} %)"
        tensors = f", tensors {self.trainer_peak_bytes / _GIB:.1f}"
        tensors = tensors if self.trainer_peak_bytes else ""
        if len(peak + share + tensors) > width:
            share = ""
        lines = [_memory_line(gpu, "VRAM ", width), Text(fit(peak + share + tensors, width))]
        facts = "  ".join(_facts(gpu))
        if not gpu.throttles:
            return [*lines, Text(fit(facts, width))]
        sick = bool(gpu.ailments)
        why = ("throttled: " if sick else "") + ", ".join(gpu.throttles)
        reasons = Text(f"{_WARN} {why}" if sick else why, style="red" if sick else "dim")
        if len(facts) + 2 + reasons.cell_len <= width:
            return [*lines, Text.assemble(facts, "  ", reasons)]
        reasons.truncate(width, overflow="ellipsis")
        return [*lines, Text(fit(facts, width)), reasons]

    def _process_lines(self, gpu: GpuSample, width: int) -> list[Text]:
        """A line a process: ours marked, pid, memory, user and name."""
        return [self._process_line(process, width) for process in gpu.processes]

    def _some_processes(self, gpu: GpuSample, width: int, height: int) -> list[Text]:
        """Those that fit in ``height`` lines, and how many others there are."""
        lines = self._process_lines(gpu, width)
        if len(lines) <= height:
            return lines
        if height <= 0:
            return []
        shown = height - 1
        key = shown_key("monitor.gpus", "u")
        more = f"{len(lines) - shown} {'more ' if shown else ''}processes: {key} shows all"
        return [*lines[:shown], Text(fit(more, width), style="dim")]

    def _process_line(self, process: GpuProcess, width: int) -> Text:
        ours = self.is_ours(process)
        known = process.memory_bytes is not None
        memory = _gib(process.memory_bytes or 0) if known else "? GiB"
        what = f"{process.user}  {process.name}" if process.name else "not visible from here"
        text = f"{_OURS if ours else ' '} {process.pid:>7} {memory:>9}  {what}"
        return Text(fit(text, width), style="" if ours else "dim")


def _memory_line(gpu: GpuSample, label: str, width: int) -> Text:
    is_full = gpu.used_share >= MEMORY_MARK
    numbers = f" {gpu.used_bytes / _GIB:.1f}/{gpu.total_bytes / _GIB:.0f} GiB"
    numbers += f" {_WARN}" if is_full else ""
    space = min(_LARGE_BAR, max(4, width - len(label) - len(numbers)))
    return Text.assemble(label, _memory_bar(gpu, space), numbers)


def _memory_bar(gpu: GpuSample, width: int) -> Text:
    style = "red" if gpu.used_share >= MEMORY_MARK else "green"
    return bar(gpu.used_share, width, mark=MEMORY_MARK, style=style)


def _two_lines(gpu: GpuSample, width: int) -> list[Text]:
    facts = "  " + "  ".join(_facts(gpu))
    reasons = ", ".join(gpu.throttles)
    if gpu.ailments:
        facts = f"{_WARN} {reasons}{facts}"
    elif reasons and len(facts) + 2 + len(reasons) <= width:
        facts += f"  {reasons}"
    style = "red" if gpu.ailments else ""
    return [_memory_line(gpu, f"{gpu.index} ", width), Text(fit(facts, width), style=style)]


def _one_line(gpu: GpuSample, width: int) -> Text:
    """Memory, use and heat; the power if there is room."""
    label, size = f"{gpu.index} ", f" {gpu.used_bytes / _GIB:3.0f}/{gpu.total_bytes / _GIB:.0f}G"
    facts = [
        "" if value is None else f"{value:>3.0f}{unit}"
        for value, unit in (
            (gpu.utilization_percent, "%"),
            (gpu.temperature_celsius, "°"),
            (gpu.power_watts, "W"),
        )
    ]
    mark = f" {_WARN}" if gpu.ailments or gpu.used_share >= MEMORY_MARK else "  "
    needed = len(label) + len(size) + len(mark)
    rest = ""
    for fact in facts:
        if fact and needed + len(rest) + 1 + len(fact) + _SMALL_BAR <= width:
            rest += f" {fact}"
    space = min(_LARGE_BAR, max(4, width - needed - len(rest)))
    text = Text.assemble(label, _memory_bar(gpu, space), size, rest, (mark, "red"))
    text.truncate(width)
    return text


def _half_line(gpu: GpuSample, width: int) -> Text:
    """Memory as a bar, and use."""
    mark = _WARN if gpu.ailments or gpu.used_share >= MEMORY_MARK else " "
    used = gpu.utilization_percent
    rest = "    " if used is None else f"{used:>3}%"
    space = max(3, width - len(f"{gpu.index} {rest}{mark}"))
    return Text.assemble(f"{gpu.index} ", _memory_bar(gpu, space), rest, (mark, "red"))


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


def _gib(size: int) -> str:
    return f"{size / _GIB:.1f} GiB"
