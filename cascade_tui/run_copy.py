"""A new config made of a run's frozen one."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.config.documents import Document, DocumentError
from engine.run.files import atomic_write_text
from engine.run.paths import RunDirectory


class CannotCopyError(ValueError):
    """A run's config cannot be copied; says why."""


def copy_config(run: RunDirectory, folder: Path) -> Path:
    """Write a run's frozen config to a new file in a folder, for a run of its own; returns it.

    It gets an output_dir beside the run's that is not there yet, and its own copy of the data
    backends, so that editing it leaves the run as it is.

    Raises:
        CannotCopyError: there is no readable frozen config, or the folder cannot be written.
    """
    name = run.root.resolve().name
    number = 2
    while True:
        target = folder / f"{name}-{number}.toml"
        backends = folder / f"{name}-{number}-data.json"
        output = run.root.resolve().parent / f"{name}-{number}"
        if not any(path.exists() for path in (target, backends, output)):
            break
        number += 1
    try:
        document = Document.read(run.config)
        copy = Document(target, document.text(), document.format)
        copy.set("output_dir", str(output))
        if run.data_backends.is_file():
            shutil.copyfile(run.data_backends, backends)
            copy.set("data_backend_config", str(backends.absolute()))
        atomic_write_text(target, copy.text())
    except DocumentError as failure:
        raise CannotCopyError(f"{run.config}: {failure.problem.message}") from failure
    except OSError as failure:
        raise CannotCopyError(
            f"{target} cannot be written: {failure.strerror or failure}"
        ) from failure
    return target
