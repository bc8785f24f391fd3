"""Turns a run's events into snapshots; without a thread."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import numpy as np
import orjson

from cascade_tui.follow.console import ConsoleTail
from cascade_tui.follow.digest import Digest, Journal, load_digest, save_digest
from cascade_tui.follow.health import HealthWatch
from cascade_tui.follow.metrics import MetricStore
from cascade_tui.follow.numbers import MOST, count, finite
from cascade_tui.follow.pyramid import Floats
from cascade_tui.follow.snapshot import CacheState, Notice, Picture, RunSnapshot, SentCommand
from cascade_tui.follow.timeline import Timeline
from engine.run.control import pending
from engine.run.events import Event, EventReader, as_float
from engine.run.paths import RunDirectory
from engine.run.status import RunState, derive_state

METRICS = ("loss", "lr", "grad_norm", "images_per_second", "loader_wait_seconds")
BANDS = ("band_1", "band_2", "band_3", "band_4")
"""The held-out loss by quarter of the noise levels, from the clearest images to the noisiest."""
_BUDGET_SECONDS = 0.05
_MAX_NOTICES = 50
_MAX_COMMANDS = 20
_PACE_SHARE = 0.9  # of the past in the smoothed seconds a step
_PACE_EVENTS = 64
_LEAST_QUIET_SECONDS = 120.0
_QUIET_STEPS = 20


class RunReader:
    """Reads what a run directory has, and then what is new in it, a bite at a time."""

    def __init__(self, run: RunDirectory, *, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock`` tells how long there has been no step."""
        self.run = run
        self._clock = clock
        self._events = EventReader(run.events, loads=orjson.loads)
        self._num_resets = 0
        self._heartbeat_age: float | None = None
        self._console = ConsoleTail(run.console_log)
        self.snapshot = RunSnapshot(0, RunState("new"), run.root.name)
        self._begin()

    def _begin(self) -> None:
        """Know nothing yet, or forget everything: the log is another run's."""
        before = self.snapshot
        self._metrics = MetricStore(METRICS)
        self._validation = MetricStore(("validation_loss", *BANDS))
        series = {name: self._metrics.series(name) for name in METRICS}
        series |= {name: self._validation.series(name) for name in self._validation.names}
        self.snapshot = RunSnapshot(
            before.version, before.state, before.name, series=series, console=before.console
        )
        self._journal = Journal()
        self._cache_parts: dict[str, list[CacheState]] = {}
        self._timeline = Timeline()
        self._watch = HealthWatch()
        self._num_quarantined = 0
        self._last_step_at = self._clock()
        self._usual_gap_seconds = 0.0

    @property
    def has_more(self) -> bool:
        """Whether whole lines were left unread for want of time."""
        return self._events.has_more

    @property
    def offset(self) -> int:
        """Bytes of the event log that were read."""
        return self._events.offset

    def restore(self) -> bool:
        """Take up what an earlier visit read, if that was kept; before the first poll."""
        digest = load_digest(self.run.events, METRICS)
        if digest is None:
            return False
        for entry in digest.journal.replay():
            if isinstance(entry, list):
                self._watch.take_steps(entry, may_be_broken=False)
                self._take_newest(entry)
            else:
                self._take_other(entry)
        self._journal = digest.journal
        self._metrics.begin_with(digest.steps, digest.values, digest.bases)
        self._watch.restore(digest.facts)
        self._events = EventReader(self.run.events, offset=digest.offset, loads=orjson.loads)
        return True

    def save(self) -> None:
        """Keep what was read for the next visit.

        Raises:
            OSError: the user's cache folder cannot be written.
        """
        rows = range(len(METRICS))
        digest = Digest(
            self.offset,
            self._metrics.steps.all(),
            [self._metrics.column(row).all() for row in rows],
            [self._metrics.pyramid(row).base for row in rows],
            self._journal,
            self._watch.facts(),
        )
        save_digest(self.run.events, METRICS, digest)

    def poll(self) -> bool:
        """Read what is new within a small time budget; True if the snapshot changed."""
        before = self.snapshot
        try:
            events = self._events.poll(_BUDGET_SECONDS)
            if self._events.resets != self._num_resets:
                self._num_resets = self._events.resets
                self._begin()
            self.take(events)
            if not self.has_more:
                self.look_around()
            self._set(trouble="")
        except OSError as error:
            self._set(trouble=f"cannot read {error.filename or self.run.root}: {error.strerror}")
        has_changed = self.snapshot is not before
        if has_changed:
            self._set(version=before.version + 1)
        return has_changed

    def look_around(self) -> None:
        """See what is beside the log: console, status, commands that wait, the time gone by."""
        if self._console.poll():
            self._set(console=self._console.lines)
        self._see_state()
        self._see_waiting_commands()
        # Whatever is no pause has events that tell the time.
        is_paused = self.snapshot.phase == "paused" and self.snapshot.state.is_alive
        now = time.time() if is_paused else None
        self._set(seconds_by_phase=self._timeline.spent(now))
        self._set(
            health=self._watch.look(
                self.run.root, now=self._clock(), heartbeat_age_seconds=self._heartbeat_age
            )
        )
        quiet = self._clock() - self._last_step_at
        limit = max(_LEAST_QUIET_SECONDS, _QUIET_STEPS * self._usual_gap_seconds)
        is_training = self.snapshot.phase == "training" and self.snapshot.state.name == "running"
        self._set(quiet_minutes=int(quiet // 60) if is_training and quiet > limit else 0)

    def take(self, events: Iterable[Event]) -> None:
        """Take in events in their order; steps that follow one another all at once."""
        for is_step, group in groupby(events, key=lambda event: event.get("kind") == "step"):
            if is_step:
                steps = list(group)
                self._timeline.see(steps[-1])
                self._journal.add_steps(steps)
                self._take_steps(steps)
                continue
            for event in group:
                if str(event.get("kind")) in _HANDLERS:
                    self._journal.add(event)
                else:
                    self._journal.add_time(event)
                self._take_other(event)

    def _take_other(self, event: Event) -> None:
        """Take in an event that is no step."""
        handler = _HANDLERS.get(str(event.get("kind")))
        if handler is not None:
            # an event of another version may lack a field or hold something else there
            with contextlib.suppress(KeyError, TypeError, ValueError, OverflowError):
                handler(self, event)
        self._timeline.see(event)

    def _set(self, **changes: Any) -> None:
        """Change the snapshot, if that changes anything."""
        if any(getattr(self.snapshot, name) != value for name, value in changes.items()):
            self.snapshot = replace(self.snapshot, **changes)

    # -- beside the log ------------------------------------------------------------------------

    def _see_state(self) -> None:
        state = derive_state(self.run)
        self._heartbeat_age = state.heartbeat_age_seconds if state.is_alive else None
        state = replace(state, heartbeat_age_seconds=None)
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
            self._set(commands=(*self.snapshot.commands, *sent)[-_MAX_COMMANDS:])

    # -- steps ---------------------------------------------------------------------------------

    def _take_steps(self, events: list[Event]) -> None:
        table = _step_table(events)
        if not len(table):
            return
        steps = table[:, 0].astype(np.int64)
        # Where the step does not grow, a crash went unrecorded: what follows replaces.
        breaks = np.flatnonzero(np.diff(steps) <= 0) + 1
        for piece, values in zip(
            np.split(steps, breaks), np.split(table[:, 1:].T, breaks, axis=1), strict=True
        ):
            self._metrics.extend(piece, values)
        judged = [1 + METRICS.index(name) for name in ("loss", "grad_norm")]
        is_finite = bool(np.isfinite(table[:, judged]).all())
        self._watch.take_steps(events, may_be_broken=not is_finite)
        self._take_newest(events)

    def _take_newest(self, events: Sequence[Event]) -> None:
        """What the newest of some steps tell: where the run is, and how fast."""
        events = [event for event in events[-_PACE_EVENTS:] if type(event.get("step")) is int]
        if not events:
            return
        self._pace(events)
        last = events[-1]
        self._set(
            step=int(last["step"]),
            images_per_second=finite(last.get("images_per_second")),
            peak_memory_bytes=int(finite(last.get("peak_memory_bytes"))),
        )

    def _pace(self, events: Sequence[Event]) -> None:
        """Smooth the seconds a step, and note when the last step came."""
        past = self.snapshot.seconds_per_step
        for event in events:
            seconds = as_float(event.get("seconds"))
            if seconds is not None and math.isfinite(seconds):
                past = _PACE_SHARE * past + (1 - _PACE_SHARE) * seconds if past > 0 else seconds
        self._set(seconds_per_step=past)
        before = int(events[-2]["step"]) if len(events) > 1 else self.snapshot.step
        self._usual_gap_seconds = past * max(1, int(events[-1]["step"]) - before)
        self._last_step_at = self._clock()

    # -- one method an event kind --------------------------------------------------------------

    def _on_start(self, event: Event) -> None:
        max_steps = count(event.get("max_train_steps") or 0)
        waiting = tuple(c for c in self.snapshot.commands if c.state == "pending")
        self._set(start=event, max_steps=max_steps, exit_reason="", commands=waiting)

    def _on_phase(self, event: Event) -> None:
        self._last_step_at = self._clock()
        phase = str(event.get("phase", ""))
        self._timeline.enter(phase, event)
        self._set(phase=phase)

    def _on_rewind(self, event: Event) -> None:
        step = count(event["step"])
        self._metrics.truncate_after(step)
        self._validation.truncate_after(step)
        self._watch.rewind(step)
        kept = tuple(p for p in self.snapshot.pictures if p.step <= step)
        self._set(step=step, pictures=kept)

    def _on_validation(self, event: Event) -> None:
        loss = as_float(event["loss"])
        if loss is None:
            return
        bands = [as_float(band) for band in event.get("bands") or ()]
        known = [math.nan if band is None else band for band in bands[: len(BANDS)]]
        row = [loss, *known, *[math.nan] * (len(BANDS) - len(known))]
        self._validation.extend(np.array([count(event["step"])]), np.array(row)[:, None])

    def _on_cache_plan(self, event: Event) -> None:
        """A folder of caches is about to be filled; a launch begins with the texts."""
        which, needed = str(event["which"]), count(event["needed"])
        present = count(event.get("present") or 0)
        planned_bytes = count(event.get("estimated_bytes") or 0)
        if which == "text":
            self._cache_parts = {}
            self._set(caches={})
        state = CacheState(which, present, needed, 0.0, 0, None, present, needed, planned_bytes)
        self._cache_parts.setdefault(which, []).append(state)
        self._show_cache(which)

    def _on_cache(self, event: Event) -> None:
        which = str(event["which"])
        parts = self._cache_parts.setdefault(which, [])
        planned = parts.pop() if parts else None
        parts.append(
            CacheState(
                which=which,
                done=count(event["done"]),
                total=count(event["total"]),
                per_second=finite(event.get("per_second")),
                bytes=count(event.get("bytes") or 0),
                eta_seconds=finite(event.get("eta_seconds"), None),
                hits=count(event.get("hits") or 0),
                needed=planned.needed if planned else 0,
                planned_bytes=planned.planned_bytes if planned else 0,
            )
        )
        self._show_cache(which)

    def _show_cache(self, which: str) -> None:
        """The sum of the folders of one kind; pace and time left are those of the newest."""
        parts = self._cache_parts[which]
        names = ("done", "total", "bytes", "hits", "needed", "planned_bytes")
        sums = {name: sum(getattr(part, name) for part in parts) for name in names}
        self._set(caches={**self.snapshot.caches, which: replace(parts[-1], **sums)})

    def _on_image(self, event: Event) -> None:
        picture = Picture(
            count(event["step"]),
            str(event["prompt"]),
            str(event.get("text", "")),
            str(self.run.root / str(event["path"])),
            int(event.get("seed") or 0),
            str(event.get("source", "preview")),
        )
        self._set(pictures=(*self.snapshot.pictures, picture))

    def _on_problem(self, event: Event) -> None:
        severity, message, fix = (event.get(name) for name in ("severity", "message", "fix"))
        self._notice(Notice(str(severity or "warning"), str(message or ""), str(fix or "")))

    def _on_quarantine(self, event: Event) -> None:
        self._num_quarantined += 1
        others = tuple(n for n in self.snapshot.notices if not n.message.startswith("set aside "))
        self._set(notices=others)
        message = f"set aside {self._num_quarantined} of the photographs"
        self._notice(Notice("warning", f"{message}, the last {event['path']}: {event['reason']}"))

    def _on_signal(self, event: Event) -> None:
        self._notice(Notice("warning", f"{event['name']} was sent to the {event['target']}"))

    def _notice(self, notice: Notice) -> None:
        self._set(notices=(*self.snapshot.notices, notice)[-_MAX_NOTICES:])

    def _on_checkpoint(self, event: Event) -> None:
        self._set(last_checkpoint=count(event["step"]))
        self._watch.take_checkpoint(count(event.get("bytes") or 0))

    def _on_export(self, event: Event) -> None:
        path = str(self.run.root / str(event["path"]))
        self._set(exports=tuple(dict.fromkeys((*self.snapshot.exports, path))))

    def _on_push(self, event: Event) -> None:
        self._set(pushed_to=str(event["address"]))

    def _on_command(self, event: Event) -> None:
        answered = SentCommand(
            str(event.get("id")),
            str(event.get("command")),
            str(event.get("state")),
            str(event.get("message") or ""),
        )
        others = tuple(c for c in self.snapshot.commands if c.id != answered.id)
        self._set(commands=(*others, answered)[-_MAX_COMMANDS:])

    def _on_exit(self, event: Event) -> None:
        self._timeline.end(event)
        self._set(exit_reason=str(event.get("reason", "")))


_HANDLERS: dict[str, Callable[[RunReader, Event], None]] = {
    name.removeprefix("_on_"): handler
    for name, handler in vars(RunReader).items()
    if name.startswith("_on_")
}


def _step_table(events: list[Event]) -> Floats:
    """The step and metrics of each event, [n, 1 + num_metrics]; non-finite numbers are text there.

    Events without a step are left out, a missing metric is NaN.
    """
    names = ("step", *METRICS)
    try:
        # numpy reads "nan" and "inf" as we write them, and None as NaN.
        table = np.array(list(map(itemgetter(*names), events)), np.float64)
    except (KeyError, TypeError, ValueError):
        rows = [[as_float(event.get(name)) for name in names] for event in events]
        table = np.array(rows, np.float64)
    steps = table[:, 0]
    good: Floats = table[np.isfinite(steps) & (steps >= 0) & (steps < MOST)]
    return good
