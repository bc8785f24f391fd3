"""Commands whose work needs torch: it is done in a process of the engine's."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cascade_tui.arguments import UsageError
from engine.run.paths import RunDirectory


def run_tool(name: str, request: Mapping[str, Any]) -> int:
    """Run ``engine.tools.<name>`` on this terminal; returns its exit code."""
    command = [sys.executable, "-m", f"engine.tools.{name}", json.dumps(request)]
    return subprocess.run(command, check=False).returncode


def check_step(run: RunDirectory, step: str | None) -> None:
    """Before torch is loaded: the run has that checkpoint, or any if `step` is None."""
    steps = run.checkpoint_steps()
    if not steps:
        raise UsageError(f"{run.root} has no checkpoint yet: `cascade-tui checkpoint` saves one")
    there = tuple(map(str, steps))
    if step is not None and step not in there:
        told = f"{run.root} has no such checkpoint (there: {', '.join(there)})"
        raise UsageError(f"--step {step}: {told}")


def existing(path: str | None) -> str | None:
    """The path, if something is there; None stays None. Raises UsageError otherwise."""
    if path is not None and not Path(path).exists():
        raise UsageError(f"there is no file or folder {path}")
    return path
