"""A thread that reads a run directory as it grows and hands out snapshots."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cascade_tui.follow.console import ConsoleTail
from cascade_tui.follow.metrics import Series
from cascade_tui.follow.snapshot import CacheState, Notice, Picture, RunSnapshot, SentCommand
from engine.run.control import pending
from engine.run.events import EventReader
from engine.run.paths import RunDirectory
from engine.run.status import RunState, derive_state

METRICS = ("loss", "lr", "grad_norm", "images_per_second")
_POLL_SECONDS = 0.5
_BUDGET_SECONDS = 0.05
_MAX_NOTICES = 50
_PACE_SHARE = 0.9  # of the past in the smoothed seconds a step
_NON_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class RunReader:
    """Turns a run's events into a snapshot; without a thread, for tests and ``status``."""

    def __init__(self, run: RunDirectory) -> None:
        self.run = run
        self._events = EventReader(run.events)
        self._resets = 0
        self._console = ConsoleTail(run.console_log)
        self.snapshot = RunSnapshot(0, RunState("new"), run.root.name, series=_new_series())

    def poll(self) -> bool:
        """Read what is new within a small time budget; True if the snapshot changed."""
        before = self.snapshot
        events = self._events.poll(_BUDGET_SECONDS)
        if self._events.resets != self._resets:  # the file was replaced: another run began
            self._resets = self._events.resets
            self.snapshot = RunSnapshot(
                before.version, before.state, before.name, series=_new_series()
            )
        for event in events:
            self._take(event)
        if self._console.poll():
            self._set(console=self._console.lines)
        self._see_state()
        self._see_waiting_commands()
        changed = bool(events) or self.snapshot is not before
        if changed:
            self._set(version=before.version + 1)
        return changed

    @property
    def has_more(self) -> bool:
        """Whether whole lines were left unread for want of time."""
        return self._events.has_more

    def _set(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, **changes)

    def _see_state(self) -> None:
        state = replace(derive_state(self.run), heartbeat_age_seconds=None)
        if state != self.snapshot.state:
            # The event log is ahead of status.json; the latter counts where there is no event.
            self._set(
                state=state,
                max_steps=self.snapshot.max_steps or state.max_train_steps or 0,
                step=self.snapshot.step or state.step,
                phase=self.snapshot.phase or state.phase,
            )

    def _see_waiting_commands(self) -> None:
        known = {command.id for command in self.snapshot.commands}
        new = [c for c in pending(self.run) if c.id not in known]
        if new:
            sent = tuple(SentCommand(c.id, c.command, "pending") for c in new)
            self._set(commands=(*self.snapshot.commands, *sent)[-20:])

    def _take(self, event: dict[str, Any]) -> None:
        handler = _HANDLERS.get(str(event.get("kind")))
        if handler is None:
            return
        with contextlib.suppress(KeyError, TypeError, ValueError):  # an event of another version
            handler(self, event)

    # -- one method an event kind -------------------------------------------------------------

    def _on_start(self, event: dict[str, Any]) -> None:
        self._set(start=event, max_steps=int(event.get("max_train_steps") or 0), exit_reason="")

    def _on_phase(self, event: dict[str, Any]) -> None:
        self._set(phase=str(event.get("phase", "")))

    def _on_step(self, event: dict[str, Any]) -> None:
        step = int(event["step"])
        seconds = _number(event.get("seconds"))
        if math.isfinite(seconds):
            past = self.snapshot.seconds_per_step
            share = _PACE_SHARE if past > 0 else 0.0
            self._set(seconds_per_step=share * past + (1 - share) * seconds)
        for name in METRICS:
            series = self.snapshot.series[name]
            if step < series.last_step:  # a crash without a rewind event
                series.truncate_after(step - 1)
            series.append(step, _number(event.get(name)))
        self._set(
            step=step,
            images_per_second=_number(event.get("images_per_second")),
            peak_memory_bytes=int(event.get("peak_memory_bytes") or 0),
        )

    def _on_rewind(self, event: dict[str, Any]) -> None:
        step = int(event["step"])
        for series in self.snapshot.series.values():
            series.truncate_after(step)
        kept = tuple(p for p in self.snapshot.pictures if p.step <= step)
        self._set(step=step, pictures=kept)

    def _on_cache(self, event: dict[str, Any]) -> None:
        fields = {name: event.get(name) for name in CacheState.__dataclass_fields__}
        fields["per_second"] = _number(fields["per_second"])
        state = CacheState(**fields)  # type: ignore[arg-type]
        self._set(caches={**self.snapshot.caches, state.which: state})

    def _on_image(self, event: dict[str, Any]) -> None:
        path = self.run.root / str(event["path"])
        picture = Picture(
            int(event["step"]),
            str(event["prompt"]),
            str(event.get("text", "")),
            str(path),
            int(event.get("seed") or 0),
            str(event.get("source", "preview")),
        )
        self._set(pictures=(*self.snapshot.pictures, picture))

    def _on_problem(self, event: dict[str, Any]) -> None:
        notice = Notice(
            str(event.get("severity", "warning")),
            str(event.get("message", "")),
            str(event.get("fix", "")),
        )
        self._set(notices=(*self.snapshot.notices, notice)[-_MAX_NOTICES:])

    def _on_checkpoint(self, event: dict[str, Any]) -> None:
        self._set(last_checkpoint=int(event["step"]))

    def _on_export(self, event: dict[str, Any]) -> None:
        path = str(self.run.root / str(event["path"]))
        self._set(exports=tuple(dict.fromkeys((*self.snapshot.exports, path))))

    def _on_command(self, event: dict[str, Any]) -> None:
        answered = SentCommand(
            str(event.get("id")),
            str(event.get("command")),
            str(event.get("state")),
            str(event.get("message") or ""),
        )
        others = tuple(c for c in self.snapshot.commands if c.id != answered.id)
        self._set(commands=(*others, answered)[-20:])

    def _on_exit(self, event: dict[str, Any]) -> None:
        self._set(exit_reason=str(event.get("reason", "")))


_HANDLERS: dict[str, Callable[[RunReader, dict[str, Any]], None]] = {
    name.removeprefix("_on_"): handler
    for name, handler in vars(RunReader).items()
    if name.startswith("_on_")
}


class RunFollower:
    """Polls a :class:`RunReader` in a thread of its own and calls back with each new snapshot."""

    def __init__(self, run: RunDirectory, on_change: Callable[[RunSnapshot], None]) -> None:
        self.reader = RunReader(run)
        self._on_change = on_change
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; waits for a call back that is under way."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=2.0)

    def _follow(self) -> None:
        first = True
        while not self._stop.is_set():
            changed = self.reader.poll()
            # Backlog first: one snapshot when it is read, not one for each bite of it.
            if (changed or first) and not self.reader.has_more and not self._stop.is_set():
                self._on_change(self.reader.snapshot)
                first = False
            if self.reader.has_more:
                time.sleep(0)
            else:
                self._stop.wait(_POLL_SECONDS)


def _number(value: Any) -> float:
    """A number of an event: non-finite ones are text there, absent ones count as NaN."""
    if isinstance(value, str):
        return _NON_FINITE.get(value, math.nan)
    return math.nan if value is None else float(value)


def _new_series() -> dict[str, Series]:
    return {name: Series() for name in METRICS}
