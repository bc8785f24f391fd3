"""Real runs of the real trainer on a small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import tomli_w

from engine.config.frozen import freeze
from engine.config.loading import load_project
from engine.run.control import send
from engine.run.paths import RunDirectory
from tests.engine.training.small_model import PHOTOGRAPHS, build_small_model

TIMEOUT_SECONDS = 240


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("model") / "stage-c-small"
    root.mkdir()
    return build_small_model(root)


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory) -> Path:
    """One cache for all runs of the session: content-addressed, so nothing is encoded twice."""
    return tmp_path_factory.mktemp("cache")


@dataclass
class Trainer:
    """One trainer process of a run directory."""

    run: RunDirectory
    process: subprocess.Popen = field(repr=False)

    def wait(self) -> int:
        return self.process.wait(TIMEOUT_SECONDS)

    def events(self, kind: str | None = None) -> list[dict]:
        if not self.run.events.exists():
            return []
        lines = self.run.events.read_text().splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["kind"] == kind]

    def console(self) -> str:
        return self.run.console_log.read_text()

    def until(self, condition: Callable[[Trainer], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not condition(self):
            assert self.process.poll() is None, f"it ended before:\n{self.console()}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.console()}"
            time.sleep(0.02)

    def at_step(self, step: int) -> None:
        self.until(lambda trainer: any(e["step"] >= step for e in trainer.events("step")))

    def send(self, command: str, **arguments) -> str:
        return send(self.run, command, **arguments)

    def acknowledged(self, identity: str) -> None:
        done = ("done", "failed", "ignored", "refused")
        self.until(
            lambda trainer: any(
                e["id"] == identity and e["state"] in done for e in trainer.events("command")
            )
        )

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def prepare(small_model, shared_cache, tmp_path):
    """Freeze a config into a run directory; returns the directory."""

    def prepare(name: str = "run", photographs: Path = PHOTOGRAPHS, **changes) -> RunDirectory:
        backend = {
            "id": "photographs",
            "dataset_type": "images",
            "instance_data_dir": str(photographs),
            "resolution": 128,
            "bucket_resolutions": [128, "128x256"],
        }
        backend |= changes.pop("backend", {})
        values = {
            "model_flavour": "stage-c-tiny",
            "pretrained_model_name_or_path": str(small_model),
            "pretrained_vae_model_name_or_path": str(small_model),
            "output_dir": str(tmp_path / name),
            "cache_dir": str(shared_cache),
            "max_train_steps": 8,
            "train_batch_size": 4,
            "learning_rate": 1e-3,
            "lora_rank": 4,
            "checkpoint_step_interval": 4,
            "validation_on_start": False,
            "validation_resolution": "128x128",
            "stable_cascade_validation_prior_num_inference_steps": 2,
            "validation_num_inference_steps": 2,
            "stable_cascade_decoder_model_name_or_path": str(small_model),
            **changes,
            "data_backend": [
                backend,
                {
                    "id": "text",
                    "dataset_type": "text_embeds",
                    "cache_dir": str(shared_cache / "text"),
                    "default": True,
                },
            ],
        }
        config = tmp_path / f"{name}.toml"
        config.write_text(tomli_w.dumps(values))
        project = load_project(config)
        assert project.is_valid, project.errors
        run = RunDirectory(Path(project.config.output_dir))
        for folder in (run.root, run.control, run.checkpoints, run.validation):
            folder.mkdir(parents=True, exist_ok=True)
        freeze(project, run.root)
        return run

    return prepare


@pytest.fixture
def start():
    """Start the trainer of a run directory; what still runs at the end is killed."""
    started: list[Trainer] = []

    def start(run: RunDirectory, *, num_processes: int = 1) -> Trainer:
        command = [sys.executable, "-m", "engine.train", str(run.root)]
        if num_processes > 1:  # over gloo; `accelerate launch` itself knows several GPUs only
            launcher = ["-m", "torch.distributed.run", "--standalone"]
            command[1:1] = [*launcher, f"--nproc_per_node={num_processes}"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
        with run.console_log.open("ab") as console:
            process = subprocess.Popen(
                command, stdout=console, stderr=subprocess.STDOUT, env=environment
            )
        started.append(Trainer(run, process))
        return started[-1]

    yield start
    for trainer in started:
        if trainer.process.poll() is None:
            trainer.kill()
