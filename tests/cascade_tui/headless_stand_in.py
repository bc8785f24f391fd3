"""The headless viewer over a stand-in trainer: `headless_stand_in.py RUN_DIR ARGUMENTS...`."""

from __future__ import annotations

import sys
from pathlib import Path

from cascade_tui.headless import launch_and_follow
from engine.run.launch import launch
from engine.run.paths import RunDirectory

STAND_IN = Path(__file__).parents[1] / "engine" / "run" / "stand_in.py"

if __name__ == "__main__":
    run = RunDirectory(Path(sys.argv[1]))
    command = [sys.executable, str(STAND_IN), *sys.argv[1:]]
    sys.exit(launch_and_follow(run, lambda: launch(run, command=command)))
