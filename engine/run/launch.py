"""Start a run that outlives whoever started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields

from engine.run.ladder import Grace
from engine.run.paths import RunDirectory
from engine.run.status import derive_state, is_supervised, read_status, supervisor_pid


class LaunchError(ValueError):
    """The supervisor could not be started; says why."""


class RunAliveError(LaunchError):
    """The run directory has a trainer or a supervisor already; `pid` is whose."""

    def __init__(self, run: RunDirectory, pid: int | None) -> None:
        self.run = run
        self.pid = pid
        who = f" (process {pid})" if pid else ""
        super().__init__(
            f"{run.root} is already running{who}: attach to it, or stop it, or choose another "
            "output_dir"
        )


def is_alive(run: RunDirectory) -> bool:
    """Whether the run has a supervisor (it holds the lock) or a live trainer."""
    return is_supervised(run) or derive_state(run).is_alive


def trainer_command(
    run: RunDirectory, *, python: str = sys.executable, accelerate_arguments: Sequence[str] = ()
) -> list[str]:
    """The command line of the trainer of this run."""
    launcher = [python, "-m", "accelerate.commands.launch", "--quiet", *accelerate_arguments]
    return [*launcher, "-m", "engine.train", str(run.root.absolute())]


def launch(
    run: RunDirectory,
    *,
    python: str = sys.executable,
    accelerate_arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] | None = None,
    grace: Grace | None = None,
) -> int:
    """Start a supervisor and under it the trainer; return the supervisor's pid.

    Returns once the supervisor holds the run's lock and `status.json` says `starting`. The
    supervisor has its own session, no terminal and no pipe to us: it and the trainer live on when
    we die or hang up. `command` replaces the trainer's whole command line. Raises `RunAliveError`
    if the run is alive, `LaunchError` if the supervisor cannot start.
    """
    if is_alive(run):
        raise RunAliveError(run, live_pid(run))
    run.root.mkdir(parents=True, exist_ok=True)
    argv = command or trainer_command(run, python=python, accelerate_arguments=accelerate_arguments)
    return _start_supervisor(run, ["--", *argv], python, environment, grace)


def adopt(run: RunDirectory, *, python: str = sys.executable, grace: Grace | None = None) -> int:
    """Give a trainer whose supervisor was killed a new one; return the supervisor's pid.

    The new one carries out `stop` and `abort` and writes the final state if the trainer does not.
    Raises `RunAliveError` if there is a supervisor, `LaunchError` if no live trainer is seen here:
    it may be on another machine.
    """
    if is_supervised(run):
        raise RunAliveError(run, live_pid(run))
    status = read_status(run)
    if status is None or not status.is_visible_here or not derive_state(run).is_alive:
        raise LaunchError(f"{run.root} has no live trainer on this machine to supervise")
    return _start_supervisor(run, ["--adopt"], python, None, grace)


def _start_supervisor(
    run: RunDirectory,
    arguments: Sequence[str],
    python: str,
    environment: Mapping[str, str] | None,
    grace: Grace | None,
) -> int:
    root = str(run.root.absolute())
    reading, writing = os.pipe()
    variables = {**(os.environ if environment is None else environment), "PYTHONUNBUFFERED": "1"}
    options = ["--detach", "--ready-fd", str(writing)]
    for item in fields(Grace) if grace else ():
        options += [f"--{item.name.replace('_', '-')}", str(getattr(grace, item.name))]
    with os.fdopen(reading, "rb") as ready, run.console_log.open("ab") as console:
        try:
            process = subprocess.Popen(
                [python, "-m", "engine.run.supervisor", *options, root, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
                pass_fds=[writing],
                env=variables,
            )
        except OSError as error:
            raise LaunchError(f"cannot start the supervisor with {python}: {error}") from error
        finally:
            os.close(writing)
        answer = ready.read()
        process.wait()  # it forked and is gone at once; the supervisor itself is no child of ours
    return _supervisor_pid(run, answer)


def _supervisor_pid(run: RunDirectory, answer: bytes) -> int:
    if not answer:
        raise LaunchError(f"the supervisor did not start; {run.console_log} says why")
    content = json.loads(answer)
    if content.get("is_alive"):
        raise RunAliveError(run, live_pid(run))
    if "error" in content:
        raise LaunchError(content["error"])
    return int(content["pid"])


def live_pid(run: RunDirectory) -> int | None:
    """The pid to name for a run that is alive: its supervisor's, else its trainer's."""
    if is_supervised(run):
        return supervisor_pid(run)
    status = read_status(run)
    return None if status is None else status.pid
