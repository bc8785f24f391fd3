"""Where things lie on this machine: the program, caches, weights, runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.config.loading import Project

MAX_COUNTED = 200_000
"""Files after which a folder's size is given as a lower bound."""


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder; `num_bytes` is None if it is not there, `is_whole` false if there is more.

    `problem` is why it could not be looked at.
    """

    what: str
    path: Path
    num_bytes: int | None
    is_whole: bool = True
    problem: str = ""

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.num_bytes is not None


def look(what: str, path: Path) -> Place:
    """The place at a path, with its size; what it links to counts where it lies."""
    path = path.expanduser().absolute()
    try:
        if not path.exists():
            return Place(what, path, None)
        if not path.is_dir():
            return Place(what, path, path.stat().st_size)
        return _folder(what, path)
    except OSError as error:
        return Place(what, path, None, problem=error.strerror or str(error))


def places_of_machine() -> Iterator[Place]:
    """What does not depend on a config."""
    from cascade_tui.shipped_files import shipped_path
    from engine.config.environment import accelerate_config
    from engine.config.hub import hub_cache

    yield look("program", Path(__file__).parent)
    yield look("example configs", shipped_path("examples"))
    yield look("hub cache", hub_cache())
    accelerate = accelerate_config(None)
    if accelerate is not None:
        yield look("accelerate's config", accelerate)


def places_of_project(project: Project) -> Iterator[Place]:
    """What a config names, or has by default."""
    from engine.config.backends import ImageBackend
    from engine.config.cache_folders import latent_root, text_folder
    from engine.config.loading import find_beside
    from engine.run.paths import RunDirectory

    yield look("config", project.path)
    config = project.config
    if config is None:
        return
    for what, name in (
        ("data backends", config.data_backend_config),
        ("prompt library", config.validation_prompt_library),
    ):
        if name:
            yield look(what, find_beside(name, project.path) or Path(name))
    for backend in project.backends:
        if isinstance(backend, ImageBackend) and backend.instance_data_dir:
            yield look(f"photographs of {backend.id}", Path(backend.instance_data_dir))
    yield look("text cache", text_folder(config, project.backends))
    for backend in project.backends:
        if isinstance(backend, ImageBackend):
            yield look(f"latent cache of {backend.id}", latent_root(config, backend))
    run = RunDirectory(Path(config.output_dir))
    yield look("run directory", run.root)
    yield look("log", run.console_log)
    yield from _weights(project)


def _weights(project: Project) -> Iterator[Place]:
    from engine.config.hub import hub_cache
    from engine.config.weight_files import locate_weights

    assert project.config is not None
    files, _ = locate_weights(project.config)
    if files is None:
        problem = "not all there: `cascade-tui validate` says which"
        yield Place("weights", hub_cache(), None, problem=problem)
        return
    for path in files.prior_weights:
        yield look("prior's weights", path)
    yield look("text encoder", files.text_encoder)
    yield look("image encoder", files.effnet_encoder)
    yield look("previewer", files.previewer)
    if files.decoder is not None:
        yield look("decoder", files.decoder)


def _folder(what: str, root: Path) -> Place:
    num_bytes = num_files = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                num_bytes += os.lstat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                continue  # gone since: a cache that is being written
        num_files += len(names)
        if num_files > MAX_COUNTED:
            return Place(what, root, num_bytes, is_whole=False)
    return Place(what, root, num_bytes)
