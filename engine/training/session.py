"""What every part of a run shares: the run directory, the processes, the reporter, the commands."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from accelerate import Accelerator

from engine.config.fields import TrainingConfig
from engine.run.paths import RunDirectory
from engine.training.commands import Agree, Commands, StopSignals
from engine.training.meter import StepRecord
from engine.training.reporter import Reporter

log = logging.getLogger("cascade")

_LOG_LINE_SECONDS = 10.0


@dataclass
class Session:
    """One process of a run, and its ways to the others and to whoever watches."""

    run: RunDirectory
    config: TrainingConfig
    accelerator: Accelerator
    reporter: Reporter
    commands: Commands
    agree: Agree
    has_trackers: bool = False
    _next_line: float = field(default=0.0, repr=False)

    @property
    def device(self) -> torch.device:
        device = self.accelerator.device
        return torch.device("cpu") if device.type == "cpu" else device  # safetensors knows no cpu:0

    @property
    def is_main(self) -> bool:
        return self.accelerator.is_main_process

    @property
    def world_size(self) -> int:
        return self.accelerator.num_processes

    @property
    def global_batch_size(self) -> int:
        """Images per optimizer step, over all ranks and accumulation steps."""
        config = self.config
        return config.train_batch_size * config.gradient_accumulation_steps * self.world_size

    def wait_for_everyone(self) -> None:
        self.accelerator.wait_for_everyone()

    def track(self, values: Mapping[str, float], *, step: int) -> None:
        """Send scalars to the trackers of ``report_to``."""
        if self.has_trackers:
            self.accelerator.log(dict(values), step=step)

    def track_images(self, images: Mapping[str, object], *, step: int) -> None:
        """Send pictures (name -> PIL image) to the trackers that take them."""
        import numpy as np

        for tracker in self.accelerator.trackers if self.has_trackers else ():
            if tracker.name == "trackio":
                from trackio import Image

                pictures = {name: Image(image) for name, image in images.items()}
                tracker.log(pictures, step=step)
            elif tracker.name == "tensorboard":
                arrays = {name: np.asarray(image)[None] for name, image in images.items()}
                tracker.log_images(arrays, step=step, dataformats="NHWC")
            else:
                tracker.log_images({name: [image] for name, image in images.items()}, step=step)

    def log_progress(self, record: StepRecord, num_steps: int) -> None:
        """Write a plain progress line to the console log, at most every few seconds."""
        now = time.monotonic()
        if not self.is_main or (now < self._next_line and record.step < num_steps):
            return
        self._next_line = now + _LOG_LINE_SECONDS
        log.info(
            "step %d/%d  loss %.4f  grad norm %.3f  lr %.2e  %.1f images/s",
            record.step, num_steps, record.loss, record.grad_norm, record.lr,
            record.images_per_second,
        )  # fmt: skip

    def close(self) -> None:
        """Finish the trackers and leave the process group."""
        if self.has_trackers:
            self.accelerator.end_training()
        if dist.is_initialized():
            dist.destroy_process_group()


def start_logging(*, is_main: bool) -> None:
    """Plain lines to stderr, which the supervisor has opened as ``console.log``."""
    logging.basicConfig(
        level=logging.INFO if is_main else logging.WARNING,
        format="%(asctime)s %(levelname).1s %(message)s",
        datefmt="%H:%M:%S",
        stream=sys.stderr,
        force=True,
    )
    for chatty in ("httpx", "urllib3", "filelock", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # peft imports torchao, whose own import warns of its own deprecations.
    for warning in ("torch.utils._pytree", "torchao"):
        logging.getLogger(warning).setLevel(logging.ERROR)


def start_session(run: RunDirectory, config: TrainingConfig, signals: StopSignals) -> Session:
    """Join the other processes and open the run directory for writing."""
    trackers = [name for name in config.report_to if name != "none"]
    accelerator = Accelerator(
        mixed_precision=config.mixed_precision,
        log_with=trackers or None,
        project_dir=str(run.root / "trackers"),
    )
    start_logging(is_main=accelerator.is_main_process)
    choose_tf32(config)
    agree = _make_agree(accelerator)
    session = Session(
        run=run,
        config=config,
        accelerator=accelerator,
        reporter=Reporter(run, is_main=accelerator.is_main_process),
        commands=Commands(run, signals, rank=accelerator.process_index, agree=agree),
        agree=agree,
    )
    if trackers:
        _start_trackers(session, trackers)
    return session


def choose_tf32(config: TrainingConfig) -> None:
    """Let float32 products run as TF32 where the card has it, unless ``disable_tf32`` is set."""
    torch.backends.cuda.matmul.allow_tf32 = not config.disable_tf32
    torch.backends.cudnn.allow_tf32 = not config.disable_tf32


def _make_agree(accelerator: Accelerator) -> Agree:
    """Ranks agree through host memory, without a wait for the GPU."""
    if accelerator.num_processes == 1:
        return lambda flags: flags
    group = dist.new_group(backend="gloo")

    def agree(flags: list[int]) -> list[int]:
        tensor = torch.tensor(flags, dtype=torch.int64)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX, group=group)
        return tensor.tolist()

    return agree


def _start_trackers(session: Session, trackers: list[str]) -> None:
    if "wandb" in trackers and not _has_wandb_login() and "WANDB_MODE" not in os.environ:
        os.environ["WANDB_MODE"] = "offline"
        session.reporter.problem(
            "warning",
            "report_to wandb: no login found, so the run is recorded offline under "
            f"{session.run.root / 'trackers'}",
            key="report_to",
            fix="`wandb login` before the run, or `wandb sync` afterwards",
        )
    folder, name = session.run.root / "trackers", session.run.root.name
    folder.mkdir(exist_ok=True)
    os.environ.setdefault("WANDB_SILENT", "true")
    # trackio keeps a database there, and connects to nothing; it reads this when it is imported.
    os.environ["TRACKIO_DIR"] = str(folder / "trackio")
    quietly = {"auto_log_cpu": False, "auto_log_gpu": False, "embed": False}
    session.accelerator.init_trackers(
        project_name=name,
        init_kwargs={
            "wandb": {"dir": str(folder)},
            "trackio": {"name": name, "resume": "allow", **quietly},
        },
    )
    session.has_trackers = True


def _has_wandb_login() -> bool:
    netrc = Path.home() / ".netrc"
    return "WANDB_API_KEY" in os.environ or (
        netrc.exists() and "api.wandb.ai" in netrc.read_text(errors="replace")
    )
