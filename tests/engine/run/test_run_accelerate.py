"""The supervisor over the launcher that real runs have: `accelerate launch`."""

from __future__ import annotations

import sys

import pytest

from engine.run.control import send
from engine.run.ladder import Grace
from engine.run.launch import launch, trainer_command

ARGUMENTS = (
    "--num_processes=1",
    "--num_machines=1",
    "--mixed_precision=no",
    "--dynamo_backend=no",
    "--num_cpu_threads_per_process=1",
    "--cpu",
)


def under_accelerate(real_run, *options: str) -> list[str]:
    """The trainer's real command line with the stand-in in its place."""
    command = trainer_command(real_run.directory, accelerate_arguments=ARGUMENTS)
    assert command[:4] == [sys.executable, "-m", "accelerate.commands.launch", "--quiet"]
    assert command[-3:] == ["-m", "engine.train", str(real_run.directory.root)]
    return [*command[:-3], *real_run.command(*options)[1:]]


@pytest.mark.slow
def test_the_trainers_exit_code_comes_through(real_run):
    launch(real_run.directory, command=under_accelerate(real_run, "--steps", "1", "--exit-code=42"))
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("failed", 42)


@pytest.mark.slow
def test_the_ladders_signals_reach_the_trainer_and_not_its_launcher(real_run):
    command = under_accelerate(real_run, "--ignore", "stop")
    launch(real_run.directory, command=command, grace=Grace(command_seconds=0.1))
    real_run.wait_running()
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 130)
    assert "KeyboardInterrupt" not in real_run.directory.console_log.read_text()
