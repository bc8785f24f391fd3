"""What `cascade-tui demo` promises before and after its run; the run itself has its own test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cascade_tui.commands.demo import Demo, DemoError, prepare, summary, write_config
from cascade_tui.shipped_files import ShippedFileError, shipped_path
from engine.config.backends import ImageBackend
from engine.config.loading import load_project
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.run.status import Status, write_status


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cascade_tui", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def test_the_shipped_config_has_no_problem_in_its_values(tmp_path: Path) -> None:
    project = load_project(write_config(tmp_path, shipped_path("demo")), check=False)
    assert project.problems == ()
    assert project.config is not None
    assert project.config.lora_target == "all-linear"


def test_the_copied_config_points_to_this_demo_and_keeps_its_comments(tmp_path: Path) -> None:
    path = write_config(tmp_path, shipped_path("demo"))
    project = load_project(path, check=False)
    assert project.config is not None
    assert project.config.output_dir == str(tmp_path / "run")
    assert project.config.cache_dir == str(tmp_path / "cache")
    assert project.config.pretrained_model_name_or_path == str(tmp_path / "stage-c-tiny")
    folders = {b.instance_data_dir for b in project.backends if isinstance(b, ImageBackend)}
    assert folders == {str(shipped_path("demo/photographs"))}
    assert "# The photographs, captioned by their file names." in path.read_text()


def test_every_photograph_is_a_validation_prompt_and_both_kinds_of_caption_are_read(
    tmp_path: Path,
) -> None:
    project = load_project(write_config(tmp_path, shipped_path("demo")), check=False)
    stems = {path.stem for path in shipped_path("demo/photographs").glob("*.jpg")}
    assert set(project.prompts.values()) == stems
    strategies = [b.caption_strategy for b in project.backends if isinstance(b, ImageBackend)]
    assert strategies == ["filename", "textfile"]


def test_a_config_that_was_edited_is_kept(tmp_path: Path) -> None:
    path = write_config(tmp_path, shipped_path("demo"))
    path.write_text(path.read_text().replace("lora_rank = 32", "lora_rank = 8"))
    assert write_config(tmp_path, shipped_path("demo")) == path
    assert "lora_rank = 8" in path.read_text()


def test_overrides_name_the_run_and_the_steps(tmp_path: Path) -> None:
    demo = Demo(config=tmp_path / "demo.toml", run=RunDirectory(tmp_path / "run-2"))
    assert demo.overrides(num_steps=None) == [f'output_dir="{tmp_path}/run-2"']
    assert demo.overrides(num_steps=40)[1:] == ["max_train_steps=40", "lr_warmup_steps=2"]


@pytest.mark.parametrize("num_steps", [1, 7, 20, 5000])
def test_any_number_of_steps_makes_a_config_without_errors_of_its_own(
    tmp_path: Path, num_steps: int
) -> None:
    demo = Demo(write_config(tmp_path, shipped_path("demo")), RunDirectory(tmp_path / "run"))
    project = load_project(demo.config, demo.overrides(num_steps=num_steps))
    wrong = {problem.key for problem in project.errors}
    assert wrong <= {"pretrained_model_name_or_path", "pretrained_vae_model_name_or_path"}


def test_the_summary_names_pictures_lora_files_losses_and_the_next_command(
    tmp_path: Path,
) -> None:
    demo = Demo(config=tmp_path / "demo.toml", run=RunDirectory(tmp_path / "run"))
    for folder in (demo.run.validation_dir(0), demo.run.validation_dir(100), demo.run.export):
        folder.mkdir(parents=True)
    (demo.run.validation_dir(100) / "cat-7.png").write_bytes(b"")
    (demo.run.export / "lora-comfyui.safetensors").write_bytes(b"")
    events = EventWriter(demo.run.events)
    for step in range(1, 101):
        events.emit("step", step=step, loss=0.2 if step <= 20 else 0.004)
    events.close()
    write_status(demo.run, Status.of_process("finished", step=100, exit_code=0))
    text = "\n".join(summary(demo))
    assert "0.2000 at first, 0.0040 at last (step 100)" in text
    assert f"1 in {demo.run.validation_dir(100)}" in text
    assert str(demo.run.export / "lora-comfyui.safetensors") in text
    assert f"cascade-tui {demo.config}" in text


def test_a_missing_shipped_file_is_named() -> None:
    with pytest.raises(ShippedFileError, match=r"no-such-file\.toml did not come"):
        shipped_path("no-such-file.toml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DemoError, match="choose another --output"):
        prepare(tmp_path / "demo", print)


def test_an_output_that_is_a_file_is_named_and_kept(tmp_path: Path) -> None:
    output = tmp_path / "notes"
    output.write_text("mine")
    done = run_cli("demo", "--no-ui", "--output", str(output))
    assert done.returncode == 3
    assert f"{output} cannot be used" in done.stderr
    assert output.read_text() == "mine"


@pytest.mark.parametrize("steps", ["0", "-3", "many"])
def test_a_wrong_number_of_steps_is_refused_before_anything_is_built(steps: str) -> None:
    done = run_cli("demo", f"--steps={steps}")
    assert done.returncode == 2
    assert "expected a whole number, 1 or more" in done.stderr


def test_the_command_never_loads_torch_nor_the_app() -> None:
    script = (
        "import sys, pathlib, tempfile;"
        "from cascade_tui.commands.demo import write_config;"
        "from cascade_tui.shipped_files import shipped_path;"
        "write_config(pathlib.Path(tempfile.mkdtemp()), shipped_path('demo'));"
        "print([m for m in ('torch', 'textual', 'engine.tiny') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
