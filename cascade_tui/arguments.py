"""What the subcommands' arguments have in common. Light: no textual, no pydantic."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from cascade_tui.notifying import NotifyBy
    from engine.run.paths import RunDirectory

    Subparsers = argparse._SubParsersAction["Parser"]


_MOST_SHOWN = 40
"""Characters of somebody's argument in a message."""


class UsageError(ValueError):
    """The command line asks for something that is not there; says what would be."""


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line in one message, instead of all that could be said."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError with argparse's message."""
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse_strictly(self, argv: Sequence[str]) -> argparse.Namespace:
        """The options of a command line; raises UsageError, for an unknown one with the nearest."""
        options, unknown = self.parse_known_args(argv)
        if unknown:
            parser = self
            for action in self._actions:
                if isinstance(action, argparse._SubParsersAction):
                    parser = action.choices[getattr(options, action.dest)]
            parser._refuse(unknown[0])
        return options

    def _refuse(self, unknown: str) -> NoReturn:
        import difflib

        name = unknown.partition("=")[0]
        if not name.startswith("-"):
            self.error(f"one argument too many: {_shortened(unknown)}")
        nearest = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.7)
        hint = f"; did you mean {nearest[0]}?" if nearest else ""
        self.error(f"there is no option {_shortened(name)}{hint}")


def whole_number(least: float = -math.inf, most: float = math.inf) -> Callable[[str], int]:
    """What reads an argument that is a whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            told = f"expected a whole number{_within(least, most)}, not {_shortened(text)}"
            raise argparse.ArgumentTypeError(told)
        return value

    return read


def number(least: float = -math.inf, most: float = math.inf) -> Callable[[str], float]:
    """What reads an argument that is a finite number from `least` to `most`."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            told = f"expected a number{_within(least, most)}, not {_shortened(text)}"
            raise argparse.ArgumentTypeError(told)
        return value

    return read


def _within(least: float, most: float) -> str:
    if math.isfinite(most):
        return f" from {least:.12g} to {most:.12g}"
    return f", {least:.12g} or more" if math.isfinite(least) else ""


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that reads a config accepts: see `config_path`, `overrides`."""
    parser.add_argument("--config_file", metavar="PATH", help="the config, if not given as CONFIG")
    parser.add_argument(
        "--data_backend_config", metavar="PATH", help="the data backends, whatever the config says"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the config, as in --set learning_rate=5e-5; repeatable",
    )


def add_notify_option(parser: argparse.ArgumentParser) -> None:
    """Add `--notify`: see `notify_by`."""
    from cascade_tui.notifying import VARIABLE, WAYS

    parser.add_argument(
        "--notify",
        choices=WAYS,
        help="how the terminal calls you at an alert or the end of the run that is watched "
        f"(default: ${VARIABLE}, else off)",
    )


def add_lines_option(parser: argparse.ArgumentParser) -> None:
    """Add `--lines`: without the app, and without bars in a terminal."""
    parser.add_argument(
        "--lines",
        action="store_true",
        help="as --no-ui, and only ever new lines, in a terminal too: for screen readers",
    )


def add_pictures_option(parser: argparse.ArgumentParser) -> None:
    """Add `--pictures`: see `cascade_tui.pictures.choose_way`."""
    from cascade_tui.pictures import SETTINGS

    parser.add_argument(
        "--pictures",
        choices=SETTINGS,
        default="auto",
        help="how the app draws pictures: in half blocks, or in pixels by the terminal's protocol "
        "(default: auto, pixels only in terminals known to draw them)",
    )


def notify_by(options: argparse.Namespace) -> NotifyBy:
    """How to call the person; raises UsageError if the environment variable holds nonsense."""
    from cascade_tui import notifying

    try:
        return notifying.notify_by(options.notify, os.environ)
    except notifying.NotifySettingError as error:
        raise UsageError(str(error)) from error


def config_path(given: str | None, options: argparse.Namespace) -> Path | None:
    """The config named by the positional argument or by --config_file, not by both."""
    if given is not None and options.config_file is not None:
        raise UsageError(f"two configs are given: {given} and --config_file {options.config_file}")
    path = options.config_file if given is None else given
    return None if path is None else Path(path)


def overrides(options: argparse.Namespace) -> list[str]:
    """The `key=value` overrides asked for, in the order in which they apply."""
    for item in options.set:
        if "=" not in item:
            raise UsageError(f"--set {item}: expected KEY=VALUE, as in --set learning_rate=5e-5")
    if options.data_backend_config is None:
        return list(options.set)
    import json

    return [f"data_backend_config={json.dumps(options.data_backend_config)}", *options.set]


def existing_config(path: Path | None) -> Path:
    """The config file at `path`; raises UsageError if there is none."""
    if path is None:
        raise UsageError("no config is given: name one, as in `cascade-tui launch config.toml`")
    if path.is_dir():
        candidates = [path / name for name in ("config.toml", "config.json")]
        hint = next((f": did you mean {item}?" for item in candidates if item.is_file()), "")
        raise UsageError(f"{path} is a folder, not a config{hint}")
    if not path.is_file():
        raise UsageError(f"there is no config {path}")
    return path


def existing_run(path: str | Path) -> RunDirectory:
    """The run directory at `path`; raises UsageError if it is none."""
    from engine.run.paths import RunDirectory

    run = RunDirectory(Path(path))
    if not run.root.is_dir():
        what = "is a file, not a run directory" if run.root.exists() else "is not there"
        raise UsageError(f"{path} {what} (a run lies in its config's output_dir)")
    if not run.exists():
        raise UsageError(
            f"{path} is not a run directory: it has neither a frozen config.toml nor events.jsonl "
            "(a run lies in its config's output_dir)"
        )
    return run


def write_output(path: Path, content: bytes) -> None:
    """Replace a file that the user asked for; says on stderr that it is there.

    What is no file (/dev/stdout, a pipe) is written to. Raises UsageError if it cannot be written.
    """
    from engine.run.files import atomic_write_bytes

    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                stream.write(content)
            return
        atomic_write_bytes(target, content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from error
    print(f"wrote {path}", file=sys.stderr)


def is_interactive() -> bool:
    """Whether there is a terminal here on which the app could be shown."""
    return is_terminal() and os.environ.get("TERM") != "dumb"


def can_rewrite() -> bool:
    """Whether lines that were written to stdout can be written over."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def is_terminal() -> bool:
    """Whether a person at a terminal started this; the app reads stdin and draws on stderr."""
    return all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
