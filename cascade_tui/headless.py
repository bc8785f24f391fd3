"""Train and watch without the app: the same run, told in text.

The trainer is as detached here as under the app. What this process adds is its exit code (the
trainer's own), and that ctrl+c here means: save and stop.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from cascade_tui import exit_codes
from cascade_tui.headless_view import View, make_view
from cascade_tui.steering import NothingRunsError, describe_state, steer
from engine.run.events import EventReader
from engine.run.files import read_tail
from engine.run.launch import LaunchError, RunAliveError
from engine.run.paths import RunDirectory
from engine.run.status import RunState, derive_state

_POLL_SECONDS = 0.2
_NUM_CONSOLE_LINES = 20
_CONSOLE_TAIL_BYTES = 1 << 16


class StopSignals:
    """Counts SIGINT and SIGTERM instead of dying of them, as long as it is entered."""

    def __init__(self) -> None:
        self.received: list[int] = []
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._receive)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.received.append(number)


def run_headless(config_path: Path, overrides: Sequence[str], *, in_lines: bool = False) -> int:
    """Check a config, start its run and follow it to its end; returns the exit code.

    Errors in the config: 2, and nothing is created. A run directory that is alive already, or
    cannot be made: 3. Else the trainer's own code; 130 or 143 if a signal to us had it stop early.
    """
    from cascade_tui.launching import load_checked, prepare_and_launch, run_directory_of

    project = load_checked(config_path, overrides)
    if project is None:
        return exit_codes.USAGE
    run = run_directory_of(project)
    return launch_and_follow(
        run, lambda: prepare_and_launch(project, note=_tell), in_lines=in_lines
    )


def launch_and_follow(
    run: RunDirectory, launch: Callable[[], object], *, in_lines: bool = False
) -> int:
    """Start a run by `launch` and follow it to its end; returns the exit code as `run_headless`."""
    seen_bytes = run.events.stat().st_size if run.events.is_file() else 0
    with StopSignals() as signals:
        try:
            launch()
        except RunAliveError as error:
            _tell(f"{error}\nto watch it: cascade-tui attach {run.root}")
            return exit_codes.COULD_NOT_LAUNCH
        except LaunchError as error:
            _tell(f"cannot launch: {error}")
            return exit_codes.COULD_NOT_LAUNCH
        print(f"run directory: {run.root}", flush=True)
        view = make_view(sys.stdout, in_lines=in_lines)
        state = follow(run, view, offset=seen_bytes, signals=signals)
    report_end(run, state)
    was_cut_short = state.name == "stopped" and state.exit_code == 0 and signals.received
    return exit_codes.of_signal(signals.received[0]) if was_cut_short else exit_code_of(state)


def attach_headless(run: RunDirectory, *, in_lines: bool = False) -> int:
    """Follow a run from now on, without owning it: ctrl+c leaves, and the run goes on.

    Returns the run's exit code, 130 or 143 when left early.
    """
    state = derive_state(run)
    print(f"run directory: {run.root}\n{describe_state(state)}", flush=True)
    if state.is_alive or state.supervised:
        offset = run.events.stat().st_size if run.events.is_file() else 0
        try:
            total = state.max_train_steps
            view = make_view(sys.stdout, max_train_steps=total, in_lines=in_lines)
            state = follow(run, view, offset=offset)
        except KeyboardInterrupt:
            _tell("left; the run goes on")
            return exit_codes.INTERRUPTED
    report_end(run, state)
    return exit_code_of(state)


def follow(
    run: RunDirectory, view: View, *, offset: int = 0, signals: StopSignals | None = None
) -> RunState:
    """Show events from byte `offset` on until the run is over; returns the state it ended in.

    With `signals`, the first one received has the run save and stop, the next aborts it.
    """
    reader = EventReader(run.events, offset=offset)
    num_obeyed = 0
    was_supervised = True
    try:
        while True:
            state = derive_state(run)
            events = reader.poll()
            for event in events:
                view.show(event)
            if signals is not None and len(signals.received) > num_obeyed:
                num_obeyed = min(num_obeyed + 1, len(signals.received))
                _pass_on(run, view, is_first=num_obeyed == 1)
            if events or reader.has_more:
                continue
            if not state.is_alive and not state.supervised:
                return state
            if state.is_alive and was_supervised and not state.supervised:
                view.say(f"note: {state.message}")
            was_supervised = state.supervised
            time.sleep(_POLL_SECONDS)
    finally:
        view.close()


def exit_code_of(state: RunState) -> int:
    """The trainer's own exit code; 1 for a run that has none (lost, never launched)."""
    return exit_codes.TRAINER_FAILED if state.exit_code is None else state.exit_code


def report_end(run: RunDirectory, state: RunState) -> None:
    """Say on stderr how it ended; after a failure, with the console's last lines."""
    if not run.root.is_dir():
        _tell(f"{run.root} is not there any more: it was moved or deleted meanwhile")
        return
    if state.name in ("failed", "lost", "lost-at-reboot"):
        tail = read_tail(run.console_log, _CONSOLE_TAIL_BYTES).decode(errors="replace")
        lines = tail.splitlines()[-_NUM_CONSOLE_LINES:]
        _tell(f"the last {len(lines)} lines of {run.console_log}:")
        for line in lines:
            _tell(f"  {line}")
    _tell(describe_state(state))


def _pass_on(run: RunDirectory, view: View, *, is_first: bool) -> None:
    """Have the run stop: with its work saved the first time, at once the second."""
    try:
        if is_first:
            steer(run, "stop", reason="asked by the headless viewer")
            view.say("finishing the step and saving, then stopping; ctrl+c again to abort")
        else:
            steer(run, "abort", reason="asked by the headless viewer")
            view.say("aborting without saving")
    except NothingRunsError:
        pass  # it ended by itself in this moment; `follow` is about to see it
    except OSError as error:
        pid = derive_state(run).pid
        view.say(f"cannot leave the command: {error}; `kill -INT {pid}` does the same")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
