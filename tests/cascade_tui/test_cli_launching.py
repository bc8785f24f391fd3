"""From a config to a run directory: what is written, what is refused, what accelerate is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from cascade_tui.launching import (
    accelerate_arguments,
    changed_keys,
    format_problem,
    prepare_and_launch,
)
from engine.config.fields import TrainingConfig
from engine.config.frozen import load_frozen
from engine.config.live import LiveChange, write_changes
from engine.config.loading import Project
from engine.config.problems import Problem
from engine.run.control import send
from engine.run.launch import LaunchError, RunAliveError
from engine.run.paths import RunDirectory
from engine.run.status import derive_state

CLI = [sys.executable, "-m", "cascade_tui"]


def project_of(output: Path, **options: object) -> Project:
    """A project as `load_project` gives it, of a run that lies in `output`."""
    config = TrainingConfig(output_dir=str(output), **options)
    return Project(output / "config.toml", None, config, (), {}, None, ())


@pytest.fixture
def without_accelerate_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of accelerate in which nobody ran `accelerate config`."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path / "hf" / "accelerate" / "default_config.yaml"


# -- a config with errors -------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["launch"], ["--no-ui"], ["--no-ui", "--config_file"], []])
def test_a_config_with_errors_is_2_with_every_problem_on_stderr_and_nothing_created(
    tmp_path, command
):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"--learning_rte": 1, "lora_rank": 0, "output_dir": "made"}))
    argv = [*CLI, *command, str(config)]
    result = subprocess.run(
        argv, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (2, "")
    assert "learning_rate" in result.stderr  # the nearest known name
    assert "lora_rank" in result.stderr
    assert "nothing was started" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_overrides_reach_the_config_from_set_and_data_backend_config(tmp_path):
    config = tmp_path / "config.json"
    config.write_text("{}")
    argv = [*CLI, "--no-ui", "--config_file", str(config)]
    argv += ["--data_backend_config", "not-there.json", "--set", "lora_rank=0"]
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "not-there.json does not exist" in result.stderr
    assert "--set lora_rank" in result.stderr


def test_a_problem_reads_as_severity_key_message_place_and_fix():
    problem = Problem("seed", "error", "is odd", "make it even", where="config.json:3")
    assert format_problem(problem) == "error: seed: is odd (config.json:3)\n  fix: make it even"
    assert format_problem(Problem("", "hint", "well")) == "hint: well"


# -- the run directory ----------------------------------------------------------------------------


def end(run: RunDirectory) -> None:
    """Abort a run and wait until it is over."""
    send(run, "abort")
    while derive_state(run).supervised:
        time.sleep(0.01)


def test_launching_freezes_the_config_and_says_with_what_and_where(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "a-secret-value")
    run = prepare_and_launch(project_of(tmp_path / "run", lora_rank=8))
    end(run)
    assert run.root == tmp_path / "run"
    assert load_frozen(run.root).config.lora_rank == 8
    [launched] = json.loads(run.meta.read_text())["launches"]
    assert launched["argv"] == sys.argv
    assert {"torch", "accelerate", "cascade-tui"} <= launched["versions"].keys()
    written = [path for path in run.root.iterdir() if path.is_file()]
    assert not any(b"a-secret-value" in path.read_bytes() for path in written)


def test_launching_again_replaces_the_config_and_notes_what_changed(tmp_path):
    notes: list[str] = []
    prepare_and_launch(project_of(tmp_path / "run", lora_rank=8), note=notes.append)
    run = RunDirectory(tmp_path / "run")
    end(run)
    assert notes == []
    write_changes(run, LiveChange({"checkpoint_step_interval": 3}))
    project = project_of(tmp_path / "run", lora_rank=16, seed=7)
    prepare_and_launch(project, note=notes.append)
    end(run)
    assert len(notes) == 2
    assert notes[1].startswith("what was changed while it ran counts no more")
    assert not run.changes.exists()
    assert "changed since its last launch: lora_rank, seed" in notes[0]
    assert tomllib.loads(run.config.read_text())["lora_rank"] == 16
    assert len(json.loads(run.meta.read_text())["launches"]) == 2


def test_resuming_a_run_that_was_stopped_launches_it_from_its_frozen_config(tmp_path):
    run = prepare_and_launch(project_of(tmp_path / "run"))
    end(run)
    frozen = run.config.read_text()
    argv = [*CLI, "resume", str(run.root)]
    result = subprocess.run(argv, cwd="/", capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, f"{run.root}\n"), result.stderr
    assert derive_state(run).supervised
    end(run)
    assert run.config.read_text() == frozen
    assert len(json.loads(run.meta.read_text())["launches"]) == 2


def test_a_run_that_is_alive_is_refused_before_anything_of_it_is_touched(real_run):
    real_run.launch()
    with pytest.raises(RunAliveError) as caught:
        prepare_and_launch(project_of(real_run.directory.root))
    assert caught.value.pid == real_run.supervisor
    assert not real_run.directory.config.exists()
    assert not real_run.directory.meta.exists()


def test_an_output_dir_that_cannot_be_made_is_a_launch_error_that_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match=r"output_dir .*file/run cannot be written: Not a dir"):
        prepare_and_launch(project_of(tmp_path / "file" / "run"))


def test_changed_keys_are_those_whose_values_differ():
    before = {"same": 1, "changed": 1, "removed": 1}
    assert changed_keys(before, {"same": 1, "changed": 2, "added": 1}) == [
        "added",
        "changed",
        "removed",
    ]


# -- accelerate -----------------------------------------------------------------------------------


def test_the_configs_accelerate_file_is_passed_on(tmp_path, without_accelerate_config):
    project = project_of(tmp_path, accelerate_config_file=str(tmp_path / "four.yaml"))
    assert accelerate_arguments(project.config, num_gpus=4) == [
        "--config_file",
        str(tmp_path / "four.yaml"),
    ]


def test_the_users_default_accelerate_config_is_left_to_speak(tmp_path, without_accelerate_config):
    without_accelerate_config.parent.mkdir(parents=True)
    without_accelerate_config.write_text("compute_environment: LOCAL_MACHINE\n")
    assert accelerate_arguments(project_of(tmp_path).config, num_gpus=4) == []
    project = project_of(tmp_path, num_processes=2)
    assert accelerate_arguments(project.config, num_gpus=4) == ["--num_processes=2"]


@pytest.mark.parametrize(
    ("num_gpus", "num_processes", "expected", "unexpected"),
    [
        (0, None, {"--num_processes=1", "--cpu"}, {"--multi_gpu"}),
        (1, None, {"--num_processes=1"}, {"--cpu", "--multi_gpu"}),
        (4, None, {"--num_processes=1"}, {"--cpu", "--multi_gpu"}),
        (4, 4, {"--num_processes=4", "--multi_gpu"}, {"--cpu"}),
    ],
)
def test_without_any_accelerate_config_everything_is_said_explicitly(
    tmp_path, without_accelerate_config, num_gpus, num_processes, expected, unexpected
):
    config = project_of(tmp_path, num_processes=num_processes).config
    arguments = set(accelerate_arguments(config, num_gpus=num_gpus))
    assert expected | {"--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"} <= (
        arguments
    )
    assert not unexpected & arguments


@pytest.mark.parametrize("variables", [{"HF_HOME": "~/hf"}, {"XDG_CACHE_HOME": "/x/cache"}])
def test_the_default_accelerate_config_is_looked_for_where_accelerate_itself_does(variables):
    script = (
        "from accelerate.commands.config.config_args import cache_dir\n"
        "from cascade_tui.launching import default_accelerate_config\n"
        "print(cache_dir, default_accelerate_config().parent, sep='\\n')"
    )
    others = {key: os.environ[key] for key in os.environ.keys() - {"HF_HOME", "XDG_CACHE_HOME"}}
    argv = [sys.executable, "-c", script]
    result = subprocess.run(
        argv, env={**others, **variables}, capture_output=True, text=True, check=True
    )
    theirs, ours = result.stdout.splitlines()
    assert ours == theirs
