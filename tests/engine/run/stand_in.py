"""A trainer's stand-in: a real program that keeps the run directory's protocol, without training.

    python stand_in.py RUN_DIR [options]

It takes a step, looks at its commands, and so on; without --steps until it is told to stop.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from engine.run.control import consume, pending
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, help="end by itself after so many")
    parser.add_argument("--exit-code", type=int, default=0)
    parser.add_argument("--crash", action="store_true", help="end with a traceback")
    parser.add_argument("--silent", action="store_true", help="end without a final state")
    parser.add_argument("--ignore", action="append", default=[], help="stop, SIGINT or SIGTERM")
    parser.add_argument("--phase", default="training")
    parser.add_argument("--launcher", action="store_true", help="run the trainer as a child")
    parser.add_argument("--leave-orphan", action="store_true")
    return parser.parse_args()


class StandIn:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.run = RunDirectory(options.run)
        self.events = EventWriter(self.run.events)
        self.received: list[int] = []
        self.status = Status.of_process(
            "running", phase=options.phase, max_train_steps=options.steps
        )

    def prepare(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            ignored = number.name in self.options.ignore
            signal.signal(number, signal.SIG_IGN if ignored else self.receive)
        if self.options.leave_orphan:
            code = "import signal; signal.pause()"
            orphan = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            (self.run.root / "orphan.pid").write_text(str(orphan.pid))
        print("the stand-in is ready", flush=True)
        write_status(self.run, self.status)
        self.events.emit("start", device="cpu", num_images=8, max_train_steps=self.options.steps)
        self.events.emit("phase", phase=self.options.phase, step=0)

    def receive(self, number: int, _: object) -> None:
        self.received.append(number)

    def train(self) -> tuple[str, int, str]:
        """Step until the end: the final state, the exit code and the reason."""
        while self.options.steps is None or self.status.step < self.options.steps:
            self.take_step()
            if self.received:
                return "stopped", 128 + self.received[0], "signal"
            for command in pending(self.run):
                if command.command in ("abort", *self.options.ignore):
                    continue  # `abort` is the supervisor's to take
                consume(command)
                self.acknowledge(command.id, command.command, "received")
                if command.command == "stop":
                    return "stopped", 0, "stop"
                if command.command in ("pause", "resume"):
                    state = "paused" if command.command == "pause" else "running"
                    self.status = replace(self.status, state=state)
                self.acknowledge(command.id, command.command, "done")
            time.sleep(0.01)
        if self.options.crash:
            raise RuntimeError("the stand-in crashed")
        return ("failed" if self.options.exit_code else "finished"), self.options.exit_code, ""

    def take_step(self) -> None:
        step = self.status.step + (self.status.state != "paused")
        self.status = replace(self.status, step=step, heartbeat=time.time())
        write_status(self.run, self.status)
        self.events.emit("step", step=step, loss=1 / step, lr=1e-4, images_per_second=3.0)

    def acknowledge(self, identity: str, command: str, state: str) -> None:
        self.events.emit(
            "command", id=identity, command=command, state=state, step=self.status.step
        )

    def end(self, state: str, code: int, reason: str) -> int:
        if not self.options.silent:
            step = self.status.step
            self.events.emit("exit", code=code, state=state, step=step, reason=reason)
            self.status = replace(self.status, state=state, exit_code=code, message=reason)
            write_status(self.run, self.status)
        return code


def main() -> int:
    options = parse()
    if options.launcher:  # as `accelerate launch` does: every failure becomes 1
        arguments = [argument for argument in sys.argv if argument != "--launcher"]
        return 1 if subprocess.call([sys.executable, *arguments]) else 0
    stand_in = StandIn(options)
    stand_in.prepare()
    return stand_in.end(*stand_in.train())


if __name__ == "__main__":
    sys.exit(main())
