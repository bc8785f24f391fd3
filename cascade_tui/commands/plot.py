"""`cascade-tui plot RUN…`: a run's curve in the terminal, or as an SVG or PNG file."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cascade_tui import exit_codes
from cascade_tui.arguments import UsageError, existing_run, number, whole_number, write_output

if TYPE_CHECKING:
    from cascade_tui.arguments import Subparsers
    from cascade_tui.plots.data import Line

_METRICS = ("loss", "lr", "grad_norm", "images_per_second", "validation")
_FORMATS = ("terminal", "svg", "png")
_FORMAT_OF_SUFFIX = {".svg": "svg", ".png": "png", ".txt": "terminal"}
_TEXT_SIZE, _PICTURE_SIZE = (80, 22), (960, 480)
_PNG_SCALE = 2


def add_parser(subparsers: Subparsers) -> None:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "plot",
        help="draw a run's curve in the terminal, or as SVG or PNG",
        description="Draw a metric of one run, with the band between its extremes, or of several "
        "runs together. Without --to it is drawn in characters. "
        "Exit codes: 0 drawn, 2 it cannot be.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories")
    parser.add_argument("--metric", choices=_METRICS, default="loss", help="default: loss")
    parser.add_argument(
        "--to",
        default="terminal",
        metavar="FILE",
        help="terminal, svg or png (to stdout), or a file that ends in .svg, .png or .txt",
    )
    parser.add_argument(
        "--smoothing",
        type=number(0, 0.999),
        default=0.0,
        metavar="S",
        help="weight of the past, 0 to 0.999",
    )
    parser.add_argument("--log", action="store_true", help="a logarithmic axis")
    parser.add_argument(
        "--width", type=whole_number(1, 10_000), metavar="N", help="columns, or px of a picture"
    )
    parser.add_argument(
        "--height", type=whole_number(1, 10_000), metavar="N", help="rows, or px of a picture"
    )


def run(args: argparse.Namespace) -> int:
    """Draw; 2 if there is nothing to draw."""
    form, path = _target(args.to)
    lines = _lines(args)
    title = _title(args)
    try:
        if form == "terminal":
            content = _as_text(args, title, lines, is_file=path is not None)
        else:
            from cascade_tui.plots.svg_chart import LEAST_HEIGHT, LEAST_WIDTH, svg_chart

            width = max(LEAST_WIDTH, args.width or _PICTURE_SIZE[0])
            height = max(LEAST_HEIGHT, args.height or _PICTURE_SIZE[1])
            content = svg_chart(title, lines, width, height, is_log=args.log)
    except ValueError as error:
        raise UsageError(f"nothing to draw of {args.metric}: {error}") from error
    encoded = to_png(content) if form == "png" else content.encode(errors="replace")
    if path is not None:
        write_output(path, encoded)
    elif form == "terminal":
        sys.stdout.write(content)
    else:
        sys.stdout.buffer.write(encoded)
        sys.stdout.buffer.flush()
    return exit_codes.OK


def to_png(svg: str) -> bytes:
    """The picture of an SVG at twice its size; raises UsageError without cairosvg."""
    try:
        import cairosvg  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except (ImportError, OSError) as error:  # OSError: the package is here, the library is not
        message = f"PNG needs cairosvg ({error}): pip install cairosvg, or write --to FILE.svg"
        raise UsageError(message) from error
    return bytes(cairosvg.svg2png(bytestring=svg.encode(), scale=_PNG_SCALE))


def _target(to: str) -> tuple[str, Path | None]:
    """The format, and the file unless it is stdout."""
    if to in _FORMATS:
        if to == "png" and sys.stdout.isatty():
            raise UsageError("a PNG is nothing for a terminal: write --to FILE.png")
        return to, None
    form = _FORMAT_OF_SUFFIX.get(Path(to).suffix.lower())
    if form is None:
        raise UsageError(f"--to {to}: expected terminal, svg, png, or a file .svg, .png or .txt")
    return form, Path(to)


def _lines(args: argparse.Namespace) -> list[Line]:
    from cascade_tui.plots.data import UnreadableRunError, line_of, read_run
    from cascade_tui.plots.text_chart import MAX_LINES

    if len(args.runs) > MAX_LINES:
        raise UsageError(f"{len(args.runs)} runs are too many for one chart (at most {MAX_LINES})")
    directories = [existing_run(path) for path in args.runs]
    names = [directory.root.resolve().name for directory in directories]
    if len(set(names)) < len(names):
        names = args.runs
    lines = []
    for directory, name in zip(directories, names, strict=True):
        try:
            snapshot = read_run(directory)
        except UnreadableRunError as error:
            raise UsageError(f"{directory.root}: {error}") from error
        line = line_of(snapshot, args.metric, name, args.smoothing)
        if not len(line.series):
            there = [metric for metric in _METRICS if len(line_of(snapshot, metric, name).series)]
            told = f"{directory.root} has no value of {args.metric} yet"
            print(f"{told} (there: {', '.join(there) or 'none'})", file=sys.stderr)
        lines.append(line)
    return lines


def _title(args: argparse.Namespace) -> str:
    from cascade_tui.plots.data import METRICS

    title = METRICS[args.metric]
    return f"{title}, smoothing {args.smoothing:g}" if args.smoothing else title


def _as_text(args: argparse.Namespace, title: str, lines: list[Line], *, is_file: bool) -> str:
    from cascade_tui.plots.text_chart import LEAST_HEIGHT, LEAST_WIDTH, Look, text_chart

    is_terminal = sys.stdout.isatty() and not is_file
    width, height = shutil.get_terminal_size(_TEXT_SIZE) if is_terminal else _TEXT_SIZE
    height = min(height - 1, _TEXT_SIZE[1]) if is_terminal else height
    look = Look(
        max(LEAST_WIDTH, args.width or width),
        max(LEAST_HEIGHT, args.height or height),
        is_ascii=_needs_ascii(is_file),
        has_color=is_terminal and not os.environ.get("NO_COLOR"),
    )
    return text_chart(title, lines, look, is_log=args.log) + "\n"


def _needs_ascii(is_file: bool) -> bool:
    if os.environ.get("CASCADE_TUI_ASCII", "0") not in ("", "0"):
        return True
    encoding = sys.stdout.encoding or "ascii"
    return not is_file and encoding.lower().replace("-", "") != "utf8"
