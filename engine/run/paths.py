"""Where everything of a run lies. The run directory is the API: nothing in memory is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_STEP_FOLDER = re.compile(r"step-(\d{9,})")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """The paths inside one run directory; holds no state and touches nothing."""

    root: Path

    @property
    def config(self) -> Path:
        """The frozen, fully resolved config."""
        return self.root / "config.toml"

    @property
    def data_backends(self) -> Path:
        """The frozen, fully resolved data backends."""
        return self.root / "data_backends.json"

    @property
    def changes(self) -> Path:
        """What was changed while it ran, on top of the frozen config; absent if nothing was."""
        return self.root / "changes.json"

    @property
    def meta(self) -> Path:
        """Versions, hardware, command lines: what explains a run years later."""
        return self.root / "meta.json"

    @property
    def console_log(self) -> Path:
        """The trainer's own stdout and stderr."""
        return self.root / "console.log"

    @property
    def events(self) -> Path:
        """Everything that happened, one JSON object a line."""
        return self.root / "events.jsonl"

    @property
    def status(self) -> Path:
        """The state at this moment, replaced atomically."""
        return self.root / "status.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the supervisor for as long as it lives."""
        return self.root / "lock"

    @property
    def control(self) -> Path:
        """Commands to the run, one file each."""
        return self.root / "control"

    @property
    def checkpoints(self) -> Path:
        """One folder a checkpoint."""
        return self.root / "checkpoints"

    @property
    def validation(self) -> Path:
        """One folder of pictures a validated step."""
        return self.root / "validation"

    @property
    def export(self) -> Path:
        """The final adapter or model in each asked format."""
        return self.root / "export"

    def checkpoint_dir(self, step: int) -> Path:
        """The folder of the checkpoint after optimizer step `step`."""
        return self.checkpoints / step_folder(step)

    def validation_dir(self, step: int) -> Path:
        """The folder of the validation pictures of optimizer step `step`."""
        return self.validation / step_folder(step)

    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps that have a finished checkpoint (a manifest lies in its folder), ascending."""
        manifests = self.checkpoints.glob("step-*/manifest.json")
        matches = (_STEP_FOLDER.fullmatch(manifest.parent.name) for manifest in manifests)
        return tuple(sorted(int(match.group(1)) for match in matches if match))

    def exists(self) -> bool:
        """Whether this folder is a run directory: it has a frozen config or events."""
        return self.config.is_file() or self.events.is_file()


def step_folder(step: int) -> str:
    """`step-000000100` for step 100: names sort as numbers do."""
    assert step >= 0
    return f"step-{step:09d}"


def find_runs(root: Path, *, max_depth: int = 3) -> Iterator[RunDirectory]:
    """Every run directory at or below `root`, in order of path; runs are not searched inside.

    A folder counts when it has a `status.json`, an `events.jsonl`, or a frozen config beside a
    `meta.json`: a folder that merely holds somebody's `config.toml` does not.
    """
    run = RunDirectory(root)
    try:
        is_run = (
            run.status.is_file()
            or run.events.is_file()
            or (run.meta.is_file() and run.config.is_file())
        )
    except PermissionError:
        return  # a folder we may not look into holds no run that we could show
    if is_run:
        yield run
        return
    if max_depth == 0:
        return
    try:
        folders = sorted(
            path
            for path in root.iterdir()
            if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
        )
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        return  # a folder we may not read holds no run that we could show
    for folder in folders:
        yield from find_runs(folder, max_depth=max_depth - 1)
