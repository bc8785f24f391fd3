"""The command tree. Imports nothing heavy: `--help` must answer at once, on any machine.

The first positional argument is a subcommand if it is called like one, else the PATH of a config
or a run directory; a path that is called like a subcommand is written ./status.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cascade_tui import exit_codes, streams
from cascade_tui.arguments import (
    Parser,
    UsageError,
    add_config_options,
    add_lines_option,
    add_notify_option,
    add_pictures_option,
    config_path,
    existing_config,
    existing_run,
    is_interactive,
    is_terminal,
    notify_by,
    overrides,
)

# name: (module of cascade_tui.commands, what it does)
COMMANDS: dict[str, tuple[str, str]] = {
    "validate": ("validate", "check a config and tell all its problems at once"),
    "demo": ("demo", "train a tiny model on photographs that are shipped, here and now"),
    "launch": ("launch", "start a run that outlives this terminal; print its directory"),
    "attach": ("attach", "watch a run that runs, or look at one that is over"),
    "status": ("status", "say how a run does, or every run below a folder"),
    "logs": ("logs", "print what the trainer wrote to its console"),
    "checkpoint": ("control", "save a checkpoint now"),
    "validate-now": ("control", "make the validation pictures now"),
    "pause": ("control", "hold the run after the current step"),
    "resume": ("control", "go on after a pause, or from the last checkpoint"),
    "change": ("change", "change intervals and prompts of a run while it goes on"),
    "stop": ("control", "finish the step, save, and end the run"),
    "abort": ("control", "end the run within 15 seconds, saved or not"),
    "plot": ("plot", "draw a run's curve in the terminal, or as SVG or PNG"),
    "report": ("report", "write a run as one self-contained HTML file"),
    "diff": ("diff", "say what differs between two configs or runs"),
    "sample": ("sample", "draw pictures of any prompt with a run's checkpoint"),
    "export": ("export", "write a run's checkpoint in the formats that other tools load"),
    "convert": ("convert", "write a prior or an adapter in another format"),
    "merge": ("merge", "fold adapters into the prior that they adapt"),
    "models": ("models", "show which weight files are here, and fetch those that are not"),
    "doctor": ("doctor", "say what is wrong with this machine, with fixes"),
    "locate": ("locate", "say where things lie: caches, weights, runs, the program"),
    "keys": ("keys", "show every key of the app, and how to change it"),
    "schema": ("schema", "print the JSON Schema of a config, for editors"),
    "completions": ("completions", "print what lets a shell complete our commands"),
}
_OPTIONS_WITH_VALUE = (
    "--set",
    "--config_file",
    "--data_backend_config",
    "--notify",
    "--runs",
    "--theme",
    "--pictures",
)
# What a command imports stays: to look through it again and again costs a tenth of its time.
_RARE_COLLECTION = 50_000
_THEMES = ("dark", "light", "high-contrast", "colour-blind")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (see `exit_codes`), or exits on a wrong one."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    # None of them is ours, and to look for them is to read the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    streams.open_missing()
    streams.tolerate_signs()
    try:
        try:
            return _run(argv)
        finally:
            sys.stdout.flush()  # here a full disk can still be told, at exit it cannot
    except UsageError as error:
        print(f"cascade-tui: {error}", file=sys.stderr)
        return exit_codes.USAGE
    except KeyboardInterrupt:
        return exit_codes.INTERRUPTED
    except BrokenPipeError:  # whoever read us has left
        streams.silence(sys.stdout)
        return exit_codes.BROKEN_PIPE
    except OSError as error:
        if error.filename is None:
            streams.silence(sys.stdout)
        where = "cannot write the output" if error.filename is None else error.filename
        print(f"cascade-tui: {where}: {error.strerror or error}", file=sys.stderr)
        return exit_codes.USAGE


def _run(argv: list[str]) -> int:
    position = _first_positional(argv)
    if position is None or argv[position] not in COMMANDS:
        return _open(main_parser().parse_strictly(argv))
    gc.set_threshold(_RARE_COLLECTION)
    name = argv[position]
    module = importlib.import_module(f"cascade_tui.commands.{COMMANDS[name][0]}")
    parser = Parser(prog="cascade-tui")
    module.add_parser(parser.add_subparsers(dest="command"))
    options = parser.parse_strictly([name, *argv[:position], *argv[position + 1 :]])
    return int(module.run(options))


def main_parser() -> Parser:
    """The parser of a command line without a subcommand, whose help names the subcommands."""
    width = max(map(len, COMMANDS))
    table = "\n".join(f"  {name:<{width}}  {what}" for name, (_, what) in COMMANDS.items())
    parser = Parser(
        prog="cascade-tui",
        usage="cascade-tui [options] [PATH]\n       cascade-tui COMMAND ...",
        description="Fine-tune the Stable Cascade Stage C prior from a terminal.",
        epilog=f"commands (each has its own --help):\n{table}\n\n"
        f"{exit_codes.SUMMARY}\n\n"
        "Keys of the app are chosen in ~/.config/cascade-tui/keys.toml: see `cascade-tui keys`.\n"
        "Without a terminal it works as with --no-ui.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "path",
        nargs="?",
        metavar="PATH",
        help="a config (JSON or TOML) to edit, check and launch, or a run directory to watch",
    )
    parser.add_argument(
        "--no-ui", action="store_true", help="train and report in lines of text, without the app"
    )
    add_lines_option(parser)
    add_config_options(parser)
    add_notify_option(parser)
    parser.add_argument(
        "--runs", metavar="FOLDER", help="where the app looks for runs (default: here)"
    )
    parser.add_argument(
        "--readonly", action="store_true", help="look only: the app changes no run and no file"
    )
    parser.add_argument("--theme", choices=_THEMES, help="colours of the app; T changes them")
    add_pictures_option(parser)
    parser.add_argument("--version", action="version", version=f"cascade-tui {_version()}")
    return parser


def _open(options: argparse.Namespace) -> int:
    """Open PATH in the app, or do without the app what it is for: train a config, watch a run."""
    path = config_path(options.path, options)
    is_no_ui = options.no_ui or options.lines
    is_headless = is_no_ui or not is_interactive()
    if path is None and is_headless:
        raise UsageError(_without_app())
    if path is not None and not path.exists():
        raise UsageError(f"there is no file, folder or command {path}{_nearest_command(path)}")
    config, run_directory = None, None
    if path is not None and path.is_dir():
        run_directory = existing_run(path).root
    elif path is not None:
        config = existing_config(path)
    runs_root = Path(options.runs) if options.runs is not None else None
    if runs_root is not None and not runs_root.is_dir():
        raise UsageError(f"--runs {runs_root}: there is no such folder")
    if not is_headless:
        from cascade_tui.opening import run_app

        return run_app(
            config=config,
            run_directory=run_directory,
            overrides=overrides(options),
            notify_by=notify_by(options),
            runs_root=runs_root,
            is_readonly=options.readonly,
            theme=options.theme,
            pictures=options.pictures,
        )
    if config is not None and not is_no_ui and sys.stdout.isatty():
        raise UsageError(_without_app())  # who wanted to look at a config is not to train it
    if options.readonly and config is not None:
        raise UsageError("--readonly starts no run: leave it out, or open the config in a terminal")
    from cascade_tui import headless

    if config is not None:
        return headless.run_headless(config, overrides(options), in_lines=options.lines)
    assert run_directory is not None
    return headless.attach_headless(existing_run(run_directory), in_lines=options.lines)


def _without_app() -> str:
    """Why the app is not shown here, and what there is in its place."""
    if is_terminal():
        why = "TERM=dumb cannot show the app"
    elif sys.stdout.isatty():
        name = "stderr" if sys.stdin.isatty() else "stdin"
        why = f"the app needs a terminal, and {name} is none"
    else:
        why = "there is no terminal for the app"
    return (
        f"{why}: `cascade-tui --no-ui PATH` trains a config or follows a run in lines of text, "
        "`cascade-tui status --watch` watches runs (--help tells more)"
    )


def _first_positional(argv: Sequence[str]) -> int | None:
    position = 0
    while position < len(argv):
        if argv[position] == "--":
            return None  # what follows is a path, whatever it is called
        if not argv[position].startswith("-"):
            return position
        position += 2 if argv[position] in _OPTIONS_WITH_VALUE else 1
    return None


def _nearest_command(path: Path) -> str:
    import difflib

    nearest = difflib.get_close_matches(str(path), COMMANDS, n=1)
    return f" (did you mean {nearest[0]}?)" if nearest else ""


def _version() -> str:
    from engine import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main())
