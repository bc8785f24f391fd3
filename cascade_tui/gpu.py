"""What the GPUs do, asked of NVML once a second in a thread of its own.

A sick GPU can make NVML hang, so nothing but that thread ever waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

_PERIOD_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment; memory in bytes, None for what the driver does not tell."""

    index: int
    name: str
    used_bytes: int
    total_bytes: int
    peak_bytes: int
    utilization_percent: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    temperature_celsius: int | None = None


@dataclass(frozen=True, slots=True)
class GpuReport:
    """All GPUs, or the reason for which there is none to show."""

    gpus: tuple[GpuSample, ...] = ()
    reason: str = ""


class GpuSource:
    """Reads NVML; remembers the most memory that was in use since it began to look."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}

    def read(self) -> GpuReport:
        """The GPUs now. Never raises for a missing driver or an ailing GPU."""
        import pynvml

        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            return GpuReport(reason=_describe(error))
        try:
            count = pynvml.nvmlDeviceGetCount()
            gpus = tuple(self._sample(index) for index in range(count))
        except pynvml.NVMLError as error:
            return GpuReport(reason=_describe(error))
        finally:
            pynvml.nvmlShutdown()
        return GpuReport(gpus, "" if gpus else "the driver sees none")

    def _sample(self, index: int) -> GpuSample:
        import pynvml

        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        name = pynvml.nvmlDeviceGetName(handle)
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        used = int(memory.used)
        self._peaks[index] = max(used, self._peaks.get(index, 0))
        usage = _ask(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)
        power = _ask(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        limit = _ask(lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle))
        heat = _ask(
            lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        )
        return GpuSample(
            index=index,
            name=name.decode() if isinstance(name, bytes) else str(name),
            used_bytes=used,
            total_bytes=int(memory.total),
            peak_bytes=self._peaks[index],
            utilization_percent=usage,
            power_watts=None if power is None else power / 1000,
            power_limit_watts=None if limit is None else limit / 1000,
            temperature_celsius=heat,
        )


@dataclass
class GpuWatch:
    """Calls back from a thread of its own with each new report, until stopped."""

    on_report: Callable[[GpuReport], None]
    read: Callable[[], GpuReport] = field(default_factory=lambda: GpuSource().read)
    period_seconds: float = _PERIOD_SECONDS

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gpu watch", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; does not wait for a driver that hangs."""
        self._stop.set()

    def _watch(self) -> None:
        before: GpuReport | None = None
        while not self._stop.is_set():
            report = self.read()
            if report != before and not self._stop.is_set():
                self.on_report(report)
            before = report
            if not report.gpus:
                return  # a driver does not appear while we look
            self._stop.wait(self.period_seconds)


def _ask(question: Callable[[], int]) -> int | None:
    """The answer, or None if this GPU has none (a virtual one, an old one)."""
    import pynvml

    try:
        return int(question())
    except pynvml.NVMLError:
        return None


def _describe(error: Exception) -> str:
    text = str(error)
    return "the NVIDIA driver is not installed" if "Shared Library Not Found" in text else text
