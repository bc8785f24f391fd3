"""Send a command to a run, having looked whether there is anybody to obey it."""

from __future__ import annotations

import contextlib

from engine.run.control import CommandName, send
from engine.run.launch import LaunchError, adopt
from engine.run.paths import RunDirectory
from engine.run.status import RunState, derive_state


class NothingRunsError(ValueError):
    """The run is not alive, so a command would lie there unread."""


def steer(run: RunDirectory, command: CommandName, **arguments: object) -> str:
    """Leave a command for a live run; returns its id, under which events acknowledge it.

    A trainer whose supervisor was killed gets a new one first when it is to stop, since stopping
    may need signals. Raises `NothingRunsError`, or OSError if the run directory is not writable.
    """
    state = derive_state(run)
    if not state.is_alive:
        raise NothingRunsError(f"nothing runs in {run.root}: {describe_state(state)}")
    if command in ("stop", "abort") and not state.supervised:
        # Fails if another viewer was faster, or if the trainer is on another machine and has only
        # the file to go by.
        with contextlib.suppress(LaunchError):
            adopt(run)
    return send(run, command, **arguments)


class CannotResumeError(ValueError):
    """The run does not go on; says why."""


def resume(run: RunDirectory) -> None:
    """Go on after a pause, or launch again from the last checkpoint.

    Takes a second: it reads the frozen config. Raises `CannotResumeError`.
    """
    from cascade_tui.launching import continue_run

    state = derive_state(run)
    if state.name == "finished":
        raise CannotResumeError(f"{run.root} is finished: there is nothing to resume")
    try:
        if state.name == "paused" and state.is_alive:
            steer(run, "resume")
        else:
            continue_run(run)
    except (LaunchError, NothingRunsError) as failure:
        raise CannotResumeError(str(failure)) from failure
    except OSError as failure:
        reason = f"cannot write to {run.root}: {failure.strerror}"
        raise CannotResumeError(reason) from failure


def describe_state(state: RunState) -> str:
    """The state in a few words, as in `failed at step 120 of 500 (exit code 1: out of memory)`."""
    words = {"new": "never launched", "lost-at-reboot": "lost at a reboot"}
    text = words.get(state.name, state.name)
    if state.step or state.max_train_steps:
        text += f" at step {state.step}"
        text += f" of {state.max_train_steps}" if state.max_train_steps else ""
    reasons = [] if state.exit_code in (None, 0) else [f"exit code {state.exit_code}"]
    reasons += [state.message] if state.message else []
    return text + (f" ({': '.join(reasons)})" if reasons else "")
