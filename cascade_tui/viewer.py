"""Opens a file in the desktop's own program for it, where there is a desktop."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class NoViewerError(ValueError):
    """There is no desktop here, or nothing on it that opens files; says what to do instead."""


def opener(variables: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    """The program that opens any file on this desktop.

    Raises:
        NoViewerError: there is none; over SSH that is as good as always so.
    """
    if platform == "darwin" and "SSH_CONNECTION" not in variables:
        name = "open"
    elif "WSL_DISTRO_NAME" in variables:
        name = "wslview"
    elif variables.get("DISPLAY") or variables.get("WAYLAND_DISPLAY"):
        name = "xdg-open"
    else:
        raise NoViewerError("there is no desktop here to open it on")
    found = shutil.which(name, path=variables.get("PATH"))
    if found is None:
        raise NoViewerError(f"{name} is not installed, which would open it")
    return found


def open_outside(path: Path) -> None:
    """Open a file beside this program, which neither waits for it nor ends it.

    Raises:
        NoViewerError: it cannot be opened.
    """
    program = opener()
    if not path.is_file():
        raise NoViewerError(f"{path} is gone")
    try:
        subprocess.Popen(
            [program, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as failure:
        raise NoViewerError(f"{program}: {failure.strerror or failure}") from failure
