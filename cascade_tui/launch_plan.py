"""How a run will be started: the processes, on what, the batch that follows, the command line.

Knows nothing of screens.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cascade_tui.launching import accelerate_arguments
from engine.config.backends import Backend, ImageBackend
from engine.config.environment import Environment, Gpu, accelerate_config, find_images
from engine.config.fields import TrainingConfig
from engine.run.launch import trainer_command
from engine.run.paths import RunDirectory

PLAN_OPTIONS = (
    "num_processes",
    "accelerate_config_file",
    "mixed_precision",
    "i_know_what_i_am_doing",
    "train_batch_size",
    "gradient_accumulation_steps",
    "max_train_steps",
    "num_train_epochs",
)
"""The options that decide how a run is spread and how large a step of it is."""
_NAME = re.compile(
    r"^[ \t]*\"?([a-z_]+)\"?[ \t]*:[ \t]*[\"']?([^\"'#\n]*?)[\"']?,?[ \t]*$", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class AccelerateFile:
    """What a file of ``accelerate config`` says, as far as a run depends on it.

    ``failure`` says why it cannot be read; ``gpu_ids`` is ``all`` or numbers with commas.
    """

    path: Path
    num_processes: int | None = None
    num_machines: int = 1
    machine_rank: int = 0
    gpu_ids: str = "all"
    distributed_type: str = ""
    dynamo_backend: str = "no"
    uses_cpu: bool = False
    failure: str = ""


@dataclass(frozen=True, slots=True)
class LaunchPlan:
    """How a run would be started now. ``num_images`` is what an epoch shows, None if not known;
    ``gpu_processes`` is for each GPU the number of its process, None without one; ``visible`` is
    CUDA_VISIBLE_DEVICES, which the run inherits."""

    config: TrainingConfig
    gpus: tuple[Gpu, ...]
    gpu_processes: tuple[int | None, ...]
    file: AccelerateFile | None
    num_processes: int
    num_images: int | None
    command: tuple[str, ...]
    visible: str | None

    @property
    def images_per_step(self) -> int:
        """Images of one optimizer step, over all processes and accumulated forwards."""
        config = self.config
        batch = config.train_batch_size * config.gradient_accumulation_steps
        return batch * self.num_processes

    @property
    def steps_per_epoch(self) -> int | None:
        """Optimizer steps that show every picture once, at least: each bucket rounds up."""
        return -(-self.num_images // self.images_per_step) if self.num_images else None

    @property
    def command_line(self) -> str:
        """The command as it can be pasted into a shell."""
        return shlex.join(self.command)


def plan_launch(
    config: TrainingConfig, backends: Sequence[Backend], environment: Environment
) -> LaunchPlan:
    """Look at the accelerate file, the folders of pictures and the GPUs; may take a while."""
    given = config.accelerate_config_file
    path = accelerate_config(Path(given).expanduser() if given else None)
    file = read_accelerate_file(path) if path is not None else None
    num_processes = config.num_processes or (file.num_processes if file else None) or 1
    run = RunDirectory(Path(config.output_dir).expanduser().absolute())
    arguments = accelerate_arguments(config, num_gpus=len(environment.gpus))
    return LaunchPlan(
        config,
        environment.gpus,
        _processes_of(environment.gpus, num_processes, file),
        file,
        num_processes,
        _count_images(backends),
        tuple(trainer_command(run, accelerate_arguments=arguments)),
        os.environ.get("CUDA_VISIBLE_DEVICES"),
    )


def read_accelerate_file(path: Path) -> AccelerateFile:
    """What a file of ``accelerate config`` says, in YAML or JSON."""
    try:
        text = path.read_text(errors="replace")
    except OSError as failure:
        return AccelerateFile(path, failure=failure.strerror or str(failure))
    said = dict(_NAME.findall(text))
    return AccelerateFile(
        path,
        _number(said.get("num_processes")),
        _number(said.get("num_machines")) or 1,
        _number(said.get("machine_rank")) or 0,
        said.get("gpu_ids") or "all",
        said.get("distributed_type", ""),
        said.get("dynamo_backend", "no").lower(),
        said.get("use_cpu", "false").lower() == "true",
    )


def _processes_of(
    gpus: Sequence[Gpu], num_processes: int, file: AccelerateFile | None
) -> tuple[int | None, ...]:
    """Which process uses each GPU: those of this machine, one after the other."""
    if file is not None and file.uses_cpu:
        return (None,) * len(gpus)
    here = num_processes // (file.num_machines if file else 1)
    chosen = list(range(len(gpus)))
    if file is not None and file.gpu_ids != "all":
        chosen = [int(name) for name in re.findall(r"\d+", file.gpu_ids)]
    number_of = {gpu: number for number, gpu in enumerate(chosen[:here])}
    return tuple(number_of.get(gpu) for gpu in range(len(gpus)))


def _count_images(backends: Sequence[Backend]) -> int | None:
    """How many pictures an epoch shows before any is left out; None if that cannot be told."""
    total = 0
    for backend in backends:
        if not isinstance(backend, ImageBackend) or not backend.instance_data_dir:
            continue
        try:
            images, is_all = find_images(Path(backend.instance_data_dir).expanduser().absolute())
        except (OSError, RuntimeError):  # checking tells it as a problem of the backend
            return None
        if not is_all:
            return None
        total += len(images) * max(1, backend.repeats)
    return total or None


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
