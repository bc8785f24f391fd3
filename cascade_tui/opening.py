"""Open the app: one line at once, while it is imported; what is said when it has ended.

Light until then: no textual. To import the app takes most of a second on a small machine.
"""

from __future__ import annotations

import gc
import importlib
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui.keymap import chosen_keys
from engine.run.paths import RunDirectory
from engine.run.status import derive_state

if TYPE_CHECKING:
    from cascade_tui.notifying import NotifyBy
    from cascade_tui.pictures import Setting

_ERASE_LINE = "\r\x1b[2K"


def run_app(
    config: Path | None,
    run_directory: Path | None,
    overrides: Sequence[str] = (),
    *,
    notify_by: NotifyBy = "off",
    runs_root: Path | None = None,
    is_readonly: bool = False,
    theme: str | None = None,
    pictures: Setting = "auto",
) -> int:
    """Show the app until the person leaves it; returns the exit code. Needs a terminal.

    Raises KeysFileError if the person's keys file is wrong, before anything else is drawn.
    """
    for name in ("COLUMNS", "LINES"):  # Textual would believe them after the window was resized
        os.environ.pop(name, None)
    gc.disable()  # what start-up makes stays: to look through it costs a seventh of the time
    with _told(_opening_words(config, run_directory)):
        from cascade_tui.app import CascadeApp

        if config is not None:
            importlib.import_module("cascade_tui.screens.configure")
        elif run_directory is not None:
            importlib.import_module("cascade_tui.screens.monitor")
        keys = chosen_keys()
        app = CascadeApp(
            config,
            run_directory,
            overrides,
            notify_by=notify_by,
            runs_root=runs_root,
            is_readonly=is_readonly,
            theme=theme,
            keymap=keys.keymap,
            pictures=pictures,
        )
    for warning in keys.warnings:
        print(warning, file=sys.stderr)
    code = app.run_in_terminal()
    is_hung_up = code == 128 + signal.SIGHUP  # there is no terminal to write to
    if app.run_directory is not None and not is_hung_up:
        from engine.run.launch import is_alive

        if is_alive(app.run_directory):
            print(f"the run goes on; open it again with: cascade-tui {app.run_directory.root}")
    return code


def collect_garbage() -> None:
    """Begin to collect garbage once the app is up; what is there by then is left out of it."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


@contextmanager
def _told(words: str) -> Iterator[None]:
    """Show ``words`` on a line which is empty again afterwards."""
    sys.stdout.write(words[: shutil.get_terminal_size().columns - 1])
    sys.stdout.flush()
    try:
        yield
    finally:
        sys.stdout.write(_ERASE_LINE)
        sys.stdout.flush()


def _opening_words(config: Path | None, run_directory: Path | None) -> str:
    """What is opened; of a run also how it is, if that can be read."""
    from cascade_tui.widgets.glyphs import printable

    if config is not None:
        return f"{printable(config.name)}  opening"
    if run_directory is None:
        return "cascade-tui  opening"
    name = printable(run_directory.name)
    try:
        state = derive_state(RunDirectory(run_directory))
    except OSError:
        return f"{name}  opening"
    step = f"  step {state.step:,}".replace(",", " ") if state.step else ""
    return f"{name}  {state.name}{step}"
