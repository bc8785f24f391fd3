"""From a checked project to a live run: used by the app, `launch` and `--no-ui` alike."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys
import time
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.run.files import atomic_write_json
from engine.run.launch import LaunchError, RunAliveError, is_alive, launch, live_pid
from engine.run.paths import RunDirectory
from engine.run.processes import user_name

if TYPE_CHECKING:
    from engine.config.fields import TrainingConfig
    from engine.config.loading import Project
    from engine.config.problems import Problem

_PACKAGES = (
    "cascade-tui",
    "torch",
    "torchvision",
    "accelerate",
    "transformers",
    "diffusers",
    "peft",
    "torchao",
    "safetensors",
    "numpy",
    "pillow",
)


def load_checked(path: Path, overrides: Sequence[str]) -> Project | None:
    """Load and check a config, telling all its problems on stderr; None if there are errors."""
    from engine.config.loading import load_project

    project = load_project(path, overrides)
    for problem in project.problems:
        print(format_problem(problem), file=sys.stderr)
    if project.is_valid:
        return project
    num_errors = len(project.errors)
    noun = "error" if num_errors == 1 else "errors"
    print(f"{path}: {num_errors} {noun}; nothing was started", file=sys.stderr)
    return None


def format_problem(problem: Problem) -> str:
    """`error: learning_rate: must be above 0 (config.json:12)`, and its fix on a second line."""
    key = f"{problem.key}: " if problem.key else ""
    where = f" ({problem.where})" if problem.where else ""
    fix = f"\n  fix: {problem.fix}" if problem.fix else ""
    return f"{problem.severity}: {key}{problem.message}{where}{fix}"


def run_directory_of(project: Project) -> RunDirectory:
    """Where the project's run lies: its `output_dir`, absolute."""
    assert project.config is not None, "the project has errors"
    return RunDirectory(Path(project.config.output_dir).expanduser().absolute())


def prepare_and_launch(
    project: Project, *, note: Callable[[str], None] | None = None
) -> RunDirectory:
    """Create the run directory, freeze the config into it, and launch; returns the directory.

    A run directory that is finished, stopped or failed is continued from its latest checkpoint
    with the new config; `note` is then told which keys changed. Raises `RunAliveError` if it is
    alive, and `LaunchError` if it cannot be written or the supervisor cannot start.
    """
    from engine.config.frozen import freeze

    assert project.config is not None, "the project has errors"
    run = run_directory_of(project)
    refuse_if_alive(run)
    previous = _frozen_values(run)
    was_changed = run.changes.exists()
    try:
        for folder in (run.root, run.control, run.checkpoints, run.validation):
            folder.mkdir(parents=True, exist_ok=True)
        freeze(project, run.root)
        _write_meta(run)
    except OSError as error:
        raise LaunchError(
            f"output_dir {run.root} cannot be written: {error.strerror or error}; choose another "
            "output_dir, or make room or give permission there"
        ) from error
    if previous is not None and note is not None:
        changed = changed_keys(previous, _frozen_values(run) or {})
        what = f"changed since its last launch: {', '.join(changed)}" if changed else "no change"
        note(f"{run.root} has been launched before ({what}); it goes on from its last checkpoint")
        if was_changed:
            note("what was changed while it ran counts no more: this config says everything")
    launch(run, accelerate_arguments=accelerate_arguments(project.config))
    return run


def continue_run(run: RunDirectory) -> None:
    """Launch a run again from its frozen config: it goes on from its latest checkpoint.

    Raises as `prepare_and_launch` does, and `LaunchError` if there is no frozen config.
    """
    from engine.config.frozen import FrozenConfigError, load_frozen

    refuse_if_alive(run)
    try:
        config = load_frozen(run.root).config
        _write_meta(run)
    except FrozenConfigError as error:
        raise LaunchError(str(error)) from error
    except OSError as error:
        raise LaunchError(f"{run.root} cannot be written: {error.strerror or error}") from error
    launch(run, accelerate_arguments=accelerate_arguments(config))


def refuse_if_alive(run: RunDirectory) -> None:
    """Raise `RunAliveError` if the run is alive, before anything of it is touched."""
    if is_alive(run):
        raise RunAliveError(run, live_pid(run))


def accelerate_arguments(config: TrainingConfig, *, num_gpus: int | None = None) -> list[str]:
    """What to tell `accelerate launch`; `num_gpus` is counted here if not given.

    The config's own accelerate file, else the user's default one (written by `accelerate config`),
    else everything explicitly, so that nothing is guessed and nothing warned about: one process,
    unless the config has `num_processes`.
    """
    chosen = [f"--num_processes={config.num_processes}"] if config.num_processes else []
    if config.accelerate_config_file:
        file = Path(config.accelerate_config_file).expanduser().absolute()
        return ["--config_file", str(file), *chosen]
    if default_accelerate_config().is_file():
        return chosen
    num_gpus = count_gpus() if num_gpus is None else num_gpus
    num_processes = config.num_processes or 1
    arguments = [
        f"--num_processes={num_processes}",
        "--num_machines=1",
        "--mixed_precision=no",
        "--dynamo_backend=no",
    ]
    if "OMP_NUM_THREADS" not in os.environ:  # accelerate's own choice is one thread
        num_threads = max(1, len(os.sched_getaffinity(0)) // num_processes)
        arguments.append(f"--num_cpu_threads_per_process={num_threads}")
    if num_gpus == 0:
        arguments.append("--cpu")
    elif num_processes > 1:
        arguments.append("--multi_gpu")
    return arguments


def default_accelerate_config() -> Path:
    """Where `accelerate config` leaves the user's choices."""
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("HF_HOME", os.path.join(cache, "huggingface"))
    return Path(home).expanduser() / "accelerate" / "default_config.yaml"


def count_gpus() -> int:
    """NVIDIA GPUs that a trainer started here would see; 0 without a driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1", "NoDevFiles"):
        return 0
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return 0
    try:
        num_gpus = int(pynvml.nvmlDeviceGetCount())
    finally:
        pynvml.nvmlShutdown()
    return num_gpus if visible is None else min(num_gpus, len(visible.split(",")))


def changed_keys(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Top-level keys whose values differ between two frozen configs, sorted."""
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def _frozen_values(run: RunDirectory) -> dict[str, Any] | None:
    """The frozen config's values with the data backends under their own key; None if none."""
    try:
        values = tomllib.loads(run.config.read_text())
        backends = json.loads(run.data_backends.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return {**values, "data_backend": backends}


def _write_meta(run: RunDirectory) -> None:
    """Add this launch to `meta.json`: who, where, with what. No environment: it holds secrets."""
    try:
        meta = json.loads(run.meta.read_bytes())
    except (FileNotFoundError, ValueError):
        meta = {}
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    this_launch = {
        "launched": moment,
        "argv": sys.argv,
        "working_directory": os.getcwd(),
        "hostname": os.uname().nodename,
        "user": user_name(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": _versions(),
    }
    launches = [*meta.get("launches", []), this_launch]
    content = {"schema": 1, "created": moment, **meta, "launches": launches}
    atomic_write_json(run.meta, content)


def _versions() -> dict[str, str]:
    versions: dict[str, str] = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # an optional one that is not installed
    return versions
