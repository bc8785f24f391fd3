"""The page of how a run is started: what follows from the options is what the launch will do."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until, write
from form_project import CONFIG, ENVIRONMENT, write_project
from rich.console import Console
from textual.pilot import Pilot

from cascade_tui.launch_plan import plan_launch, read_accelerate_file
from cascade_tui.launching import accelerate_arguments
from cascade_tui.screens.accelerate import AccelerateScreen
from cascade_tui.screens.refused import LaunchRefused
from cascade_tui.screens.unsaved import ChangedUnderneath
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.launch_text import describe_plan
from engine.config.backends import ImageBackend
from engine.config.environment import Environment, Gpu
from engine.config.fields import TrainingConfig

FOUR = Environment(tuple(Gpu(f"GPU {n}", 80 * 10**9, 79 * 10**9) for n in range(4)), frozenset())
FILE = """\
compute_environment: LOCAL_MACHINE
distributed_type: MULTI_GPU
gpu_ids: 1,3
machine_rank: 0
num_machines: 1
num_processes: 2
dynamo_config:
  dynamo_backend: INDUCTOR
use_cpu: false
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _opened(pilot: Pilot[int]) -> AccelerateScreen:
    await checked_form(pilot)
    await pilot.press("a")
    await until(pilot, lambda: isinstance(pilot.app.screen, AccelerateScreen))
    screen = pilot.app.screen
    assert isinstance(screen, AccelerateScreen)
    await until(pilot, lambda: screen.plan is not None)
    return screen


def _told(screen: AccelerateScreen) -> str:
    assert screen.plan is not None
    console = Console(width=100, color_system=None)
    with console.capture() as captured:
        console.print(describe_plan(screen.plan, screen._own_problems))
    return captured.get()


async def test_options_are_edited_in_place_and_what_follows_follows():
    path = write_project(Path(), CONFIG)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        form = pilot.app.screen_stack[-2]
        before = screen.plan
        assert "4 × 1 accumulated × 1 process = 4 images a step" in _told(screen)
        assert "● 0  NVIDIA H100  84 of 85 GB free  process 0" in _told(screen)
        await pilot.press("enter")
        await write(pilot, "2")
        await pilot.press("enter")
        await until(pilot, lambda: screen.plan is not before)
        assert screen.plan is not None
        assert screen.plan.images_per_step == 8
        assert "--num_processes=2" in screen.plan.command
        assert "2 processes, but 1 GPU is visible here" in _told(screen)
        await pilot.press("f")
        await until(pilot, lambda: screen.plan is not None and screen.plan.num_processes == 1)
        assert screen.draft.document.get("num_processes") == 1
        await pilot.press("D")
        assert screen.draft.document.get("num_processes") is None
        await pilot.press("u", "u", "u")
        assert screen.draft.document.text() == CONFIG
        await pilot.press("U")
        assert screen.draft.document.get("num_processes") == 2
        await pilot.press("j", "j", "j", "space")
        assert screen.draft.document.get("i_know_what_i_am_doing") is True
        await pilot.press("w")
        assert "num_processes = 2" in path.read_text()
        path.write_text(CONFIG)
        await pilot.press("u", "w")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChangedUnderneath))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is form)


async def test_the_command_is_copied_whole_and_a_wrong_config_is_not_launched():
    path = write_project(Path(), CONFIG.replace("max_train", "num_processes = 3\nmax_train"))
    async with open_app(path).run_test(size=(120, 36)) as pilot:
        screen = await _opened(pilot)
        await pilot.press("y")
        copied = shlex.split(pilot.app.clipboard)
        assert screen.plan is not None
        arguments = accelerate_arguments(screen.plan.config, num_gpus=1)
        assert copied[1:] == [
            "-m", "accelerate.commands.launch", "--quiet", *arguments,
            "-m", "engine.train", str(Path("run").absolute()),
        ]  # fmt: skip
        await pilot.press("r", "J", "K", "j")
        field = screen.query_one(FieldList).field
        assert field is not None
        assert field.key == "accelerate_config_file"
        await pilot.press("L")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchRefused))


def test_an_accelerate_file_says_what_the_config_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    path = tmp_path / "four.yaml"
    path.write_text(FILE)
    for name in ("a.jpg", "b.png", "c.jpg", "notes.txt"):
        (tmp_path / name).touch()
    folder = ImageBackend(id="x", instance_data_dir=str(tmp_path), repeats=4)
    config = TrainingConfig(accelerate_config_file=str(path), train_batch_size=2)
    plan = plan_launch(config, (folder,), FOUR)
    assert plan.file is not None
    assert (plan.num_processes, plan.file.dynamo_backend) == (2, "inductor")
    assert plan.gpu_processes == (None, 0, None, 1)
    assert (plan.images_per_step, plan.num_images, plan.steps_per_epoch) == (4, 12, 3)
    assert plan.visible == "4,5,6,7"
    own = plan_launch(config.model_copy(update={"num_processes": 1}), (), FOUR)
    assert (own.gpu_processes, own.steps_per_epoch) == ((None, 0, None, None), None)
    missing = read_accelerate_file(tmp_path / "none.yaml")
    assert missing.failure == "No such file or directory"


def test_json_files_and_machines_without_a_gpu_are_read_too(tmp_path: Path):
    path = tmp_path / "accelerate.json"
    path.write_text('{\n  "num_machines": 2,\n  "num_processes": 8,\n  "machine_rank": 1\n}')
    plan = plan_launch(TrainingConfig(accelerate_config_file=str(path)), (), FOUR)
    assert plan.file is not None
    assert (plan.num_processes, plan.file.num_machines, plan.file.machine_rank) == (8, 2, 1)
    assert plan.gpu_processes == (0, 1, 2, 3)
    none = plan_launch(TrainingConfig(), (), Environment((), ENVIRONMENT.packages))
    assert "--cpu" in none.command
    assert none.gpu_processes == ()
