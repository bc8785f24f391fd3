"""Pictures in pixels: only where they are known to work, whole, and gone when we are."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import sys
import termios
from pathlib import Path

import numpy as np
import pytest
from form_pilot import until
from picture_reading import inline_picture, kitty_pictures, placeholder_cells, sixel_picture
from PIL import Image
from terminal_reading import read_until
from textual.pilot import Pilot

import cascade_tui
from cascade_tui import cli
from cascade_tui.app import CascadeApp
from cascade_tui.pictures import Setting, choose_way
from cascade_tui.screens.gallery import GalleryScreen, PictureGrid
from cascade_tui.screens.help import HelpScreen
from cascade_tui.screens.picture import PictureScreen, PictureView
from cascade_tui.widgets import kitty
from cascade_tui.widgets.half_blocks import UPPER_HALF
from cascade_tui.widgets.tiles import Drawing, TileCache
from tests.cascade_tui.run_fixture import write_run

KITTY = {"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}


@pytest.mark.parametrize(
    ("environment", "way"),
    [
        (KITTY, "kitty"),
        ({"TERM": "xterm-kitty", "SSH_TTY": "/dev/pts/1"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2", "SSH_TTY": "x"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm"}, "sixel"),
        # not known to draw pixels
        ({"TERM": "xterm-256color"}, "half"),
        ({"TERM": "linux"}, "half"),
        ({}, "half"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode"}, "half"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, "half"),
        # started from a better terminal, whose variables they inherit
        ({"TERM": "alacritty", "KITTY_WINDOW_ID": "1"}, "half"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "vscode"}, "half"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm", "VTE_VERSION": "7600"}, "half"),
        # something stands between, or there are no colours
        ({**KITTY, "TMUX": "/tmp/tmux,1,0"}, "half"),
        ({"TERM": "tmux-256color", "LC_TERMINAL": "iTerm2"}, "half"),
        ({"TERM": "screen.xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "half"),
        ({**KITTY, "STY": "1.pts"}, "half"),
        ({**KITTY, "ZELLIJ": "0"}, "half"),
        ({**KITTY, "NO_COLOR": ""}, "half"),
        ({**KITTY, "TEXTUAL_DRIVER": "web"}, "half"),
    ],
)
def test_pixels_are_chosen_only_in_terminals_known_to_draw_them(
    environment: dict[str, str], way: str
) -> None:
    assert choose_way("auto", environment).way == way
    assert choose_way("half", environment).way == "half"
    assert choose_way("off", environment).way == "off"


@pytest.mark.parametrize("asked", ["kitty", "sixel", "iterm"])
def test_pixels_that_are_asked_for_come_anywhere_but_through_tmux_or_without_colours(
    asked: Setting,
) -> None:
    assert choose_way(asked, {"TERM": "xterm-256color"}).way == asked
    for obstacle in ({"TMUX": "1"}, {"TERM": "screen"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}):
        choice = choose_way(asked, {"TERM": "xterm-256color", **obstacle})
        assert choice.way == "half"
        assert "pictures are half blocks" in choice.refusal


def test_kitty_needs_all_colours_since_they_number_its_pictures() -> None:
    assert choose_way("auto", KITTY, has_true_colour=False).way == "half"
    assert "COLORTERM" in choose_way("kitty", KITTY, has_true_colour=False).refusal
    assert choose_way("auto", {"TERM": "foot"}, has_true_colour=False).way == "sixel"


def test_the_command_line_takes_the_ways_to_draw_and_by_default_looks_for_the_best() -> None:
    parser = cli.main_parser()
    assert parser.parse_args([]).pictures == "auto"
    assert parser.parse_args(["--pictures", "off", "run"]).pictures == "off"
    assert cli._first_positional(["--pictures", "off", "status"]) == 2


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    """A picture of 320 x 200 with smooth colours, noise and an edge."""
    y, x = np.mgrid[0:200, 0:320]
    pixels = np.stack([x * 0.75, y * 1.2, 255 - x * 0.5 - y * 0.3], axis=-1)
    pixels += np.random.default_rng(0).normal(0, 3, pixels.shape)
    pixels[40:90, 60:150] = (240, 30, 30)
    path = tmp_path / "photograph.png"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def test_kitty_gets_the_same_pixels_once_and_cells_that_count_them(photograph: Path) -> None:
    drawing = Drawing(40, 40, "kitty", (10, 20))
    cache = TileCache()
    tile = cache.load(str(photograph), drawing)
    (number,) = kitty_pictures(tile.sent_before)
    kept = kitty_pictures(tile.sent_before)[number]
    assert (kept.columns, kept.rows) == (tile.columns, len(tile.rows)) == (40, 12)
    assert kept.image.tobytes() == Image.open(photograph).tobytes()
    text = "".join(segment.text for row in tile.rows for segment in row)
    assert placeholder_cells(text) == [(y, x) for y in range(12) for x in range(40)]
    colours = {segment.style.color.triplet for row in tile.rows for segment in row}
    assert [red << 16 | green << 8 | blue for red, green, blue in colours] == [number]
    assert kitty.FIRST_ID <= number < kitty.FIRST_ID + kitty.NUM_IDS
    assert not kitty_pictures(tile.sent_before + kitty.deletion(number))
    assert cache.load(str(photograph), drawing) is tile


def test_kitty_counts_as_far_as_its_diacritics_go(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 20), "red").save(tmp_path / "wide.png")
    tile = TileCache().load(str(tmp_path / "wide.png"), Drawing(400, 10, "kitty", (10, 20)))
    assert tile.columns == kitty.MOST_CELLS == len(set(kitty.DIACRITICS)) == 268


def test_sixels_are_the_picture_but_for_its_number_of_colours(photograph: Path) -> None:
    tile = TileCache().load(str(photograph), Drawing(32, 40, "sixel", (10, 20)))
    drawn = sixel_picture(tile.drawn_over)
    assert drawn.size == (320, 198)  # ten rows of 20, cut to whole bands of six
    wanted = Image.open(photograph).crop((0, 0, 320, 198))
    error = np.abs(np.asarray(drawn).astype(int) - np.asarray(wanted))
    assert error.mean() < 6
    assert (tile.columns, len(tile.rows)) == (32, 10)  # half blocks lie under it
    assert {c for row in tile.rows for text, _, _ in row for c in text} == {UPPER_HALF}


def test_iterm_gets_the_file_and_the_cells_to_fill(photograph: Path) -> None:
    tile = TileCache().load(str(photograph), Drawing(32, 40, "iterm", (10, 20)))
    keys, image = inline_picture(tile.drawn_over)
    assert (keys["inline"], keys["width"], keys["height"]) == ("1", "32", "10")
    assert image.tobytes() == Image.open(photograph).tobytes()


def test_a_picture_larger_than_its_cells_is_sent_no_larger_than_it_is_seen(
    photograph: Path,
) -> None:
    tile = TileCache().load(str(photograph), Drawing(16, 5, "kitty", (10, 20)))
    (kept,) = kitty_pictures(tile.sent_before).values()
    assert kept.image.size == (160, 100)


class RecordingApp(CascadeApp):
    """Keeps what it sends to the terminal besides textual's frames."""

    CSS_PATH = Path(cascade_tui.__file__).with_name("app.tcss")

    def __init__(self, pictures: Setting) -> None:
        super().__init__(
            run_directory=write_run(Path("shiba-lora"), "finished").root, pictures=pictures
        )
        self.sent: list[str] = []

    def send(self, sequence: str) -> None:
        """Keep it."""
        self.sent.append(sequence)

    @property
    def pictures(self) -> set[int]:
        """The numbers of the pictures that the terminal keeps."""
        return set(kitty_pictures("".join(self.sent)))


@pytest.fixture
def _terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal with all colours, about which nothing else is known."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "TMUX", "STY", "ZELLIJ", "TERM_PROGRAM", "KITTY_WINDOW_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")


async def _gallery(pilot: Pilot[int]) -> PictureGrid:
    await pilot.press("4")
    await until(pilot, lambda: isinstance(pilot.app.screen, GalleryScreen))
    screen = pilot.app.screen
    await until(pilot, lambda: screen.query(PictureGrid) and screen.query_one(PictureGrid)._cells)
    grid = screen.query_one(PictureGrid)
    await until(pilot, lambda: grid._tiles and "reading…" not in grid.plain)
    return grid


async def _picture(pilot: Pilot[int]) -> PictureView:
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, PictureScreen))
    view = pilot.app.screen.query_one(PictureView)
    await until(pilot, lambda: view._tile.rows)
    return view


def _cells(widget: PictureGrid | PictureView) -> str:
    return "".join(widget.render_line(y).text for y in range(widget.size.height))


@pytest.mark.usefixtures("_terminal")
async def test_kitty_keeps_pictures_while_they_are_shown_and_none_afterwards() -> None:
    app = RecordingApp("kitty")
    async with app.run_test(size=(80, 24)) as pilot:
        grid = await _gallery(pilot)
        num_shown = len([p for row in grid._cells for _, p in row if p is not None])
        assert len(app.pictures) >= num_shown > 1
        assert placeholder_cells(_cells(grid))
        assert UPPER_HALF not in grid.plain
        in_grid = app.pictures

        view = await _picture(pilot)
        number = view._tile.image_id
        assert app.pictures == in_grid | {number}
        assert len(placeholder_cells(_cells(view))) == view._tile.columns * len(view._tile.rows)

        await pilot.press("p")  # half blocks
        await until(pilot, lambda: UPPER_HALF in _cells(view))
        await until(pilot, lambda: not app.pictures)
        await pilot.press("p")  # pixels
        await until(pilot, lambda: number in app.pictures)
        app.app_resume_signal.publish(app)  # the terminal was lent to an editor
        times = "".join(app.sent).count(f"i={number},c=")
        await until(pilot, lambda: "".join(app.sent).count(f"i={number},c=") == times + 1)
        await pilot.resize_terminal(100, 40)
        await until(pilot, lambda: view._tile.image_id not in (0, number))
        assert number not in app.pictures

        await pilot.press("y")
        assert app.clipboard.endswith("portrait-42.png")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is grid.screen)
        await until(pilot, lambda: view._tile.image_id not in app.pictures)
        await until(pilot, lambda: app.pictures)
        await pilot.press("q")
    assert not app.pictures


@pytest.mark.usefixtures("_terminal")
@pytest.mark.parametrize("way", ["sixel", "iterm"])
async def test_pixels_lie_over_the_large_picture_and_over_nothing_else(way: Setting) -> None:
    app = RecordingApp(way)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        grid = await _gallery(pilot)
        assert UPPER_HALF in grid.plain
        assert not app.sent
        view = await _picture(pilot)
        await until(pilot, lambda: app.sent)
        placed = re.fullmatch(r"\x1b7\x1b\[(\d+);(\d+)H(.*)\x1b8", app.sent[-1], re.DOTALL)
        assert placed is not None
        assert placed[3] == view._tile.drawn_over
        row, column = int(placed[1]) - 1 - view.region.y, int(placed[2]) - 1
        assert view.render_line(row).text[column] == UPPER_HALF
        assert view.render_line(row - 1).text.strip() == ""
        assert view.render_line(row).text[:column].strip() == ""

        app.notify("a toast lies above", timeout=600)
        await until(pilot, lambda: app.screen.query("Toast"))
        num_sent = len(app.sent)
        view._draw_over()
        assert len(app.sent) == num_sent
        app.clear_notifications()
        await until(pilot, lambda: len(app.sent) > num_sent)  # drawn again

        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        num_sent = len(app.sent)
        view._draw_over()
        assert len(app.sent) == num_sent  # help lies above
        await pilot.press("escape")
        await until(pilot, lambda: len(app.sent) > num_sent)  # drawn again
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is grid.screen)


@pytest.mark.usefixtures("_terminal")
async def test_in_tmux_nothing_is_sent_whatever_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TMUX", "/tmp/tmux,1,0")
    app = RecordingApp("kitty")
    async with app.run_test(size=(80, 24)) as pilot:
        assert "in tmux pictures are half blocks" in [n.message for n in app._notifications]
        grid = await _gallery(pilot)
        assert "p" not in app.screen.active_bindings
        await pilot.press("p")
        view = await _picture(pilot)
        assert UPPER_HALF in _cells(view)
        assert UPPER_HALF in grid.plain
    assert not app.sent


@pytest.mark.usefixtures("_terminal")
async def test_pictures_can_be_left_out() -> None:
    app = RecordingApp("off")
    async with app.run_test(size=(80, 24)) as pilot:
        grid = await _gallery(pilot)
        assert "pictures are off" in grid.plain
        assert UPPER_HALF not in grid.plain
    assert not app.sent


def test_the_real_app_writes_whole_sequences_between_whole_frames(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", "finished")
    pid, terminal = pty.fork()
    if pid == 0:
        for name in ("NO_COLOR", "TMUX", "STY", "ZELLIJ", "COLORTERM"):
            os.environ.pop(name, None)
        os.environ |= KITTY
        os.execv(sys.executable, [sys.executable, "-m", "cascade_tui", str(run.root)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 720, 432))
    output = read_until(terminal, kitty.PLACEHOLDER.encode())
    os.write(terminal, b"\r")  # a picture in full size
    output += read_until(terminal, b"seed 42")
    output += read_until(terminal, kitty.PLACEHOLDER.encode())
    os.kill(pid, signal.SIGTERM)
    output += read_until(terminal, b"\x1b[?1049l")
    os.waitpid(pid, 0)
    os.close(terminal)
    text = output.decode()
    assert "a=T,U=1" in text
    assert not kitty_pictures(text)  # what came is whole, and was taken away again
    outside = re.sub(r"\x1b_G.*?\x1b\\", "", text, flags=re.DOTALL)
    assert "\x1b_" not in outside
    large = re.findall(r"i=(\d+),c=(\d+),r=(\d+)", text)[-1]
    assert int(large[1]) * 9 == pytest.approx(int(large[2]) * 18, abs=18)  # square, in pixels
    colours = {
        int(r) << 16 | int(g) << 8 | int(b)
        for r, g, b in re.findall(rf"38;2;(\d+);(\d+);(\d+)[;\dm]*{kitty.PLACEHOLDER}", outside)
    }
    assert int(large[0]) in colours
