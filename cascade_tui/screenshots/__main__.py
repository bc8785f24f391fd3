"""Trains the demo in a folder of its own and takes a picture of every screen.

python -m cascade_tui.screenshots --to screenshots
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cascade_tui.commands.demo import DemoError
from cascade_tui.screenshots import demo_runs, shots
from cascade_tui.screenshots.camera import ScreenshotError, Shot, take
from cascade_tui.screenshots.picture import write_picture

_CHECKOUT = Path(__file__).parents[2]
_SHOWN_FOLDER = "/home/ada/my-training"
"""Stands in the pictures for the folder of the runs, whose path is as long."""
_FOLDER_PREFIX = "/tmp/cascade-"
_LEFT_OUT = ("NO_COLOR", "CASCADE_TUI_ASCII", "COLUMNS", "LINES", "CUDA_VISIBLE_DEVICES")
_FILE_NAME = re.compile(r"[a-z-]+-\d+x\d+\.(?:svg|png)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures and print their paths; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cascade_tui.screenshots", description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("screenshots"), help="folder for them")
    parser.add_argument("--keep", action="store_true", help="keep the folder of the runs")
    parser.add_argument(
        "--of",
        type=Path,
        metavar="DIR",
        help="take those of finished runs again, of what --keep left",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=demo_runs.NUM_STEPS,
        metavar="N",
        help="steps of the run that is pictured while it trains; a GPU takes thousands a minute",
    )
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help="only these, as monitor or monitor-80x24")
    options = parser.parse_args(arguments)
    try:
        if options.here:
            _work_here(options.to, options.names, options.steps)
            return 0
        with _folder_of_runs(options.of, keep=options.keep) as folder:
            here = ["--here", "--to", str(options.to.absolute()), *options.names]
            here += ["--steps", str(options.steps)]
            return _ourselves_in(folder, here)
    except (ScreenshotError, DemoError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1


@contextmanager
def _folder_of_runs(kept: Path | None, *, keep: bool) -> Iterator[Path]:
    if kept is not None:
        yield kept.absolute()
        return
    prefix = Path(_FOLDER_PREFIX)
    folder = Path(tempfile.mkdtemp(prefix=prefix.name, dir=prefix.parent))
    try:
        yield folder
    finally:
        if keep:
            print(f"the runs are in {folder}")
        else:
            shutil.rmtree(folder)


def _ourselves_in(folder: Path, arguments: Sequence[str]) -> int:
    """Run this module where there are no settings of a person and no paths of this machine."""
    environment = folder / ".venv"
    if not environment.exists():
        environment.symlink_to(sys.prefix)
    variables = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "HF_HOME"):
        variables[name] = str(folder / ".home" / name.lower())
    variables["PYTHONPATH"] = str(_CHECKOUT)
    command = [str(environment / "bin" / "python"), "-m", "cascade_tui.screenshots", *arguments]
    return subprocess.run(command, cwd=folder, env=variables, check=False).returncode


def _work_here(to: Path, names: Sequence[str], num_steps: int) -> None:
    """Train, unless the runs are there already, and take the pictures."""
    to.mkdir(parents=True, exist_ok=True)
    if demo_runs.MAIN.exists():
        _take(shots.afterwards(), to, names)
        return
    demo_runs.prepare_here(num_steps)
    demo_runs.train_first()
    with demo_runs.training_main(num_steps):
        written = _take(shots.while_training(), to, names)
    written |= _take(shots.afterwards(), to, names)
    for path in to.iterdir():
        if not names and _FILE_NAME.fullmatch(path.name) and path not in written:
            path.unlink()  # of a screen that is no longer pictured


def _take(wanted: Sequence[Shot], to: Path, names: Sequence[str]) -> set[Path]:
    written: set[Path] = set()
    here = str(Path.cwd())
    for shot in wanted:
        if names and not {shot.name, shot.file_name} & set(names):
            continue
        picture = asyncio.run(take(shot)).with_words(here, _SHOWN_FOLDER)
        for path in (here, f"{Path.home()}/", _CHECKOUT, Path(sys.prefix).resolve()):
            if str(path) in picture.text():
                raise ScreenshotError(f"{shot.file_name} shows {path}, a path of this machine")
        paths = write_picture(picture, to / shot.file_name)
        print(*paths, sep="\n", flush=True)
        written |= {*paths}
    return written


if __name__ == "__main__":
    sys.exit(main())
