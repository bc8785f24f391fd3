"""The runs that are pictured: the demo's model and photographs, trained by the product itself."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cascade_tui.commands.demo import prepare
from cascade_tui.screenshots.camera import ScreenshotError
from cascade_tui.shipped_files import shipped_path
from engine.config.documents import Document
from engine.run.paths import RunDirectory
from engine.run.status import derive_state

CONFIG = Path("demo.toml")
RUNS = Path("runs")
FIRST, MAIN = RUNS / "rank-8", RUNS / "rank-32"
NUM_STEPS = 400
_PICTURED_FROM = 0.55
"""Some steps after a validation: for a moment it would be shown instead of training."""
_NUM_VALIDATIONS = 4
_NUM_FIRST_STEPS = 200
_PHOTOGRAPHS = Path("photographs")
_BACKENDS = ("by-name", "by-text")
_LOOK_SECONDS = 0.5


def prepare_here(num_steps: int) -> None:
    """Make model, photographs and config in the working directory, with relative paths.

    The run of the config takes ``num_steps``: where steps are fast it takes more of them to be
    pictured while it trains.

    Raises:
        OSError: something cannot be written.
    """
    prepare(Path(), print)
    _PHOTOGRAPHS.mkdir(exist_ok=True)
    for source in (shipped_path("demo") / "photographs").iterdir():
        (_PHOTOGRAPHS / source.name).write_bytes(source.read_bytes())
    document = Document.read(CONFIG)
    for backend in _BACKENDS:
        document.set(f"data_backend[{backend}].instance_data_dir", str(_PHOTOGRAPHS))
    document.set("output_dir", str(MAIN))
    document.set("max_train_steps", num_steps)
    for key in ("checkpoint_step_interval", "validation_step_interval"):
        document.set(key, num_steps // _NUM_VALIDATIONS)
    document.save()


def train_first() -> None:
    """A shorter run with a smaller rank, to compare with.

    Raises:
        ScreenshotError: it failed.
    """
    settings = {
        "output_dir": f'"{FIRST}"',
        "lora_rank": "8",
        "lora_alpha": "8",
        "max_train_steps": str(_NUM_FIRST_STEPS),
        "lr_warmup_steps": "10",
    }
    _finish(_launch(settings), FIRST)


@contextmanager
def training_main(num_steps: int) -> Iterator[None]:
    """Have the run of the config go on, well under way, and end after the block.

    Raises:
        ScreenshotError: it failed.
    """
    process = _launch({})
    run, first = RunDirectory(MAIN), round(_PICTURED_FROM * num_steps)
    try:
        while process.poll() is None and derive_state(run).step < first:
            time.sleep(_LOOK_SECONDS)
        if process.poll() is not None:
            raise ScreenshotError(f"{MAIN} ended before step {first}")
        yield
        _finish(process, MAIN)
    finally:
        if process.poll() is None:
            process.terminate()  # it saves, and ends the run
            process.wait()


def _launch(settings: dict[str, str]) -> subprocess.Popen[bytes]:
    overrides = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    command = [sys.executable, "-m", "cascade_tui", "--no-ui", str(CONFIG), *overrides]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL)


def _finish(process: subprocess.Popen[bytes], run: Path) -> None:
    if process.wait():
        raise ScreenshotError(f"{run} ended with exit code {process.returncode}")
