"""`cascade-tui status --watch`: in place on a terminal, in lines elsewhere, to the run's end."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_tui.cli import main
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status


def over_run(root: Path, state: str, exit_code: int | None) -> RunDirectory:
    """A run that is over."""
    root.mkdir(parents=True)
    run = RunDirectory(root)
    EventWriter(run.events).emit("step", step=5, loss=0.25)
    write_status(run, Status.of_process(state, step=5, exit_code=exit_code))
    return run


@pytest.mark.parametrize(("state", "code"), [("finished", 0), ("failed", 1), ("stopped", 130)])
def test_watching_a_run_ends_with_its_exit_code_and_looking_with_0(state, code, tmp_path, capsys):
    run = over_run(tmp_path / "run", state, code)
    assert main(["status", str(run.root)]) == 0
    assert main(["status", str(run.root), "--watch"]) == code
    first, second = capsys.readouterr().out.splitlines()
    assert first == second


def test_watching_several_runs_ends_with_the_code_of_one_that_ran_meanwhile(tmp_path, real_run):
    over_run(real_run.directory.root.parent / "an-old-failure", "failed", 1)
    real_run.launch("--steps", "10", "--exit-code", "3")
    root = real_run.directory.root.parent
    assert main(["status", str(root), "--watch", "--interval", "0.05"]) == 3


def test_on_a_terminal_it_writes_over_its_line(real_run):
    root = real_run.directory.root
    real_run.launch("--steps", "100000")
    master, slave = os.openpty()
    argv = [sys.executable, "-m", "cascade_tui", "status", str(root), "--watch"]
    process = subprocess.Popen(
        [*argv, "--interval", "0.05"],
        stdin=slave,
        stdout=slave,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "60", "LINES": "10"},
    )
    os.close(slave)
    output, is_stopped = b"", False
    try:
        while block := os.read(master, 4096):
            output += block
            if not is_stopped and output.count(b"\x1b[1F") >= 3:
                is_stopped = main(["stop", str(root)]) == 0
    except OSError:
        pass  # the terminal's other end is closed: the process is gone
    os.close(master)
    assert process.wait() == 0
    shown = output.decode().replace("\r\n", "\n").split("\x1b[1F")
    assert len(shown) > 2
    assert all(re.fullmatch(r"[^\n\x1b]{1,59}\x1b\[K\n", part) for part in shown)
    assert len(set(shown)) > 2


def test_a_pause_of_no_time_is_wrong_usage(tmp_path, capsys):
    assert main(["status", str(tmp_path), "--watch", "--interval", "0"]) == 2
    assert "--interval: expected a number from 0.01" in capsys.readouterr().err
