"""Loss, gradient norm and speed of the steps since the last report, read in one go."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass

import torch

from engine.training.step import StepResult


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step as it is written to ``events.jsonl``; ``step`` counts finished steps, from 1."""

    step: int
    loss: float
    grad_norm: float
    lr: float
    finite: bool
    seconds: float
    images_per_second: float
    loader_wait_seconds: float
    peak_memory_bytes: int


class Meter:
    """Keeps device scalars until :meth:`flush`, which is the loop's only host sync."""

    def __init__(self, *, images_per_step: int, interval_seconds: float = 0.5) -> None:
        self.images_per_step = images_per_step
        self.interval_seconds = interval_seconds
        self._pending: list[tuple[int, StepResult, float, float]] = []
        self._since = time.perf_counter()

    def restart(self) -> None:
        """Begin timing anew, after a flush: validation, saving or a pause is not step time."""
        assert not self._pending, "flush first: these steps would lose their time"
        self._since = time.perf_counter()

    def add(self, step: int, result: StepResult, *, lr: float, loader_wait: float) -> None:
        """Remember a finished step."""
        self._pending.append((step, result, lr, loader_wait))

    @property
    def is_due(self) -> bool:
        """Whether it is time to report."""
        return time.perf_counter() - self._since >= self.interval_seconds

    def flush(self) -> list[StepRecord]:
        """Return the steps since the last flush; their time is shared out evenly."""
        if not self._pending:
            return []
        results = [result for _, result, _, _ in self._pending]
        losses = torch.stack([result.loss for result in results]).tolist()
        norms = torch.stack([result.grad_norm for result in results]).tolist()
        finite = torch.stack([result.finite for result in results]).tolist()
        now = time.perf_counter()
        seconds = (now - self._since) / len(results)
        peak = peak_memory_bytes()
        records = [
            StepRecord(
                step=step,
                loss=loss,
                grad_norm=norm,
                lr=lr,
                finite=is_finite,
                seconds=seconds,
                images_per_second=self.images_per_step / seconds,
                loader_wait_seconds=wait,
                peak_memory_bytes=peak,
            )
            for (step, _, lr, wait), loss, norm, is_finite in zip(
                self._pending, losses, norms, finite, strict=True
            )
        ]
        self._pending.clear()
        self._since = now
        return records


def peak_memory_bytes() -> int:
    """The largest memory so far: allocated on the GPU, or resident where there is none."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
