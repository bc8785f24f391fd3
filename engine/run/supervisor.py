"""The small process that starts a trainer, waits for it, stops it when asked, says how it ended.

    python -m engine.run.supervisor RUN_DIR -- PROGRAM ARGUMENTS...

It needs the standard library only and holds nothing that the trainer needs: the trainer writes to
files, so it goes on if this process is killed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from engine.run.control import consume, pending, send
from engine.run.events import EventReader, EventWriter, tail_events
from engine.run.files import read_tail
from engine.run.ladder import Grace, StopLadder
from engine.run.paths import RunDirectory
from engine.run.processes import (
    become_subreaper,
    descendants,
    is_same_process,
    num_oom_kills,
    send_signal,
)
from engine.run.spawn import open_gate, spawn_held
from engine.run.status import Status, WrittenState, read_status, write_status

_POLL_SECONDS = 0.25
_CONSOLE_HEADING = "=== "
_CONSOLE_TAIL_BYTES = 1 << 14
_ERROR_LINE = re.compile(r"[\w.]*(Error|Exception)\b")
_LOCK_PATIENCE_SECONDS = 2.0
_EXIT_COULD_NOT_LAUNCH = 3
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_WATCHED_SIGNALS = (signal.SIGCHLD, *_STOP_SIGNALS)


class Supervisor:
    """Watches over one run, from its start or adopted, until its last process is gone."""

    def __init__(self, run: RunDirectory, grace: Grace) -> None:
        """The caller holds the run's lock and has blocked the watched signals."""
        self._run = run
        self._grace = grace
        self._ladder = StopLadder(grace)
        self._events = EventWriter(run.events)
        size = run.events.stat().st_size
        self._reader = EventReader(run.events, offset=size)
        self._child: int | None = None
        self._child_code: int | None = None
        self._has_exit_event = False
        self._silent_since: float | None = None
        self._oom_kills_before = num_oom_kills()

    def start(self, argv: Sequence[str]) -> None:
        """Start the trainer; `status.json` names it before its first instruction runs."""
        self._drop_old_commands()
        console = os.open(
            self._run.console_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
        )
        moment = time.strftime("%Y-%m-%d %H:%M:%S %z")
        os.write(console, f"{_CONSOLE_HEADING}{moment} {shlex.join(argv)}\n".encode())
        self._child, gate = spawn_held(argv, console)
        os.close(console)
        previous = read_status(self._run)
        status = Status.of_process("starting", self._child, supervisor_pid=os.getpid())
        if previous is not None:
            status = replace(status, step=previous.step, max_train_steps=previous.max_train_steps)
        write_status(self._run, status)
        open_gate(gate)

    def adopt(self) -> None:
        """Watch over the trainer that `status.json` names."""
        self._has_exit_event = any(
            event.get("kind") == "exit" for event in tail_events(self._run.events, 4096)[-1:]
        )

    def watch(self) -> int:
        """Wait until the run is over, obeying commands; return its exit code."""
        while True:
            self._reap()
            self._read_events()
            if self._is_over():
                break
            self._obey()
            self._climb()
            self._wait()
        if self._silent_since is None:
            code = self._settle()
            self._clear_up(self._grace.orphan_seconds)
        else:
            self._clear_up(0.0)
            code = self._settle()
        self._events.close()
        return code

    # -- waiting ----------------------------------------------------------------------------------

    def _wait(self) -> None:
        received = signal.sigtimedwait(_WATCHED_SIGNALS, _POLL_SECONDS)
        if received is not None and received.si_signo in _STOP_SIGNALS:
            # The sender (a scheduler, say) may have signalled the trainer as well: ask by command,
            # for a second signal would make it leave without saving.
            self._ladder.ask(time.monotonic())
            name = signal.Signals(received.si_signo).name
            try:
                send(self._run, "stop", reason=f"the supervisor received {name}")
            except OSError as error:  # the ladder's next rungs need no file
                print(f"supervisor: cannot pass on {name}: {error}", file=sys.stderr)

    def _reap(self) -> None:
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, wait_status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if pid == self._child:
                    self._child_code = os.waitstatus_to_exitcode(wait_status)

    def _read_events(self) -> None:
        for event in self._reader.poll():
            if event.get("kind") == "exit":
                self._has_exit_event = True
            elif event.get("kind") == "command" and event.get("state") == "received":
                self._heed(str(event.get("command")))  # it may be taken before we see it lie there

    def _is_over(self) -> bool:
        if self._child is not None and self._child_code is None:
            return False
        if self._trainer() is not None:
            self._silent_since = None
            return False
        status = read_status(self._run)
        if (status is not None and status.is_final) or not descendants(os.getpid()):
            return True
        # The launcher is gone; one of those below us may be a trainer that is about to report.
        now = time.monotonic()
        self._silent_since = self._silent_since or now
        return now >= self._silent_since + self._grace.orphan_seconds

    def _trainer(self) -> int | None:
        """The trainer's pid, if it has reported itself and is alive."""
        status = read_status(self._run)
        if status is None or (status.state == "starting" and status.pid == self._child):
            return None
        return status.pid if is_same_process(status.pid, status.start_time) else None

    # -- stopping ---------------------------------------------------------------------------------

    def _obey(self) -> None:
        """See what is asked: `stop` is the trainer's to take, `abort` is ours."""
        for command in pending(self._run):
            self._heed(command.command)
            if command.command == "abort" and consume(command):
                self._note("command", id=command.id, command="abort", state="received")

    def _heed(self, command: str) -> None:
        if command == "stop":
            self._ladder.ask(time.monotonic())
        elif command == "abort":
            self._ladder.abort(time.monotonic())

    def _climb(self) -> None:
        status = read_status(self._run)
        is_saving = status is not None and status.phase == "saving"
        is_first_kill = self._ladder.last_signal is not signal.SIGKILL
        number = self._ladder.climb(time.monotonic(), is_saving=is_saving)
        if number is None:
            return
        target = self._send(number)
        if number is not signal.SIGKILL or is_first_kill:
            self._note("signal", name=number.name, target=target)

    def _send(self, number: signal.Signals) -> str:
        """Signal the trainer; before it has reported itself, and to kill, all that is below us."""
        trainer = self._trainer()
        if number is not signal.SIGKILL and trainer is not None:
            send_signal(trainer, number)
            return str(trainer)
        root = trainer if self._child is None else os.getpid()
        pids = [] if root is None else descendants(root)
        if self._child is None and trainer is not None:
            pids.append(trainer)
        for pid in pids:
            send_signal(pid, number)
        return "every process of the run"

    # -- the end ----------------------------------------------------------------------------------

    def _settle(self) -> int:
        """Write the final state if the trainer left none; return the exit code."""
        self._read_events()
        status = read_status(self._run)
        if status is None:
            status = Status("starting", pid=self._child or 0, pgid=self._child or 0, start_time=0)
        if not status.is_final or status.exit_code is None:
            status = self._final_status(status)
            try:
                write_status(self._run, status)
            except OSError as error:
                print(f"supervisor: cannot write {self._run.status}: {error}", file=sys.stderr)
        if not self._has_exit_event:
            self._note(
                "exit",
                code=status.exit_code,
                state=status.state,
                step=status.step,
                reason=status.message,
            )
        self._drop_old_commands()
        assert status.exit_code is not None
        return status.exit_code

    def _final_status(self, status: Status) -> Status:
        """What to say for a trainer that said nothing."""
        code = self._child_code
        number = self._ladder.last_signal
        now = time.time()
        if status.is_final:
            code = (0 if status.state == "finished" else 1) if code is None else _shell_code(code)
            return replace(status, exit_code=code, heartbeat=now)
        if number is not None:
            reason = f"stopped by {number.name}"
            return replace(
                status, state="stopped", exit_code=128 + number, message=reason, heartbeat=now
            )
        if code == 0:
            state: WrittenState = "stopped" if self._ladder.has_begun else "finished"
            return replace(status, state=state, exit_code=0, message="", heartbeat=now)
        return replace(
            status,
            state="failed",
            exit_code=1 if code is None else _shell_code(code),
            message=self._why_it_failed(code),
            heartbeat=now,
        )

    def _why_it_failed(self, code: int | None) -> str:
        num_killed = num_oom_kills() - self._oom_kills_before
        if num_killed > 0:
            return "the kernel killed it: the machine is out of memory (RAM, not VRAM)"
        if code is None:
            return "the trainer ended without an error message"
        if code < 0:
            return f"killed by {signal.Signals(-code).name}"
        if (error := _last_error(self._run)) is not None:
            return error
        return "the trainer ended without an error message; see its last output in console.log"

    def _clear_up(self, patience_seconds: float) -> None:
        """Wait a little for processes that the trainer left behind, then kill them."""
        deadline = time.monotonic() + patience_seconds
        was_told = False
        while orphans := descendants(os.getpid()):
            if time.monotonic() >= deadline:
                for pid in orphans:
                    send_signal(pid, signal.SIGKILL)
                if not was_told:
                    self._note("signal", name="SIGKILL", target=f"left behind: {orphans}")
                was_told = True
            signal.sigtimedwait(_WATCHED_SIGNALS, _POLL_SECONDS)
            self._reap()

    def _drop_old_commands(self) -> None:
        """Commands that nobody took must not reach the next launch."""
        for command in pending(self._run):
            if consume(command):
                message = "the run was not running when it was to be taken"
                self._note(
                    "command",
                    id=command.id,
                    command=command.command,
                    state="ignored",
                    message=message,
                )

    def _note(self, kind: str, **values: object) -> None:
        """Append an event; a full disk must not stop us from watching."""
        try:
            self._events.emit(kind, **values)
        except OSError as error:
            print(f"supervisor: {error}: {kind} {values}", file=sys.stderr)


def _last_error(run: RunDirectory) -> str | None:
    """The error that ended this launch's traceback, if that is the console's last line."""
    text = read_tail(run.console_log, _CONSOLE_TAIL_BYTES).decode(errors="replace")
    lines = text.rpartition(f"\n{_CONSOLE_HEADING}")[2].strip().splitlines()
    return lines[-1] if lines and _ERROR_LINE.match(lines[-1]) else None


def _shell_code(code: int) -> int:
    """Python's -9 for a killed process as the shell's 137."""
    return 128 - code if code < 0 else code


def hold_lock(run: RunDirectory) -> int | None:
    """Lock the run for as long as this process lives; None if another supervisor holds it.

    The lock file then holds our pid. Tries for a moment, since a reader that looks at the lock
    shares it for an instant.
    """
    descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                return None
            time.sleep(0.02)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one supervisor; returns the run's exit code, or 3 if it could not begin."""
    options, argv = _parse(sys.argv[1:] if arguments is None else arguments)
    if options.detach and os.fork():
        os._exit(0)
    if options.ready_fd is not None:
        os.set_inheritable(options.ready_fd, False)  # the trainer must not keep it open
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED_SIGNALS)
    run = RunDirectory(Path(options.run).absolute())
    grace = Grace(**{item.name: getattr(options, item.name) for item in fields(Grace)})
    try:
        if hold_lock(run) is None:
            return _answer(options.ready_fd, error=f"{run.root} has a supervisor", is_alive=True)
        become_subreaper()
        supervisor = Supervisor(run, grace)
        supervisor.adopt() if options.adopt else supervisor.start(argv)
    except OSError as error:
        return _answer(options.ready_fd, error=f"cannot start the run: {error}")
    _answer(options.ready_fd, pid=os.getpid())
    return supervisor.watch()


def _parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="engine.run.supervisor", description=__doc__)
    parser.add_argument("run", help="the run directory")
    parser.add_argument("--adopt", action="store_true", help="watch a trainer that runs already")
    parser.add_argument("--detach", action="store_true", help="go to the background")
    parser.add_argument("--ready-fd", type=int, help="tell here, as JSON, how the start went")
    for item in fields(Grace):
        flag = f"--{item.name.replace('_', '-')}"
        parser.add_argument(flag, type=float, default=item.default, metavar="S")
    options = parser.parse_args(arguments[:split])
    argv = list(arguments[split + 1 :])
    if options.adopt == bool(argv):
        parser.error("give either --adopt or a program after --")
    return options, argv


def _answer(descriptor: int | None, **content: object) -> int:
    """Tell the launcher how the start went; returns the exit code for a start that failed."""
    if descriptor is not None:
        os.write(descriptor, json.dumps(content).encode())
        os.close(descriptor)
    elif "error" in content:
        print(content["error"], file=sys.stderr)
    return _EXIT_COULD_NOT_LAUNCH


if __name__ == "__main__":
    sys.exit(main())
