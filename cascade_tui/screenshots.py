"""Pictures of the screens without a terminal, for the documentation.

python -m cascade_tui.screenshots --config CONFIG --run RUN_DIR --to screenshots
"""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.pilot import Pilot
from textual.screen import Screen

from cascade_tui.app import CascadeApp
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.monitor import MonitorScreen

SIZES = ((120, 36), (80, 24))
_SETTLED_SECONDS = 1.5
"""Time for pictures that a screen reads in a thread after it is shown."""
_PNG_WIDTH = 1600
_BRAILLE_TEXT = re.compile(
    r'<text ([^>]*?)x="([\d.]+)"([^>]*?)textLength="([\d.]+)"([^>]*)>([^<]*[\u2801-\u28ff][^<]*)<'
)
_BRAILLE_STYLE = 'style="font-family: DejaVu Sans; font-size: 16.4px"'
"""The monospaced font has no braille; at this size that of the other is one cell wide."""
_PATIENCE_SECONDS = 30.0


class ScreenshotError(ValueError):
    """A screen did not get its data in time; says which."""


async def _until(pilot: Pilot[int], condition: Callable[[], bool], what: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_SECONDS
    while not condition():
        if loop.time() > deadline:
            raise ScreenshotError(f"{what} had no data after {_PATIENCE_SECONDS:.0f} s")
        await pilot.pause(0.05)


def _has_data(screen: Screen[object]) -> bool:
    """Whether a screen shows what it is about; others than these have nothing to wait for."""
    if isinstance(screen, ConfigureScreen):
        return screen.is_checked
    if isinstance(screen, MonitorScreen):
        return screen.snapshot is not None
    return True


async def take(app: CascadeApp, size: tuple[int, int], name: str, keys: Sequence[str] = ()) -> str:
    """The SVG of what the app shows at this size, once it has its data and keys are pressed.

    Raises:
        ScreenshotError: the data did not come.
    """
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        await _until(pilot, lambda: _has_data(pilot.app.screen), name)
        await pilot.press(*keys)
        await pilot.pause(_SETTLED_SECONDS)
        return app.export_screenshot(title=f"cascade-tui {name}")


def _cell_by_cell(found: re.Match[str]) -> str:
    """A text with braille as one text per cell, since its font is not monospaced."""
    before, x, between, length, after, content = found.groups()
    characters = html.unescape(content)
    step = float(length) / len(characters)
    cells = [
        f'<text {_BRAILLE_STYLE} {before}x="{float(x) + step * index:.1f}"{between}{after}>'
        f"{html.escape(character)}</text>"
        for index, character in enumerate(characters)
        if not character.isspace()
    ]
    return "".join(cells).removesuffix("/text>")


def write_picture(svg: str, path: Path) -> None:
    """Write `path`.svg, and the same as `path`.png in a font that is on this machine."""
    import cairosvg  # type: ignore[import-untyped]

    path.with_suffix(".svg").write_text(svg, encoding="utf-8")
    local = re.sub(r"font-family:[^;]*;", "font-family: DejaVu Sans Mono, monospace;", svg)
    local = _BRAILLE_TEXT.sub(_cell_by_cell, local)
    cairosvg.svg2png(
        bytestring=local.encode(), write_to=str(path.with_suffix(".png")), output_width=_PNG_WIDTH
    )


async def _take_all(config: Path | None, run: Path | None, folder: Path) -> list[Path]:
    taken: list[Path] = []
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        suffix = f"{size[0]}x{size[1]}"
        shots: list[tuple[str, CascadeApp, tuple[str, ...]]] = []
        if config is not None:
            shots += [
                (name, CascadeApp(config), keys)
                for name, keys in (("configure", ("n",)), ("datasets", ("B", "b")))
            ]
        if run is not None:
            shots.append(("runs", CascadeApp(runs_root=run.parent), ()))
            shots += [
                (name, CascadeApp(run_directory=run), keys)
                for name, keys in (
                    ("monitor", ()),
                    ("chart", ("f", *["left"] * 12)),
                    ("gallery", ("4",)),
                    ("log", ("5",)),
                )
            ]
        for name, app, keys in shots:
            path = folder / f"{name}-{suffix}"
            write_picture(await take(app, size, name, keys), path)
            taken += [path.with_suffix(".svg"), path.with_suffix(".png")]
    return taken


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures and print their paths; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cascade_tui.screenshots", description=__doc__)
    parser.add_argument("--config", type=Path, help="the config to show in the form")
    parser.add_argument("--run", type=Path, help="the run directory to show in the monitor")
    parser.add_argument("--to", type=Path, default=Path("screenshots"), help="folder for them")
    options = parser.parse_args(arguments)
    if options.config is None and options.run is None:
        parser.error("give --config, --run, or both")
    try:
        taken = asyncio.run(_take_all(options.config, options.run, options.to))
    except ScreenshotError as failure:
        print(failure, file=sys.stderr)
        return 1
    print(*taken, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
