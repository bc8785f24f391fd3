"""`cascade-tui plot`: what is drawn, where it goes, and that it says when there is nothing."""

from __future__ import annotations

import io
import math
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from cascade_tui.cli import main
from cascade_tui.plots.data import line_of, read_run
from cascade_tui.plots.text_chart import Look, text_chart
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import emit_step, write_run

ROOT = Path(__file__).parents[2]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunDirectory:
    """A finished run of 500 steps, one loss of which is NaN."""
    return write_run(tmp_path_factory.mktemp("plot") / "shiba", "finished")


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> RunDirectory:
    """A run of 100 steps that went back to step 40 once, and a validation loss."""
    directory = RunDirectory(tmp_path_factory.mktemp("plot") / "a <b> & c")
    directory.root.mkdir()
    with EventWriter(directory.events) as writer:
        for step in range(1, 61):
            emit_step(writer, step, 9.0 if step > 40 else 0.5)
        writer.emit("rewind", step=40)
        for step in range(41, 101):
            emit_step(writer, step, 0.5 / step)
        for step in (20, 40, 60):
            writer.emit("validation", step=step, loss=1.0 / step)
    return directory


def drawn(capsys, *arguments: object) -> str:
    """What a plot prints."""
    assert main(["plot", *map(str, arguments)]) == 0
    return str(capsys.readouterr().out)


def test_in_characters_it_has_the_asked_size_and_no_colour_in_a_pipe(run, capsys):
    lines = drawn(capsys, run.root, "--width", 60, "--height", 12).splitlines()
    assert len(lines) == 12
    assert max(map(len, lines)) <= 60
    assert lines[0] == "loss"
    assert lines[-2].split() == ["0", "250", "500"]
    assert lines[-1].startswith("shiba: last 0.0")
    assert "×" in lines[-3], "the step that was NaN"
    assert any(0x2800 < ord(character) <= 0x28FF for line in lines for character in line)
    assert "\x1b" not in "".join(lines)


def test_colours_set_the_line_off_from_its_band_which_is_not_drawn_without(run):
    line = line_of(read_run(run), "loss", "shiba")
    plain = text_chart("loss", [line], Look(60, 12))
    colored = text_chart("loss", [line], Look(60, 12, has_color=True))
    assert {"\x1b[36m", "\x1b[2m"} <= set(re.findall(r"\x1b\[\d+m", colored))
    removed = re.sub(r"\x1b\[\d+m", "", colored)
    assert [len(text.splitlines()) for text in (plain, removed)] == [12, 12]
    dots = [sum(character > "\u2800" for character in text) for text in (plain, removed)]
    assert dots[0] < dots[1]


def test_without_unicode_it_is_ascii_and_the_name_too(other, capsys, monkeypatch):
    monkeypatch.setenv("CASCADE_TUI_ASCII", "1")
    assert drawn(capsys, other.root).isascii()
    renamed = other.root.with_name("größe-" * 20)
    other.root.rename(renamed)
    text = drawn(capsys, renamed, "--width", 40)
    renamed.rename(other.root)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 40


def test_several_runs_are_told_apart_by_letters(run, other, capsys):
    lines = drawn(capsys, run.root, other.root, "--log").splitlines()
    assert lines[0] == "loss (log)"
    assert lines[-2].startswith("A shiba: last ")
    assert lines[-1].startswith("B a <b> & c: last 0.005, lowest 0.005")
    plotted = "\n".join(lines[1:-2])
    assert "A" in plotted
    assert "B" in plotted


@pytest.mark.parametrize("metric", ["lr", "grad_norm", "images_per_second", "validation"])
def test_every_metric_is_drawn(metric, other, capsys):
    assert "a <b> & c: last " in drawn(capsys, other.root, "--metric", metric)


def test_an_svg_is_whole_xml_that_refers_to_nothing_outside(run, other, tmp_path):
    target = tmp_path / "curve.svg"
    assert main(["plot", str(other.root), str(run.root), "--to", str(target)]) == 0
    text = target.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|url\(|href|<script", text)
    svg = ElementTree.fromstring(text)
    assert (svg.get("width"), svg.get("height")) == ("960", "480")
    words = [element.text for element in svg.iter(f"{SVG}text")]
    assert any("a <b> & c: last" in (word or "") for word in words)
    lines = [e for e in svg.iter(f"{SVG}path") if e.get("class", "").startswith("chart-line ")]
    assert len(lines) == 4, "two curves, and two in the legend"


def test_every_point_of_an_svg_is_within_its_frame_on_a_logarithmic_axis_too(run, capsys):
    svg = drawn(capsys, run.root, "--to", "svg", "--log", "--smoothing", 0.9, "--width", 400)
    assert "nan" not in svg
    assert "inf" not in svg
    paths = re.findall(r'<path class="chart-(?:band|line)[^>]* d="([^"]*)"', svg)
    points = [
        tuple(map(float, p.split()))
        for path in paths
        for p in re.split("[MLZ]", path)
        if " " in p and "h" not in p
    ]
    assert len(points) > 300
    assert all(60 <= x <= 385 and 30 <= y <= 440 for x, y in points)


def test_a_value_that_is_not_finite_breaks_the_line_and_is_marked(run, capsys):
    svg = drawn(capsys, run.root, "--to", "svg", "--width", 1200)
    [line] = re.findall(r'<path class="chart-line [^>]* d="(M[^"h]*)"', svg)
    assert line.count("M") == 2
    assert svg.count('class="chart-gap"') == 1


def test_few_values_have_dots(other, capsys):
    svg = drawn(capsys, other.root, "--to", "svg", "--metric", "validation")
    assert svg.count("<circle") == 3


def test_a_png_has_twice_the_asked_size(run, tmp_path):
    pytest.importorskip("cairosvg")
    target = tmp_path / "curve.png"
    arguments = ["--to", str(target), "--width", "300", "--height", "200"]
    assert main(["plot", str(run.root), *arguments]) == 0
    assert Image.open(io.BytesIO(target.read_bytes())).size == (600, 400)


def test_a_png_without_cairosvg_names_the_command_that_helps(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cairosvg", None)  # as if it were not installed
    assert main(["plot", str(run.root), "--to", str(tmp_path / "curve.png")]) == 2
    assert "pip install cairosvg" in capsys.readouterr().err
    assert not (tmp_path / "curve.png").exists()


def test_nothing_to_draw_and_an_unknown_kind_of_file_are_told(run, tmp_path, capsys):
    assert main(["plot", str(run.root), "--metric", "validation"]) == 2
    told = "has no value of validation yet (there: loss, lr, grad_norm, images_per_second)"
    assert told in capsys.readouterr().err
    assert main(["plot", str(run.root), "--to", str(tmp_path / "curve.pdf")]) == 2
    assert "a file .svg, .png or .txt" in capsys.readouterr().err


def test_smoothing_is_from_value_to_value_whatever_the_width(tmp_path):
    directory = RunDirectory(tmp_path)
    with EventWriter(directory.events) as writer:
        for step, loss in enumerate([1.0, 0.0, math.nan, 0.0], start=1):
            emit_step(writer, step, loss)
    line = line_of(read_run(directory), "loss", "run", 0.5)
    assert line.smoothed.values().tolist()[:2] == [1.0, 0.5]
    assert math.isnan(line.smoothed.values()[2])
    assert line.smoothed.values()[3] == 0.25


def test_it_loads_neither_textual_nor_torch_nor_pydantic(run):
    script = (
        "import sys\nfrom cascade_tui.cli import main\nmain(sys.argv[1:])\n"
        "heavy = {'torch', 'textual', 'pydantic', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", script, "plot", str(run.root), "--to", "svg"]
    result = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


@pytest.mark.parametrize(
    "losses", [[0.5], [0.0, 0.0], [-5.0, 5.0], [1e300, 1e-300], [1e308, -1e308], [math.nan, 1.0]]
)
@pytest.mark.parametrize("log", [[], ["--log"]])
def test_any_finite_values_can_be_drawn_in_the_least_space(losses, log, tmp_path, capsys):
    with EventWriter(RunDirectory(tmp_path).events) as writer:
        for step, loss in enumerate(losses, start=1):
            emit_step(writer, step, loss)
    least = ["--width", "1", "--height", "1", *log]
    assert len(drawn(capsys, tmp_path, *least).splitlines()) == 5
    svg = drawn(capsys, tmp_path, "--to", "svg", *least)
    assert ElementTree.fromstring(svg).get("width") == "160"
    assert not re.search(r"\b(nan|inf)\b", svg)
