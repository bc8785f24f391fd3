"""Validation pictures as small pictures inside a page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cascade_tui.follow.snapshot import RunSnapshot

MAX_STEPS, MAX_PROMPTS = 8, 24
_MAX_SIDE_PX = 256
_JPEG_QUALITY = 82


@dataclass(frozen=True, slots=True)
class Cell:
    """A picture as a data URL, or why there is none; sizes in px of the page."""

    url: str = ""
    width: int = 0
    height: int = 0
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Grid:
    """Pictures by prompt and step: `cells[prompt][step]`, each None where none was made."""

    prompts: tuple[tuple[str, str], ...]
    steps: tuple[int, ...]
    cells: tuple[tuple[Cell | None, ...], ...]
    num_steps_left_out: int
    num_prompts_left_out: int


def picture_grid(snapshot: RunSnapshot, root: Path) -> Grid | None:
    """The pictures of at most 8 steps, the first and the last among them; None without any."""
    steps, prompts = snapshot.picture_steps, snapshot.prompts
    if not steps:
        return None
    shown_steps, shown = _spread(steps), prompts[:MAX_PROMPTS]
    texts = {picture.prompt: picture.text for picture in snapshot.pictures}
    cells = tuple(
        tuple(_cell(snapshot, step, prompt, root) for step in shown_steps) for prompt in shown
    )
    return Grid(
        tuple((prompt, texts[prompt]) for prompt in shown),
        shown_steps,
        cells,
        len(steps) - len(shown_steps),
        len(prompts) - len(shown),
    )


def _spread(steps: tuple[int, ...]) -> tuple[int, ...]:
    """At most `MAX_STEPS` of them, evenly, with both ends."""
    if len(steps) <= MAX_STEPS:
        return steps
    last = len(steps) - 1
    return tuple(steps[round(number * last / (MAX_STEPS - 1))] for number in range(MAX_STEPS))


def _cell(snapshot: RunSnapshot, step: int, prompt: str, root: Path) -> Cell | None:
    picture = snapshot.picture(step, prompt)
    if picture is None:
        return None
    path = Path(picture.path)
    try:
        # What an event names outside the run is none of its pictures: it is not to be published.
        if not path.resolve().is_relative_to(root.resolve()):
            return Cell(problem="outside the run")
        return _thumbnail(path)
    except FileNotFoundError:
        return Cell(problem="the file is gone")
    except (OSError, ValueError, Image.DecompressionBombError, SyntaxError):
        return Cell(problem="cannot be read")  # PIL's errors for damaged files


def _thumbnail(path: Path) -> Cell:
    with Image.open(path) as file:
        file.draft("RGB", (_MAX_SIDE_PX, _MAX_SIDE_PX))
        image = file.convert("RGB")
    image.thumbnail((_MAX_SIDE_PX, _MAX_SIDE_PX))
    target = io.BytesIO()
    image.save(target, "JPEG", quality=_JPEG_QUALITY, optimize=True)
    encoded = base64.b64encode(target.getvalue()).decode()
    # Pictures of the previewer are tiny: whole multiples keep them sharp.
    scale = max(1, 160 // max(image.size))
    return Cell(f"data:image/jpeg;base64,{encoded}", image.width * scale, image.height * scale)
