"""Rank 0's voice: events, the status file with its heartbeat, and the lines of the console log."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from engine.run.control import Command
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, read_status, write_status
from engine.training.memory import take_peak_bytes

log = logging.getLogger("cascade")

HEARTBEAT_SECONDS = 2.0


class Reporter:
    """Writes what happens to the run directory; every method does nothing on other ranks."""

    def __init__(self, run: RunDirectory, *, is_main: bool = True) -> None:
        self.run = run
        self.is_main = is_main
        self._events = EventWriter(run.events) if is_main else None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        before = read_status(run)
        self.status = Status.of_process(
            "starting",
            phase="preparing",
            supervisor_pid=before.supervisor_pid if before else None,
        )
        self._lost_events = 0
        if is_main:
            self._write()
            threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while not self._closed.wait(HEARTBEAT_SECONDS):
            self._write()

    def _write(self, **changes: object) -> None:
        if not self.is_main:
            return
        with self._lock:
            self.status = replace(self.status, heartbeat=time.time(), **changes)
            try:
                write_status(self.run, self.status)
            except OSError as error:  # a full disk must not end the run; the next beat tries again
                log.error("status.json could not be written: %s", error)

    def emit(self, kind: str, **fields: object) -> None:
        """Append one event. A full disk does not end the run: what was lost is said afterwards."""
        if self._events is None:
            return
        try:
            if self._lost_events:
                message = f"{self._lost_events} events could not be written: the disk was full"
                self._events.emit("problem", severity="error", key="", message=message, fix="")
                self._lost_events = 0
            self._events.emit(kind, **fields)
        except OSError as error:
            self._lost_events += 1
            log.error("event %s could not be written: %s", kind, error)

    def progress(self, *, step: int) -> None:
        """Remember the step for the next heartbeat; writes nothing now."""
        with self._lock:
            self.status = replace(self.status, step=step)

    def begin(self, *, step: int, max_train_steps: int) -> None:
        """The run has a length and a position."""
        self._write(state="running", step=step, max_train_steps=max_train_steps)

    def phase(self, phase: str, *, step: int) -> None:
        """Enter a phase of the run; the peak of GPU memory in the last one is told."""
        peak = take_peak_bytes()
        if peak is not None:
            self.emit("memory", phase=self.status.phase, step=step, peak_memory_bytes=peak)
        self.emit("phase", phase=phase, step=step)
        self._write(state="paused" if phase == "paused" else "running", phase=phase, step=step)
        if self.is_main:
            log.info("%s", phase.replace("_", " "))

    def problem(self, severity: str, message: str, *, key: str = "", fix: str = "") -> None:
        """Say that something is wrong, where it is, and what would mend it."""
        self.emit("problem", severity=severity, key=key, message=message, fix=fix)
        if self.is_main:
            level = logging.ERROR if severity == "error" else logging.WARNING
            log.log(level, "%s%s", message, f" Fix: {fix}" if fix else "")

    def acknowledge(
        self,
        commands: Sequence[Command],
        state: str,
        *,
        step: int,
        message: str = "",
        **details: object,
    ) -> None:
        """Tell who sent these commands what became of them."""
        for command in commands:
            self.emit(
                "command",
                id=command.id,
                command=command.command,
                state=state,
                step=step,
                message=message,
                **details,
            )

    def close(self, state: str, *, code: int, step: int, reason: str) -> None:
        """Write the terminal state: the last word of this process."""
        self._closed.set()
        self.emit("exit", code=code, state=state, step=step, reason=reason)
        self._write(state=state, exit_code=code, step=step, message=reason)
        if self.is_main:
            log.info("%s at step %d (exit code %d): %s", state, step, code, reason)
