"""Commands whose work needs torch: it is done in a process of the engine's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade_tui.arguments import UsageError


def run_tool(name: str, request: Mapping[str, Any]) -> int:
    """Run ``engine.tools.<name>`` on this terminal; returns its exit code."""
    command = [sys.executable, "-m", f"engine.tools.{name}", json.dumps(request)]
    return subprocess.run(command, check=False).returncode


def existing(path: str | None) -> str | None:
    """The path, if something is there; None stays None. Raises UsageError otherwise."""
    if path is not None and not Path(path).exists():
        raise UsageError(f"there is no file or folder {path}")
    return path
