"""The command line as a user meets it: a real process, its stdout, stderr and exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_tui.cli import COMMANDS
from cascade_tui.commands.status import report
from engine.run.control import pending
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status

CLI = [sys.executable, "-m", "cascade_tui"]


def cli(*arguments: object, cwd: Path | None = None, **variables: str):
    """Run the command line without a terminal."""
    return subprocess.run(
        [*CLI, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def over_run(root: Path, state: str = "finished", **fields: object) -> RunDirectory:
    """A run directory of a run that is over."""
    root.mkdir(parents=True)
    run = RunDirectory(root)
    EventWriter(run.events).emit("step", step=5, loss=0.25, images_per_second=3.0)
    status = Status.of_process(state, step=5, max_train_steps=5, **{"exit_code": 0, **fields})
    write_status(run, status)
    return run


# -- what it answers by itself --------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["status", "--help"]])
def test_it_answers_without_loading_anything_heavy(arguments):
    script = (
        "import sys\nfrom cascade_tui.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "heavy = {'torch', 'textual', 'rich', 'pydantic', 'tomlkit', 'numpy', 'PIL', 'pynvml'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", script, *arguments]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"
    assert result.stdout


def test_status_and_logs_load_neither_textual_nor_torch_nor_pydantic(tmp_path):
    over_run(tmp_path / "run")
    script = (
        "import sys\nfrom cascade_tui.cli import main\nmain(sys.argv[1:])\n"
        "heavy = {'torch', 'textual', 'rich', 'pydantic', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    for command in ("status", "logs"):
        argv = [sys.executable, "-c", script, command, str(tmp_path / "run")]
        result = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert result.stderr.splitlines()[-1] == "[]"


def test_a_locale_that_lacks_a_sign_gets_it_escaped():
    result = cli("validate", "größe.toml", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (2, "")
    assert "gr\\xf6\\xdfe.toml" in result.stdout


def test_the_help_names_every_command():
    result = cli("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout


def test_without_a_terminal_and_without_a_path_it_explains_itself_on_stderr():
    result = cli()
    assert (result.returncode, result.stdout) == (2, "")
    assert "cascade-tui --no-ui PATH" in result.stderr


def test_a_path_that_is_not_there_is_a_usage_error_with_the_nearest_command():
    result = cli("statsu")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no file, folder or command statsu (did you mean status?)" in result.stderr


def test_a_folder_called_like_a_command_is_reached_by_a_dot_or_two_dashes(tmp_path):
    over_run(tmp_path / "stop")
    for arguments in (["./stop"], ["--no-ui", "--", "stop"]):
        result = cli(*arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert "finished at step 5 of 5" in result.stdout


def test_options_may_stand_before_the_command(tmp_path):
    over_run(tmp_path / "run")
    result = cli("--json", "status", tmp_path / "run")
    assert json.loads(result.stdout)["state"] == "finished"


def test_two_configs_are_refused(tmp_path):
    result = cli("--no-ui", "a.toml", "--config_file", "b.toml")
    assert result.returncode == 2
    assert "two configs are given: a.toml and --config_file b.toml" in result.stderr


def test_a_folder_is_no_config_and_the_one_inside_is_named(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    result = cli("launch", tmp_path)
    assert result.returncode == 2
    assert f"did you mean {tmp_path / 'config.json'}?" in result.stderr


def test_a_set_without_an_equals_sign_is_a_usage_error(tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{}")
    result = cli("--no-ui", config, "--set", "learning_rate")
    assert result.returncode == 2
    assert "--set learning_rate: expected KEY=VALUE" in result.stderr


@pytest.mark.parametrize("command", ["attach", "logs", "stop", "checkpoint", "resume"])
def test_a_folder_that_is_no_run_directory_is_a_usage_error(tmp_path, command):
    result = cli(command, tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "is not a run directory" in result.stderr


# -- status and logs ------------------------------------------------------------------------------


def test_status_says_how_a_run_does_in_one_line(tmp_path):
    over_run(tmp_path / "run", "failed", exit_code=7, message="out of memory")
    result = cli("status", tmp_path / "run")
    assert result.returncode == 0
    line = f"{tmp_path / 'run'}: failed at step 5 of 5, loss 0.25, exit code 7, out of memory\n"
    assert result.stdout == line


def test_status_as_json_is_one_object_a_run_with_finite_numbers_only(tmp_path):
    run = over_run(tmp_path / "a")
    EventWriter(run.events).emit("step", step=6, loss=float("nan"))
    over_run(tmp_path / "b" / "deep", "stopped", exit_code=130)
    result = cli("status", tmp_path, "--json")
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert (first["state"], first["loss"], first["step"], first["alive"]) == (
        "finished",
        None,
        5,
        False,
    )
    assert (second["state"], second["exit_code"], second["loss"]) == ("stopped", 130, 0.25)


def test_the_time_left_after_a_pause_is_that_of_the_pace_since(tmp_path):
    run = RunDirectory(tmp_path)
    write_status(run, Status.of_process("running", step=12, max_train_steps=100))
    with EventWriter(run.events) as writer:
        for step, moment in ((8, 1000.0), (9, 1001.0)):
            writer.emit("step", step=step, t=moment)
        writer.emit("phase", phase="training", t=9000.0)
        for step, moment in ((10, 9001.0), (12, 9002.0)):
            writer.emit("step", step=step, t=moment)
    assert report(run)["seconds_left"] == 44.0


def test_status_of_a_folder_without_runs_is_a_usage_error(tmp_path):
    result = cli("status", tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert "there is no run at or below" in result.stderr


def test_watching_prints_changes_until_nothing_runs_any_more(real_run):
    real_run.launch("--steps", "60")
    result = cli("status", real_run.directory.root, "--watch", "--interval", "0.05")
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert lines[-1].startswith(f"{real_run.directory.root}: finished at step 60 of 60")
    assert len(lines) == len(set(lines)) > 2


def test_logs_are_printed_byte_for_byte_or_from_some_lines_before_the_end(tmp_path):
    run = over_run(tmp_path / "run")
    content = "".join(f"line {number} größe\n" for number in range(30_000)) + "unfinished"
    run.console_log.write_text(content)
    assert cli("logs", run.root).stdout == content
    assert cli("logs", run.root, "-n", 2).stdout == "line 29999 größe\nunfinished"
    many = cli("logs", run.root, "-n", 20_000).stdout
    assert many.splitlines() == content.splitlines()[-20_000:]
    assert cli("logs", run.root, "-n", 99_999).stdout == content
    run.console_log.write_text("a\nb\nc\n")
    assert cli("logs", run.root, "-n", 2).stdout == "b\nc\n"


def test_following_logs_ends_with_the_run(real_run):
    real_run.launch("--steps", "20", "--crash")
    result = cli("logs", real_run.directory.root, "-f")
    assert result.returncode == 0
    assert "the stand-in is ready" in result.stdout
    assert result.stdout.rstrip().endswith("RuntimeError: the stand-in crashed")


# -- steering -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["checkpoint", "validate-now", "pause", "stop", "abort"])
def test_a_command_to_a_run_that_is_over_is_refused_and_leaves_no_file(tmp_path, command):
    run = over_run(tmp_path / "run")
    result = cli(command, run.root)
    assert (result.returncode, result.stdout) == (2, "")
    assert f"nothing runs in {run.root}: finished at step 5 of 5" in result.stderr
    assert pending(run) == []


def test_commands_reach_the_run_and_can_be_waited_for(real_run):
    real_run.launch()
    real_run.wait_running()
    root = real_run.directory.root
    asked = cli("checkpoint", root)
    assert asked.returncode == 0
    for command in ("validate-now", "pause"):
        assert cli(command, root, "--wait").returncode == 0
    assert real_run.state().name == "paused"
    assert cli("resume", root, "--wait").returncode == 0
    assert real_run.state().name == "running"
    assert cli("stop", root, "--wait").returncode == 0
    state = real_run.state()
    assert (state.name, state.exit_code, state.supervised) == ("stopped", 0, False)
    done = [event for event in real_run.events("command") if event["state"] == "done"]
    names = [event["command"] for event in done]
    assert names == ["checkpoint", "validate", "pause", "resume"]
    assert done[0]["id"] == asked.stdout.strip()


def test_abort_ends_the_run_at_once(real_run):
    real_run.launch("--ignore", "stop")
    real_run.wait_running()
    assert cli("abort", real_run.directory.root, "--wait").returncode == 0
    assert real_run.state().exit_code == 143


def test_a_trainer_without_a_supervisor_gets_one_when_it_is_to_be_aborted(real_run):
    real_run.launch()
    trainer = real_run.wait_running().pid
    os.kill(real_run.supervisor, 9)
    real_run.wait(lambda state: not state.supervised)
    assert cli("abort", real_run.directory.root, "--wait").returncode == 0
    state = real_run.wait_over()
    assert (state.name, state.exit_code, state.pid) == ("stopped", 143, trainer)


def test_waiting_for_a_command_ends_with_1_if_the_run_ends_first(real_run):
    real_run.launch("--ignore", "checkpoint", "--steps", "150")
    real_run.wait_running()
    result = cli("checkpoint", real_run.directory.root, "--wait")
    assert result.returncode == 1
    assert result.stderr.strip()


def test_a_finished_run_is_not_resumed(tmp_path):
    result = cli("resume", over_run(tmp_path / "run").root)
    assert result.returncode == 2
    assert "finished at step 5" in result.stderr
    assert "max_train_steps" in result.stderr


def test_a_stopped_run_without_its_frozen_config_cannot_be_resumed(tmp_path):
    result = cli("resume", over_run(tmp_path / "run", "stopped").root)
    assert result.returncode == 3
    assert "no readable frozen config" in result.stderr
