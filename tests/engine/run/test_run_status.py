"""What readers conclude from status.json, the lock and the process table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engine.run.events import EventWriter
from engine.run.status import (
    HEARTBEAT_TIMEOUT_SECONDS,
    Status,
    derive_state,
    is_supervised,
    process_start_time,
    read_status,
    write_status,
)
from engine.run.supervisor import hold_lock


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    yield process
    process.kill()
    process.wait()


def test_a_status_comes_back_as_it_was_written(run):
    status = Status.of_process("running", step=7, max_train_steps=9, phase="training")
    write_status(run, status)
    assert read_status(run) == status
    assert status.pid == os.getpid()
    assert status.start_time == process_start_time(os.getpid())


def test_keys_of_a_later_version_are_ignored(run):
    write_status(run, Status.of_process("running"))
    content = {**json.loads(run.status.read_text()), "of_the_future": 1}
    run.status.write_text(json.dumps(content))
    assert read_status(run).state == "running"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"state":"odd","pid":1}', "\x00" * 50])
def test_an_unreadable_status_is_none_and_never_raises(run, content):
    run.status.write_text(content)
    assert read_status(run) is None


@pytest.mark.parametrize(
    "damage",
    [
        {"heartbeat": "soon"},
        {"heartbeat": float("nan")},
        {"pid": "12"},
        {"step": None},
        {"max_train_steps": []},
        {"phase": 3},
        {"exit_code": "one"},
    ],
    ids=str,
)
def test_a_status_with_values_of_another_kind_counts_as_unreadable(run, damage):
    write_status(run, Status.of_process("running"))
    run.status.write_text(json.dumps({**json.loads(run.status.read_text()), **damage}))
    assert read_status(run) is None
    assert derive_state(run).name == "new"


def test_no_reader_ever_sees_a_status_in_part(run):
    script = (
        "import sys\nfrom pathlib import Path\nfrom engine.run.paths import RunDirectory\n"
        "from engine.run.status import Status, write_status\n"
        "run = RunDirectory(Path(sys.argv[1]))\n"
        "for step in range(800):\n"
        "    write_status(run, Status.of_process('running', step=step, message='x' * (step % 999)))"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(run.root)])
    while not run.status.exists():
        pass
    last = 0
    while writer.poll() is None:
        status = read_status(run)
        assert status is not None
        assert status.step >= last
        last = status.step
    assert writer.returncode == 0
    assert sorted(path.name for path in run.root.iterdir()) == ["status.json"]


def test_an_empty_directory_is_new_and_one_with_events_only_is_lost(run):
    assert derive_state(run).name == "new"
    EventWriter(run.events).emit("phase", phase="training")
    assert derive_state(run).name == "lost"


def test_a_live_process_without_a_supervisor_runs_unsupervised(run, sleeper):
    write_status(run, Status.of_process("running", sleeper.pid, step=3))
    state = derive_state(run)
    assert (state.name, state.step, state.supervised, state.is_alive) == ("running", 3, False, True)


def test_paused_is_seen_from_the_state_or_from_the_phase(run, sleeper):
    write_status(run, Status.of_process("paused", sleeper.pid))
    assert derive_state(run).name == "paused"
    write_status(run, Status.of_process("running", sleeper.pid, phase="paused"))
    assert derive_state(run).name == "paused"


def test_a_pid_that_another_process_has_now_is_not_taken_for_the_trainer(run, sleeper):
    status = Status.of_process("running", sleeper.pid)
    write_status(run, replace(status, start_time=status.start_time - 1))
    assert derive_state(run).name == "lost"


def test_a_zombie_is_not_alive(run):
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=-1)
    write_status(run, Status.of_process("running", process.pid))
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and left in the table
    assert derive_state(run).name == "lost"
    process.communicate()


def test_a_run_from_before_the_last_boot_is_lost_at_reboot(run, sleeper):
    write_status(run, replace(Status.of_process("running", sleeper.pid), boot_id="another boot"))
    state = derive_state(run)
    assert state.name == "lost-at-reboot"
    assert not state.is_alive


@pytest.mark.parametrize("elsewhere", [{"boot_id": "x", "hostname": "x"}, {"pid_namespace": "x"}])
def test_a_run_on_another_machine_or_in_another_container_is_judged_by_its_heartbeat(
    run, elsewhere
):
    status = replace(Status.of_process("running"), **elsewhere)
    write_status(run, status)
    fresh = derive_state(run, now=status.heartbeat + HEARTBEAT_TIMEOUT_SECONDS - 1)
    old = derive_state(run, now=status.heartbeat + HEARTBEAT_TIMEOUT_SECONDS + 1)
    assert (fresh.name, old.name) == ("running", "lost")
    assert "no heartbeat" in old.message


def test_an_old_heartbeat_of_a_process_that_is_alive_here_is_only_old(run, sleeper):
    status = Status.of_process("running", sleeper.pid)
    write_status(run, status)
    state = derive_state(run, now=status.heartbeat + 10_000)
    assert state.name == "running"
    assert state.heartbeat_age_seconds == pytest.approx(10_000)


def test_a_final_state_stays_whatever_became_of_its_process(run, sleeper):
    status = Status.of_process("failed", sleeper.pid, exit_code=42, message="out of memory")
    write_status(run, replace(status, boot_id="another boot"))
    state = derive_state(run)
    assert (state.name, state.exit_code, state.message) == ("failed", 42, "out of memory")


def test_the_lock_says_supervised_and_looking_at_it_disturbs_nobody(run):
    assert not is_supervised(run)
    descriptor = hold_lock(run)
    try:
        assert is_supervised(run)
        assert derive_state(run).name == "starting"
    finally:
        os.close(descriptor)
    assert not is_supervised(run)
    again = hold_lock(run)
    assert again is not None
    os.close(again)


def test_the_start_time_is_right_for_a_process_with_spaces_and_brackets_in_its_name(tmp_path):
    program = tmp_path / "a) b (c"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "600"])
    try:
        mine, its = process_start_time(os.getpid()), process_start_time(process.pid)
        assert its >= mine
    finally:
        process.kill()
        process.wait()
    assert process_start_time(process.pid) is None
