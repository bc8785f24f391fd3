"""Pictures for the documentation: what is drawn is closed, in its cells, and of every screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from form_project import CONFIG, ENVIRONMENT, write_project
from PIL import Image

from cascade_tui.screenshots import demo_runs, shots
from cascade_tui.screenshots.__main__ import main
from cascade_tui.screenshots.camera import Shot, take
from cascade_tui.screenshots.cell_shapes import CELL_HEIGHT, CELL_WIDTH
from cascade_tui.screenshots.picture import (
    PIXELS_PER_UNIT,
    Look,
    Picture,
    svg_of,
    write_picture,
)
from engine.config.frozen import freeze
from engine.config.loading import load_project
from tests.cascade_tui.run_fixture import write_run

INK, GROUND, OTHER = "#ffffff", "#000000", "#ff0000"
PLAIN = Look(INK, GROUND)
WIDTH, HEIGHT = int(CELL_WIDTH * PIXELS_PER_UNIT), int(CELL_HEIGHT * PIXELS_PER_UNIT)


def _picture(*lines: str, look: Look = PLAIN) -> Picture:
    return Picture("x", tuple(tuple((c, look) for c in line) for line in lines), PLAIN, True)


def _drawn(picture: Picture, folder: Path) -> Image.Image:
    """The cells alone, without the window's frame."""
    _, pixels = write_picture(picture, folder / "picture")
    image = Image.open(pixels).convert("RGB")
    size = (len(picture.rows[0]) * WIDTH, len(picture.rows) * HEIGHT)
    return image.crop((16, 56, 16 + size[0], 56 + size[1]))


def test_frames_are_closed(tmp_path: Path):
    image = _drawn(_picture("┌──┐", "│  │", "├──┤", "└──┘"), tmp_path)
    left, right = WIDTH // 2, 3 * WIDTH + WIDTH // 2
    top, bottom = HEIGHT // 2, 3 * HEIGHT + HEIGHT // 2
    for x in (left, right):
        assert {image.getpixel((x, y)) for y in range(top, bottom)} == {(255, 255, 255)}
    for y in (top, bottom, 2 * HEIGHT + HEIGHT // 2):
        assert {image.getpixel((x, y)) for x in range(left, right)} == {(255, 255, 255)}


def test_round_corners_meet_their_lines(tmp_path: Path):
    image = _drawn(_picture("╭─╮", "│ │", "╰─╯"), tmp_path)
    ink = [
        [image.getpixel((x, y)) != (0, 0, 0) for x in range(image.width)]
        for y in range(image.height)
    ]
    reached, seen = [(WIDTH // 2, HEIGHT + HEIGHT // 2)], set()
    while reached:
        x, y = reached.pop()
        if (x, y) not in seen and ink[y][x]:
            seen.add((x, y))
            reached += [(x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    assert len(seen) == sum(map(sum, ink))


def test_bars_and_half_blocks_have_no_seams(tmp_path: Path):
    assert set(_drawn(_picture("██", "██"), tmp_path).getdata()) == {(255, 255, 255)}
    halves = _drawn(_picture("▀▀", "▀▀", look=Look(INK, OTHER)), tmp_path)
    assert set(halves.getdata()) == {(255, 255, 255), (255, 0, 0)}
    assert [halves.getpixel((WIDTH, y)) for y in range(0, 2 * HEIGHT, HEIGHT // 2)] == [
        (255, 255, 255), (255, 0, 0), (255, 255, 255), (255, 0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("character", ["⣿", "▒", "▎", "╳", "┊", "▚", "✔", "▸", "é"])
def test_every_sign_stays_in_its_cell(tmp_path: Path, character: str):
    image = _drawn(_picture("   ", f" {character} ", "   "), tmp_path)
    box = image.getbbox()
    assert box is not None
    left, top, right, bottom = box
    assert (left >= WIDTH - 1, right <= 2 * WIDTH + 1) == (True, True)
    assert (top >= HEIGHT - 1, bottom <= 2 * HEIGHT + 1) == (True, True)


def test_words_can_be_found_and_each_letter_has_its_place():
    svg = svg_of(_picture("a  step 400 │b"))
    assert ">step 400</text>" in svg
    places = dict(zip(*_places(svg, "step 400"), strict=True))
    assert [places[c] for c in "sep"] == [
        10 + 3 * CELL_WIDTH,
        10 + 5 * CELL_WIDTH,
        10 + 6 * CELL_WIDTH,
    ]
    assert _places(svg, "b") == ("b", [10 + 13 * CELL_WIDTH])


def _places(svg: str, words: str) -> tuple[str, list[int]]:
    found = re.search(rf'<text x="([\d ]+)"[^>]*>{words}</text>', svg)
    assert found is not None
    return words, [int(x) for x in found[1].split()]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the demo's runs, without the minutes that they take."""
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, name.lower())
    write_project(Path(), CONFIG.replace('"run"', f'"{demo_runs.MAIN}"')).rename(demo_runs.CONFIG)
    for number in range(7):
        (Path("photographs") / f"{number}.jpg").write_bytes(b"not looked into")
    for run, kind in ((demo_runs.FIRST, "finished"), (demo_runs.MAIN, "running")):
        write_run(run, kind)
        freeze(load_project(demo_runs.CONFIG, environment=ENVIRONMENT, check=False), run)
    config = demo_runs.FIRST / "config.toml"
    config.write_text(config.read_text().replace("lora_rank = 16", "lora_rank = 8"))


WAYS = {shot.bring: shot for shot in (*shots.while_training(), *shots.afterwards())}
SHOTS = {shot.name: shot for shot in WAYS.values()}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("shot", SHOTS.values(), ids=SHOTS)
async def test_the_way_to_each_picture_leads_there(shot: Shot):
    picture = await take(shot)  # raises where a key opens nothing or another screen
    assert (len(picture.rows[0]), len(picture.rows)) == shot.size
    assert shot.name.replace("-", " ") in picture.title


def test_another_path_is_shown_in_the_place_of_the_real_one():
    picture = _picture("in /tmp/x-1/a, /tmp/x-1/b", "/tmp/x-")
    shown = picture.with_words("/tmp/x-1", "/home/me")
    assert shown.text() == "in /home/me/a, /home/me/b\n/tmp/x-"


def test_a_folder_that_has_no_runs_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    (tmp_path / "file").touch()
    assert main(["--to", str(tmp_path / "file"), "--of", str(tmp_path)]) == 1
    assert "file" in capfd.readouterr().err
