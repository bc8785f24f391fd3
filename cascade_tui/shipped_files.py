"""Files that come with the program: ready-to-copy configs and the demo's photographs."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


class ShippedFileError(FileNotFoundError):
    """A file that should have come with the program is not there."""


def shipped_path(name: str) -> Path:
    """The file or folder that lies at ``config/<name>`` in a checkout.

    An installed package holds them inside itself. It is asked first: beside an installed package
    there may be somebody else's ``config``.

    Raises:
        ShippedFileError: it is in neither place.
    """
    for root in (_PACKAGE / "shipped", _PACKAGE.parent / "config"):
        if (root / name).exists():
            return root / name
    raise ShippedFileError(f"{name} did not come with this installation: install cascade-tui again")


def example_configs() -> tuple[Path, ...]:
    """The example configs to begin from, by name."""
    return tuple(sorted(shipped_path("examples").glob("*.toml")))


def free_path(wanted: Path) -> Path:
    """``wanted``, or the first of its name with -2, -3 … that is not taken."""
    candidate, number = wanted, 1
    while candidate.exists():
        number += 1
        candidate = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return candidate
