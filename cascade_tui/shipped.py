"""The files that come with the program: example configs."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder() -> Path:
    """The shipped `config` folder: inside an installed package, else at the repository's root."""
    inside = _PACKAGE / "shipped"
    return inside if inside.is_dir() else _PACKAGE.parent / "config"


def example_configs() -> tuple[Path, ...]:
    """The example configs to begin from, by name."""
    return tuple(sorted((shipped_folder() / "examples").glob("*.toml")))
