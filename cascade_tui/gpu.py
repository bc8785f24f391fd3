"""What the GPUs do, asked of NVML once a second in a thread of its own.

A sick GPU can make NVML hang, so nothing but that thread ever waits for it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from cascade_tui.gpu_processes import GpuProcess, look_up

POWER_CAP = "power cap"
THROTTLES = {
    0x04: POWER_CAP,
    0x08: "hardware slowdown",
    0x20: "too hot",
    0x40: "too hot",
    0x80: "power brake",
}
"""NVML's bits that mean slower clocks under load; idling and chosen clocks are none."""


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
    throttles: tuple[str, ...] = ()
    """Why the clocks are lower than they could be, of :data:`THROTTLES`."""
    processes: tuple[GpuProcess, ...] = ()

    @property
    def used_share(self) -> float:
        """How much of the memory is in use, 0 to 1."""
        return self.used_bytes / self.total_bytes if self.total_bytes else 0.0

    @property
    def ailments(self) -> tuple[str, ...]:
        """The throttles that say something is wrong: all but the power cap of a busy GPU."""
        return tuple(reason for reason in self.throttles if reason != POWER_CAP)


@dataclass(frozen=True, slots=True)
class GpuReport:
    """All GPUs, or the reason for which there is none to show."""

    gpus: tuple[GpuSample, ...] = ()
    reason: str = ""


class GpuSource:
    """Reads NVML; remembers the most memory that was in use since it began to look."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}
        self._is_ready = False

    def read(self) -> GpuReport:
        """The GPUs now. Never raises for a missing library, a missing driver or an ailing GPU."""
        try:
            import pynvml
        except ImportError as error:
            return GpuReport(reason=f"{error}: install nvidia-ml-py")
        try:
            if not self._is_ready:
                pynvml.nvmlInit()
                self._is_ready = True
            count = pynvml.nvmlDeviceGetCount()
            gpus = tuple(self._sample(index) for index in range(count))
        except pynvml.NVMLError as error:
            self.close()  # a driver that was reloaded needs a new start
            return GpuReport(reason=_describe(error))
        return GpuReport(gpus, "" if gpus else "the driver sees none")

    def close(self) -> None:
        """Let go of NVML."""
        if not self._is_ready:
            return
        import pynvml

        self._is_ready = False
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()

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
            throttles=_throttles(handle),
            processes=_processes(handle),
        )


@dataclass
class GpuWatch:
    """Calls back from a thread of its own with each new report, until stopped.

    One thread asks, another waits for the answer: an NVML that hangs is reported, too.
    """

    on_report: Callable[[GpuReport], None]
    read: Callable[[], GpuReport] = field(default_factory=lambda: GpuSource().read)
    period_seconds: float = 1.0
    patience_seconds: float = 10.0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._answers: SimpleQueue[GpuReport | None] = SimpleQueue()

    def start(self) -> None:
        """Begin to look."""
        for target, name in ((self._ask, "gpu reader"), (self._watch, "gpu watch")):
            threading.Thread(target=target, name=name, daemon=True).start()

    def stop(self) -> None:
        """Look no more; does not wait for a driver that hangs."""
        self._stop.set()
        self._answers.put(None)

    def _ask(self) -> None:
        has_gpus = False
        while not self._stop.is_set():
            report = self.read()
            has_gpus = has_gpus or bool(report.gpus)
            self._answers.put(report)
            if not has_gpus:
                self._answers.put(None)
                return  # a driver does not appear while we look
            self._stop.wait(self.period_seconds if report.gpus else self.patience_seconds)

    def _watch(self) -> None:
        shown: GpuReport | None = None
        while True:
            try:
                # Between two answers lies a period, or the patience after a failure.
                report = self._answers.get(timeout=self.period_seconds + 2 * self.patience_seconds)
            except Empty:
                report = GpuReport(reason="NVML does not answer")
            if report is None or self._stop.is_set():
                return
            if report != shown:
                self.on_report(report)
                shown = report


def _throttles(handle: object) -> tuple[str, ...]:
    """The reasons among :data:`THROTTLES`, each once."""
    import pynvml

    bits = _ask(lambda: pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
    return tuple(dict.fromkeys(word for bit, word in THROTTLES.items() if bits & bit))


def _processes(handle: object) -> tuple[GpuProcess, ...]:
    """Who computes there, the largest first; nobody if the driver does not tell."""
    import pynvml

    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(handle)
    except pynvml.NVMLError:
        return ()
    found = (look_up(int(process.pid), process.usedGpuMemory) for process in running)
    return tuple(sorted(found, key=lambda process: (-(process.memory_bytes or 0), process.pid)))


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
