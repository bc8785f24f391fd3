"""`cascade-tui demo`: the whole way from photographs to a LoRA, in minutes and with no GPU."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import add_lines_option, is_interactive, whole_number

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from engine.run.paths import RunDirectory

DEFAULT_OUTPUT = "demo-output"
_NUM_AVERAGED = 20
_STEPS_PER_WARMUP_STEP = 20  # as in the config: 20 of 400
_NUM_ERROR_LINES = 20


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "demo",
        help="train a tiny model on photographs that are shipped",
        description="Build a tiny Stage C, train a LoRA of it on eight photographs, and show it: "
        "in the app if there is a terminal, else in lines of text. Takes a few minutes on two "
        "cores and needs no GPU and no network. Called again, it goes on with a demo that was "
        "stopped, and begins another one after a finished one. Exit codes: those of the run (0 "
        "finished, 1 failed), 3 it could not be prepared or launched, 130 stopped by ctrl+c.",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(DEFAULT_OUTPUT),
        metavar="DIR",
        help=f"where model, config and run go (default: {DEFAULT_OUTPUT})",
    )
    parser.add_argument("--no-ui", action="store_true", help="report in lines of text")
    add_lines_option(parser)
    parser.add_argument(
        "--steps",
        type=whole_number(1),
        metavar="N",
        help="train N steps (default: as in the config)",
    )


def run(args: argparse.Namespace) -> int:
    """Build, train, and say what came of it; returns the run's exit code."""
    output = Path(args.output).expanduser().absolute()
    try:
        demo = prepare(output, partial(print, flush=True))
    except DemoError as error:
        print(f"cascade-tui demo: {error}", file=sys.stderr)
        return exit_codes.COULD_NOT_LAUNCH
    overrides = demo.overrides(num_steps=args.steps)
    if args.no_ui or args.lines or not is_interactive():
        from cascade_tui.headless import run_headless

        code = run_headless(demo.config, overrides, in_lines=args.lines)
    else:
        code = _run_in_app(demo, overrides)
    if demo.run.exists():
        for line in summary(demo):
            print(line)
    return code


class DemoError(RuntimeError):
    """The demo cannot be prepared; says what stands in the way."""


@dataclass(frozen=True, slots=True)
class Demo:
    """A prepared demo: the config to run, and where its run will lie."""

    config: Path
    run: RunDirectory

    def overrides(self, *, num_steps: int | None) -> list[str]:
        """What this run has other than the config."""
        import json

        changed = [f"output_dir={json.dumps(str(self.run.root))}"]
        if num_steps is not None:
            warmup = num_steps // _STEPS_PER_WARMUP_STEP
            changed += [f"max_train_steps={num_steps}", f"lr_warmup_steps={warmup}"]
        return changed


def prepare(output: Path, report: Callable[[str], None]) -> Demo:
    """Make the model and the config below `output`, unless they are there; `report` gets a line
    a part.

    Raises:
        DemoError: the folder cannot be written, or the model cannot be built.
    """
    from cascade_tui.shipped_files import ShippedFileError, shipped_path

    try:
        source = shipped_path("demo")
        output.mkdir(parents=True, exist_ok=True)
        report(f"the tiny model, in {output / 'stage-c-tiny'}:")
        _build_model(output / "stage-c-tiny", source, report)
        config = write_config(output, source)
    except ShippedFileError as error:
        raise DemoError(str(error)) from error
    except OSError as error:
        reason = error.strerror or error
        raise DemoError(f"{output} cannot be used: {reason}; choose another --output") from error
    return Demo(config=config, run=_free_run(output))


def write_config(output: Path, source: Path) -> Path:
    """Copy the demo's config to `output` with the paths that hold there; one there is kept."""
    from engine.config.documents import Document

    path = output / "demo.toml"
    if path.exists():
        return path
    document = Document.read(source / "demo.toml")
    model, photographs = str(output / "stage-c-tiny"), str(source / "photographs")
    document.set("pretrained_model_name_or_path", model)
    document.set("pretrained_vae_model_name_or_path", model)
    document.set("output_dir", str(output / "run"))
    document.set("cache_dir", str(output / "cache"))
    document.set("data_backend[by-name].instance_data_dir", photographs)
    document.set("data_backend[by-text].instance_data_dir", photographs)
    document.set("data_backend[text-embeds].cache_dir", str(output / "cache" / "text"))
    document.path = path
    document.save()
    return path


def summary(demo: Demo) -> list[str]:
    """What came of the run, and what to do next, as lines."""
    from engine.run.status import derive_state

    run, state = demo.run, derive_state(demo.run)
    lines = [""]
    first, last = _losses(run)
    if first is not None and last is not None:
        lines.append(f"loss        {first:.4f} at first, {last:.4f} at last (step {state.step})")
    if pictures := _latest_pictures(run):
        lines.append(f"pictures    {len(pictures)} in {pictures[0].parent}")
    exported = sorted(run.export.glob("*")) if run.export.is_dir() else []
    lines += [f"LoRA        {path}" for path in exported]
    lines.append(f"config      {demo.config}")
    if state.is_alive or state.supervised:
        lines.append(f"The run goes on. Watch it:  cascade-tui attach {run.root}")
    elif state.name == "finished":
        lines.append(f"Next: change the config and train again:  cascade-tui {demo.config}")
        lines.append(f"      or look at what was done:           cascade-tui {run.root}")
    else:
        lines.append(f"It is {state.name}. Go on with it:  cascade-tui resume {run.root}")
    return lines


def _build_model(destination: Path, source: Path, report: Callable[[str], None]) -> None:
    """Build the model in a process of its own: this one never loads torch."""
    command = [sys.executable, "-m", "engine.tiny.build", str(destination)]
    with (
        # Libraries warn on stderr about parts that are not used here; shown only after a failure.
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            [*command, "--source", str(source)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as building,
    ):
        assert building.stdout is not None
        for line in building.stdout:
            report(line.rstrip("\n"))
        if building.wait() == 0:
            return
        errors.seek(0)
        tail = errors.read().splitlines()[-_NUM_ERROR_LINES:]
    raise DemoError("\n".join(["the tiny model could not be built:", *tail]))


def _free_run(output: Path) -> RunDirectory:
    """The first of run, run-2, run-3 … that is not finished."""
    from engine.run.paths import RunDirectory
    from engine.run.status import derive_state

    number = 1
    while True:
        run = RunDirectory(output / ("run" if number == 1 else f"run-{number}"))
        if not run.exists() or derive_state(run).name != "finished":
            return run
        number += 1


def _run_in_app(demo: Demo, overrides: Sequence[str]) -> int:
    """Launch, and open the app on the run; leaving the app leaves the run going."""
    from cascade_tui.keymap import chosen_keys
    from cascade_tui.launching import load_checked, prepare_and_launch
    from cascade_tui.opening import run_app
    from engine.run.launch import LaunchError, RunAliveError

    chosen_keys()  # a file that keeps the app from opening is told before anything is launched
    project = load_checked(demo.config, overrides)
    if project is None:
        return exit_codes.USAGE
    try:
        prepare_and_launch(project)
    except RunAliveError:
        pass  # it goes on from an earlier call: watch it
    except LaunchError as error:
        print(f"cannot launch: {error}", file=sys.stderr)
        return exit_codes.COULD_NOT_LAUNCH
    return run_app(config=None, run_directory=demo.run.root)


def _losses(run: RunDirectory) -> tuple[float | None, float | None]:
    """The mean loss of the first and of the last steps."""
    from engine.run.events import EventReader, as_float

    reader = EventReader(run.events)
    events = reader.poll(60)
    values = [as_float(event.get("loss")) for event in events if event.get("kind") == "step"]
    finite = [value for value in values if value is not None]
    if not finite:
        return None, None
    count = max(1, min(_NUM_AVERAGED, len(finite) // 4))
    first, last = finite[:count], finite[-count:]
    return sum(first) / len(first), sum(last) / len(last)


def _latest_pictures(run: RunDirectory) -> list[Path]:
    folders = sorted(run.validation.glob("step-*")) if run.validation.is_dir() else []
    return sorted(folders[-1].glob("*.png")) if folders else []
