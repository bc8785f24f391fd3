"""What somebody should look at: a pure function of what is known of a run and of the GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.headless_view import format_bytes
from cascade_tui.widgets.gpu_lines import MEMORY_MARK, GpuLines
from engine.config.problems import Severity

_LOADER_MARK = 0.5
_CHECKPOINTS_AHEAD = 3
_LEAST_FREE_BYTES = 1_000_000_000
_OVER = {"finished": "finished", "stopped": "stopped", "failed": "failed", "lost": "is lost"}


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing to look at; ``id`` is the same as long as it is the same thing.

    ``has_passed``: it happened, and nobody can end it; seen once, it is done with.
    """

    id: str
    severity: Severity
    message: str
    fix: str = ""
    has_passed: bool = False


def find_alerts(snapshot: RunSnapshot, report: GpuReport | None) -> tuple[Alert, ...]:
    """All that holds now, what the run itself suffers from first."""
    if snapshot.is_partial:
        return ()  # a sample of the log does not tell what the whole says
    found = [*_of_state(snapshot), *_of_steps(snapshot)]
    if snapshot.state.is_alive:
        found += _of_loader(snapshot)
        found += _of_disk(snapshot)
        found += _of_gpus(snapshot, report)
    return tuple(found)


def ending_alert(before: RunSnapshot | None, after: RunSnapshot) -> Alert | None:
    """That a run which was alive is over; None if nothing of that happened."""
    if before is None or not before.state.is_alive or after.state.is_alive:
        return None
    name = after.state.name
    word = _OVER.get(name, "is lost")
    severity: Severity = "hint" if name in ("finished", "stopped") else "error"
    return Alert(f"over-{name}", severity, f"{after.name} {word} at step {after.step}")


def _of_state(snapshot: RunSnapshot) -> Iterator[Alert]:
    state, minutes = snapshot.state, snapshot.health.heartbeat_minutes
    if state.name in ("lost", "lost-at-reboot"):
        fix = "launch it again: it goes on from its last checkpoint"
        yield Alert("lost", "error", state.message or "the trainer is gone", fix)
    elif state.is_alive and minutes:
        fix = "look at the log, and whether the machine and its disk answer"
        yield Alert("heartbeat", "error", f"no heartbeat for {minutes} min", fix)


def _of_steps(snapshot: RunSnapshot) -> Iterator[Alert]:
    skipped, spike = snapshot.health.skipped_steps, snapshot.health.spike
    if skipped:
        count = len(skipped)
        steps = "1 step" if count == 1 else f"{count} steps"
        # Said again when there are twice as many, not at each.
        yield Alert(
            f"skipped-{count.bit_length()}",
            "warning",
            f"{steps} skipped: NaN or infinite (last: step {skipped[-1]})",
            "if it goes on: lower learning_rate, or see the samples in the log",
            has_passed=True,
        )
    if spike is not None:
        yield Alert(
            f"spike-{spike.step}",
            "warning",
            f"loss {spike.loss:.3g} at step {spike.step}, usually {spike.usual:.3g}",
            "a lower learning_rate, or max_grad_norm, if it does not come back",
            has_passed=True,
        )


def _of_loader(snapshot: RunSnapshot) -> Iterator[Alert]:
    if snapshot.quiet_minutes:
        yield Alert(
            "quiet",
            "error",
            f"no step for {snapshot.quiet_minutes} min",
            "look at the log: the loader, the disk or a GPU may hang",
        )
    elif snapshot.phase == "training" and snapshot.health.loader_share > _LOADER_MARK:
        yield Alert(
            "loader",
            "warning",
            f"{100 * snapshot.health.loader_share:.0f} % of each step is waiting for the loader",
            "put the caches on a faster disk, or raise dataloader_prefetch",
        )


def _of_disk(snapshot: RunSnapshot) -> Iterator[Alert]:
    """Too little room for the next checkpoints, or for anything before the first."""
    health = snapshot.health
    needed = _CHECKPOINTS_AHEAD * health.checkpoint_bytes or _LEAST_FREE_BYTES
    if health.free_bytes is None or health.free_bytes >= needed:
        return
    size, free = format_bytes(health.checkpoint_bytes), format_bytes(health.free_bytes)
    room = f" for checkpoints of {size}" if health.checkpoint_bytes else ""
    severity: Severity = "error" if health.free_bytes < health.checkpoint_bytes else "warning"
    fix = "make room, or lower checkpoints_total_limit at the next launch"
    yield Alert("disk", severity, f"{free} free on the disk{room}", fix)


def _of_gpus(snapshot: RunSnapshot, report: GpuReport | None) -> Iterator[Alert]:
    for gpu in _gpus_of_run(snapshot, report):
        if gpu.used_share >= MEMORY_MARK:
            yield Alert(
                f"vram-{gpu.index}",
                "warning",
                f"VRAM of GPU {gpu.index} at {100 * gpu.used_share:.0f} %",
                "a smaller train_batch_size leaves room",
            )
        if gpu.ailments:
            yield Alert(
                f"throttled-{gpu.index}",
                "warning",
                f"GPU {gpu.index} is throttled: {', '.join(gpu.ailments)}",
                "look at its cooling and power supply",
            )


def _gpus_of_run(snapshot: RunSnapshot, report: GpuReport | None) -> tuple[GpuSample, ...]:
    """Those with a process of the run; all if none can be told to be of it (a container)."""
    if report is None:
        return ()
    lines = GpuLines(report, trainer_pid=snapshot.state.pid, trainer_peak_bytes=0)
    ours = tuple(gpu for gpu in report.gpus if any(map(lines.is_ours, gpu.processes)))
    return ours or report.gpus
