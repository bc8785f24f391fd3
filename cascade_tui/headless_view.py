"""A run's events as text: bars on a terminal, rate-limited lines anywhere else."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TextIO

from engine.run.events import Event, as_float

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LEAST_WIDTH_FOR_BARS = 90
_LINES_AT_A_STRETCH = 60
"""How many lines of one kind it takes until they come more rarely."""
_CACHE_NAMES = {"text": "text cache", "latent": "latent cache"}


class View(Protocol):
    """Shows events; `say` shows a line that is no event."""

    def show(self, event: Event) -> None: ...
    def say(self, line: str) -> None: ...
    def close(self) -> None: ...


class Pace:
    """Optimizer steps a second over the last step events, hence the time that is left."""

    def __init__(self, num_events: int = 50, max_train_steps: int | None = None) -> None:
        self._points: deque[tuple[float, int]] = deque(maxlen=num_events)
        self.max_train_steps = max_train_steps

    def note(self, event: Event) -> None:
        """Take in a `start`, `step`, `rewind` or `phase` event; others change nothing."""
        if event.get("kind") == "start":
            self.max_train_steps = event.get("max_train_steps") or None
        if event.get("kind") in ("start", "rewind", "phase"):
            self._points.clear()  # what was measured before an interruption says nothing
        elif event.get("kind") == "step":
            moment, step = as_float(event.get("t")), event.get("step")
            if moment is not None and math.isfinite(moment) and type(step) is int:
                self._points.append((moment, step))

    @property
    def steps_per_second(self) -> float | None:
        """None until two step events are known."""
        if len(self._points) < 2:
            return None
        (start, first), (end, last) = self._points[0], self._points[-1]
        return (last - first) / (end - start) if end > start and last > first else None

    @property
    def seconds_left(self) -> float | None:
        """None while the pace or the number of steps is unknown."""
        rate = self.steps_per_second
        if rate is None or self.max_train_steps is None:
            return None
        return max(0, self.max_train_steps - self._points[-1][1]) / rate


class Pictures:
    """Counts validation pictures: those of a step are told in one line, not in one each."""

    def __init__(self) -> None:
        self._num_new = 0
        self._num = 0
        self._step: object = None
        self._last: Event = {}

    def note(self, event: Event) -> None:
        """Take in an `image` event."""
        if event.get("step") != self._step:
            self._num, self._step = 0, event.get("step")
        self._num += 1
        self._num_new += 1
        self._last = event

    def told(self) -> tuple[Event, str] | None:
        """The last of them and a line for all of its step; None if there are no new ones."""
        if not self._num_new:
            return None
        self._num_new = 0
        folder = str(self._last.get("path", "")).rpartition("/")[0]
        pictures = "1 picture" if self._num == 1 else f"{self._num} pictures"
        return self._last, f"{pictures} of step {self._step} in {folder}"


class PlainView:
    """One line an event that matters; steps, cache progress and pictures now and then.

    That is every `interval_seconds`, and more rarely the longer it goes on, at last every
    `longest_seconds`: the log of a job of days is still read by people.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        max_train_steps: int | None = None,
        interval_seconds: float = 10.0,
        longest_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream = stream
        self._interval_seconds = interval_seconds
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._began_at: float | None = None
        self._shown_at: dict[str, float] = {}
        self._pace = Pace(max_train_steps=max_train_steps)
        self._pictures = Pictures()

    def show(self, event: Event) -> None:
        """Print the event's line, unless one of its kind was printed a moment ago."""
        self._pace.note(event)
        kind = event.get("kind")
        if kind == "image":
            self._pictures.note(event)
            if self._is_due("image"):
                self._tell_pictures()
            return
        self._tell_pictures()
        if kind == "phase":
            self._shown_at["image"] = self._clock()  # quick ones are told when all are there
        if kind == "step":
            if self._is_due("step") or event.get("step") == self._pace.max_train_steps:
                self._print(event, describe_step(event, self._pace))
        elif kind == "cache":
            is_complete = event.get("done") == event.get("total")
            if self._is_due(f"cache {event.get('which')}") or is_complete:
                self._print(event, describe_cache(event))
        elif (line := describe(event)) is not None:
            self._print(event, line)

    def say(self, line: str) -> None:
        """Print a line at once."""
        print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Tell what was still to be told."""
        self._tell_pictures()

    def _tell_pictures(self) -> None:
        if (told := self._pictures.told()) is not None:
            self._print(*told)

    def _is_due(self, what: str) -> bool:
        now = self._clock()
        self._began_at = now if self._began_at is None else self._began_at
        slower = min(self._longest_seconds, (now - self._began_at) / _LINES_AT_A_STRETCH)
        pause = max(self._interval_seconds, slower)
        if now - self._shown_at.get(what, float("-inf")) < pause:
            return False
        self._shown_at[what] = now
        return True

    def _print(self, event: Event, line: str) -> None:
        moment = time.strftime("%H:%M:%S", time.localtime(as_float(event.get("t")) or 0))
        self.say(f"{moment} {line}")


class BarView:
    """A bar for each cache and one for training, with the other events scrolling above them."""

    def __init__(self, stream: TextIO, *, max_train_steps: int | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn

        self._pace = Pace(max_train_steps=max_train_steps)
        self._pictures = Pictures()
        self._tasks: dict[str, TaskID] = {}
        console = Console(file=stream, highlight=False)
        columns: list[ProgressColumn] = [TextColumn("{task.fields[numbers]}", markup=False)]
        if console.width >= _LEAST_WIDTH_FOR_BARS:
            percent = TextColumn("{task.percentage:>3.0f} %")
            columns = [
                TextColumn("{task.description}"),
                BarColumn(bar_width=None),
                percent,
                *columns,
            ]
        self._progress: Progress = Progress(
            *columns, console=console, refresh_per_second=4, expand=True
        )
        self._progress.start()

    def show(self, event: Event) -> None:
        """Move a bar, or print a line above the bars."""
        self._pace.note(event)
        kind = event.get("kind")
        if kind == "step":
            total = self._pace.max_train_steps
            self._move("training", event["step"], total, describe_step(event, self._pace))
        elif kind == "cache":
            name = _CACHE_NAMES.get(str(event.get("which")), str(event.get("which")))
            self._move(name, event["done"], event["total"], describe_cache(event))
        elif kind == "image":
            self._pictures.note(event)
            return
        self._tell_pictures()
        if kind not in ("step", "cache") and (line := describe(event)) is not None:
            self.say(line)

    def say(self, line: str) -> None:
        """Print a line above the bars."""
        self._progress.console.print(line, markup=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the bars as they are and give the terminal back."""
        self._tell_pictures()
        self._progress.stop()

    def _tell_pictures(self) -> None:
        if (told := self._pictures.told()) is not None:
            self.say(told[1])

    def _move(self, name: str, done: int, total: int | None, numbers: str) -> None:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total, numbers="")
        self._progress.update(self._tasks[name], completed=done, total=total, numbers=numbers)


def make_view(
    stream: TextIO, *, max_train_steps: int | None = None, in_lines: bool = False
) -> View:
    """Bars if the stream is a terminal that can move its cursor, else (or `in_lines`) lines."""
    from os import environ

    if not in_lines and stream.isatty() and environ.get("TERM", "dumb") != "dumb":
        return BarView(stream, max_train_steps=max_train_steps)
    return PlainView(stream, max_train_steps=max_train_steps)


def describe_step(event: Event, pace: Pace) -> str:
    """`step 120/500 loss 0.0312 lr 1.0e-04 3.1 images/s 12 min left`."""
    total = pace.max_train_steps
    words = [f"step {event['step']}" + (f"/{total}" if total else "")]
    if (loss := as_float(event.get("loss"))) is not None:
        words.append(f"loss {loss:.4g}")
    if (rate := as_float(event.get("lr"))) is not None:
        words.append(f"lr {rate:.1e}")
    if (speed := as_float(event.get("images_per_second"))) is not None:
        words.append(f"{speed:.3g} images/s")
    if (left := pace.seconds_left) is not None:
        words.append(f"{format_duration(left)} left")
    return " ".join(words)


def describe_cache(event: Event) -> str:
    """`text cache 120/500 2140/s 0 s left`."""
    name = _CACHE_NAMES.get(str(event.get("which")), f"{event.get('which')} cache")
    words = [f"{name} {event.get('done')}/{event.get('total')}"]
    if rate := as_float(event.get("per_second")):
        words.append(f"{rate:.3g}/s")
    left = as_float(event.get("eta_seconds"))
    if left is not None and event.get("done") != event.get("total"):
        words.append(f"{format_duration(left)} left")
    return " ".join(words)


def describe(event: Event) -> str | None:
    """One line for an event that is neither step nor cache progress; None for one not worth it."""
    writer = _LINES.get(str(event.get("kind")))
    return None if writer is None else writer(event)


def format_duration(seconds: float) -> str:
    """`9 s`, `12 min`, `1 h 34 min`, `2 d 3 h`."""
    if not math.isfinite(seconds):
        return "?"
    minutes, hours, days = (int(seconds // unit) for unit in (60, 3600, 86400))
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds:.0f} s"


def format_bytes(size: float) -> str:
    """`512 B`, `1.9 MB`, `7.2 GB` (powers of 1000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _start_line(event: Event) -> str:
    resumed = event.get("resumed_from")
    start = "starts" if resumed is None else f"resumes from the checkpoint of step {resumed}"
    return (
        f"{start}: {event.get('num_images', '?')} images, {event.get('max_train_steps', '?')} "
        f"steps, on {event.get('device', '?')}"
    )


def _problem_line(event: Event) -> str:
    key = f"{event['key']}: " if event.get("key") else ""
    fix = f" ({event['fix']})" if event.get("fix") else ""
    return f"{event.get('severity', 'problem')}: {key}{event.get('message', '')}{fix}"


def _command_line(event: Event) -> str | None:
    if event.get("state") == "received":
        return f"received the command `{event.get('command')}`"
    if event.get("state") == "done" and event.get("command") == "change":
        return f"changed: {event.get('message')}"
    if event.get("state") == "done":
        return None  # what it did has an event of its own
    message = f": {event['message']}" if event.get("message") else ""
    return f"the command `{event.get('command')}` was {event.get('state')}{message}"


def _changes_line(event: Event) -> str:
    """What a resumed run goes on with, beside its config."""
    names = [*(event.get("options") or ()), *(event.get("prompts") or ())]
    return f"goes on with what was changed while it ran: {', '.join(map(str, names))}"


def _validation_line(event: Event) -> str | None:
    loss = as_float(event.get("loss"))
    return None if loss is None else f"validation loss {loss:.4g} at step {event.get('step')}"


def _exit_line(event: Event) -> str:
    reason = f": {event['reason']}" if event.get("reason") else ""
    return (
        f"{event.get('state')} at step {event.get('step')}, exit code {event.get('code')}{reason}"
    )


_LINES: dict[str, Callable[[Event], str | None]] = {
    "start": _start_line,
    "phase": lambda event: str(event.get("phase", "")).replace("_", " "),
    "validation": _validation_line,
    "checkpoint": lambda event: (
        f"checkpoint {event.get('path')} ({format_bytes(as_float(event.get('bytes')) or 0)})"
    ),
    "export": lambda event: f"exported {event.get('path')} ({event.get('format')})",
    "push": lambda event: f"pushed to {event.get('address')}",
    "command": _command_line,
    "changes": _changes_line,
    "problem": _problem_line,
    "quarantine": lambda event: f"left out {event.get('path')}: {event.get('reason')}",
    "rewind": lambda event: f"goes back to step {event.get('step')}",
    "signal": lambda event: f"sent {event.get('name')} to {event.get('target')}",
    "exit": _exit_line,
}
