"""The supervisor against real processes: exit codes, kills, the stop ladder, adoption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.run.control import pending, send
from engine.run.ladder import Grace
from engine.run.launch import LaunchError, RunAliveError, adopt, is_alive, launch
from engine.run.paths import RunDirectory
from engine.run.processes import process_start_time
from engine.run.status import read_status, supervisor_pid

PATIENT = Grace(command_seconds=600, interrupt_seconds=600, terminate_seconds=600)


def signals_sent(real_run) -> list[object]:
    return [event["name"] for event in real_run.events("signal")]


def test_launch_returns_with_the_lock_held_and_the_state_starting_or_later(real_run):
    supervisor = real_run.launch()
    state = real_run.state()
    assert state.supervised
    assert state.name in ("starting", "running")
    assert supervisor_pid(real_run.directory) == supervisor
    assert process_start_time(supervisor) is not None


def test_a_finished_run_has_its_state_code_and_one_exit_event(real_run):
    real_run.launch("--steps", "3")
    state = real_run.wait_over()
    assert (state.name, state.exit_code, state.step) == ("finished", 0, 3)
    assert [event["code"] for event in real_run.events("exit")] == [0]


def test_the_trainers_own_exit_code_wins_over_its_launchers_1(real_run):
    real_run.launch("--launcher", "--steps", "2", "--exit-code", "42")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("failed", 42)
    assert [event["code"] for event in real_run.events("exit")] == [42]


def test_a_trainer_that_crashes_without_a_word_is_failed_with_its_code_and_a_reason(real_run):
    real_run.launch("--steps", "1", "--crash")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("failed", 1)
    assert state.message == "RuntimeError: the stand-in crashed"
    [event] = real_run.events("exit")
    assert (event["state"], event["code"], event["step"]) == ("failed", 1, 1)
    assert "Traceback" in real_run.directory.console_log.read_text()


def test_the_reason_for_a_failure_is_of_this_launch_not_of_one_before(real_run, kill):
    real_run.launch("--steps", "1", "--crash")
    real_run.wait_over()
    real_run.launch("--steps", "1", "--silent", "--exit-code", "5")
    state = real_run.wait_over()
    assert state.exit_code == 5
    assert "without an error message" in state.message


def test_a_trainer_that_ends_well_without_a_word_is_finished(real_run):
    real_run.launch("--steps", "1", "--silent")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("finished", 0)


def test_a_program_that_cannot_start_is_failed_with_127_and_the_console_says_why(run):
    launch(run, command=["/nonexistent/program"])
    while is_alive(run):
        time.sleep(0.01)
    status = read_status(run)
    assert (status.state, status.exit_code) == ("failed", 127)
    assert "cannot start /nonexistent/program" in run.console_log.read_text()


def test_kill_9_of_the_supervisor_leaves_the_trainer_running_and_writing(real_run, kill):
    real_run.launch()
    step = real_run.wait_running().step
    kill(real_run.supervisor)
    state = real_run.wait(lambda state: state.step > step + 5)
    assert state.name == "running"
    assert not state.supervised
    assert "supervisor is gone" in state.message
    assert is_alive(real_run.directory)


def test_kill_9_of_the_trainer_is_failed_with_the_signal_as_reason(real_run, kill):
    real_run.launch()
    kill(real_run.wait_running().pid)
    state = real_run.wait_over()
    assert (state.name, state.exit_code, state.message) == ("failed", 137, "killed by SIGKILL")


def test_kill_9_of_a_trainer_below_a_launcher_is_failed_with_a_reason(real_run, kill):
    real_run.launch("--launcher")
    kill(real_run.wait_running().pid)
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("failed", 1)
    assert "without an error message" in state.message


def test_kill_9_of_supervisor_and_trainer_is_lost(real_run, kill):
    real_run.launch()
    trainer = real_run.wait_running().pid
    kill(real_run.supervisor)
    kill(trainer)
    state = real_run.state()
    assert state.name == "lost"
    assert f"process {trainer}) ended without an error message" in state.message
    assert not is_alive(real_run.directory)


def test_kill_9_of_the_launcher_leaves_the_trainer_under_the_supervisors_eyes(real_run, kill):
    real_run.launch("--launcher")
    trainer = real_run.wait_running().pid
    kill(os.getpgid(trainer))  # the launcher leads the group
    step = real_run.state().step
    real_run.wait(lambda state: state.step > step + 3)
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 0)


def test_a_second_launch_is_refused_while_the_supervisor_lives(real_run):
    real_run.launch()
    with pytest.raises(RunAliveError, match="already running") as caught:
        launch(real_run.directory, command=real_run.command())
    assert caught.value.pid == real_run.supervisor


def test_a_second_launch_is_refused_while_only_the_trainer_lives(real_run, kill):
    real_run.launch()
    trainer = real_run.wait_running().pid
    kill(real_run.supervisor)
    with pytest.raises(RunAliveError, match=f"process {trainer}"):
        launch(real_run.directory, command=real_run.command())


def test_of_two_supervisors_started_at_once_one_gets_the_lock(real_run):
    root = real_run.directory.root
    root.mkdir()
    argv = [sys.executable, "-m", "engine.run.supervisor", str(root), "--"]
    argv += real_run.command("--steps", "300")
    both = [subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outcomes = [(process.communicate()[1], process.returncode) for process in both]
    assert sorted(code for _, code in outcomes) == [0, 3]
    assert "has a supervisor" in "".join(text for text, _ in outcomes)
    assert len(real_run.events("start")) == 1


def test_a_stopped_run_can_be_launched_again_and_counts_from_its_last_step(real_run):
    real_run.launch()
    real_run.wait_running()
    send(real_run.directory, "stop")
    step = real_run.wait_over().step
    real_run.launch("--steps", "2")
    assert real_run.state().step in (step, 1, 2)
    assert real_run.wait_over().name == "finished"
    assert [event["state"] for event in real_run.events("exit")] == ["stopped", "finished"]


def test_a_command_left_over_from_before_does_not_reach_the_next_launch(real_run):
    real_run.directory.root.mkdir()
    send(real_run.directory, "stop")
    real_run.launch("--steps", "3")
    assert real_run.wait_over().name == "finished"
    assert [event["state"] for event in real_run.events("command")] == ["ignored"]


def test_stop_ends_with_0_and_no_signal_if_the_trainer_obeys(real_run):
    real_run.launch("--launcher", grace=PATIENT)
    real_run.wait_running()
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 0)
    assert signals_sent(real_run) == []


def test_a_trainer_deaf_to_commands_is_sent_sigint_and_saves(real_run, short_grace):
    real_run.launch("--ignore", "stop", grace=short_grace)
    real_run.wait_running()
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 130)
    assert signals_sent(real_run) == ["SIGINT"]
    assert pending(real_run.directory) == []


def test_a_trainer_that_ignores_everything_is_killed_rung_by_rung(real_run, short_grace):
    ignored = [word for name in ("stop", "SIGINT", "SIGTERM") for word in ("--ignore", name)]
    real_run.launch("--launcher", *ignored, grace=short_grace)
    real_run.wait_running()
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 137)
    assert signals_sent(real_run) == ["SIGINT", "SIGTERM", "SIGKILL"]


def test_a_trainer_that_is_saving_is_not_hurried(real_run):
    grace = Grace(command_seconds=0, interrupt_seconds=0, terminate_seconds=600)
    real_run.launch("--ignore", "stop", "--ignore", "SIGINT", "--phase", "saving", grace=grace)
    real_run.wait_running()
    send(real_run.directory, "stop")
    step = real_run.state().step
    real_run.wait(lambda state: state.step > step + 100)  # far more than a look of the supervisor
    assert "SIGTERM" not in signals_sent(real_run)
    send(real_run.directory, "abort")
    assert real_run.wait_over().exit_code == 143


def test_abort_goes_straight_to_sigterm(real_run):
    real_run.launch("--launcher", grace=PATIENT)
    real_run.wait_running()
    send(real_run.directory, "abort")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 143)
    assert signals_sent(real_run) == ["SIGTERM"]


def test_sigterm_to_the_supervisor_has_the_trainer_save_and_stop(real_run):
    real_run.launch(grace=PATIENT)
    real_run.wait_running()
    os.kill(real_run.supervisor, signal.SIGTERM)
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 0)
    assert signals_sent(real_run) == []


def test_sighup_to_supervisor_and_trainer_changes_nothing(real_run):
    real_run.launch()
    trainer = real_run.wait_running().pid
    for pid in (real_run.supervisor, trainer):
        os.kill(pid, signal.SIGHUP)
    step = real_run.state().step
    assert real_run.wait(lambda state: state.step > step + 5).supervised


def test_processes_that_the_trainer_leaves_behind_are_ended(real_run, short_grace):
    real_run.launch("--steps", "1", "--leave-orphan", grace=short_grace)
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("finished", 0)
    orphan = int((real_run.directory.root / "orphan.pid").read_text())
    assert process_start_time(orphan) is None


def test_an_adopted_trainer_can_be_stopped_and_its_end_is_told(real_run, kill, short_grace):
    real_run.launch("--ignore", "stop")
    trainer = real_run.wait_running().pid
    kill(real_run.supervisor)
    real_run.supervisor = adopt(real_run.directory, grace=short_grace)
    assert real_run.state().supervised
    send(real_run.directory, "stop")
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("stopped", 130)
    assert signals_sent(real_run) == ["SIGINT"]
    assert process_start_time(trainer) is None


def test_an_adopted_trainer_that_is_killed_is_failed(real_run, kill):
    real_run.launch()
    trainer = real_run.wait_running().pid
    kill(real_run.supervisor)
    real_run.supervisor = adopt(real_run.directory)
    kill(trainer)
    state = real_run.wait_over()
    assert (state.name, state.exit_code) == ("failed", 1)
    assert [event["state"] for event in real_run.events("exit")] == ["failed"]


def test_only_a_live_unsupervised_trainer_can_be_adopted(real_run):
    with pytest.raises(LaunchError, match="no live trainer"):
        adopt(RunDirectory(real_run.directory.root.parent))
    real_run.launch()
    with pytest.raises(RunAliveError):
        adopt(real_run.directory)


def test_the_trainer_holds_no_descriptor_of_whoever_launched_it(real_run):
    real_run.launch()
    trainer = real_run.wait_running().pid
    names = {os.readlink(path) for path in Path(f"/proc/{trainer}/fd").iterdir()}
    console, events = str(real_run.directory.console_log), str(real_run.directory.events)
    assert names <= {os.devnull, console, events}
    assert os.getsid(trainer) != os.getsid(0)


def test_a_run_directory_that_cannot_be_written_is_a_launch_error(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(OSError, match="file"):
        launch(RunDirectory(blocked / "run"), command=["true"])


def test_a_python_that_is_not_there_is_a_launch_error(run):
    with pytest.raises(LaunchError, match="/nonexistent/python"):
        launch(run, python="/nonexistent/python")
