"""The line chart: what it draws, and what it sends again."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from textual.app import App, ComposeResult

from cascade_tui.follow.metrics import Series
from cascade_tui.widgets.braille import DotGrid, ascii_mark, braille
from cascade_tui.widgets.chart_axis import fit_axis, format_value, round_up_steps, tick_labels
from cascade_tui.widgets.glyphs import needs_ascii
from cascade_tui.widgets.line_chart import LineChart, Overlay


class ChartApp(App[None]):
    """One chart on the whole screen, without a frame."""

    def __init__(self, **options: object) -> None:
        super().__init__()
        self.chart = LineChart("loss", **{"is_ascii": False, "is_framed": False, **options})

    def compose(self) -> ComposeResult:
        yield self.chart


def series_of(values: list[float]) -> Series:
    series = Series()
    for step, value in enumerate(values, start=1):
        series.append(step, value)
    return series


def text_of(chart: LineChart) -> list[str]:
    return [chart.render_line(y).text.rstrip() for y in range(chart.size.height)]


async def test_a_straight_line_is_drawn_as_a_straight_line() -> None:
    app = ChartApp(has_band=False)
    async with app.run_test(size=(20, 5)):
        app.chart.show(series_of([float(value) for value in range(1, 11)]))
        assert text_of(app.chart) == [
            "     10┤         ⣠⠔⠉",
            "       │      ⢠⠔⠊",
            "       │  ⢀⠤⠒⠉⠁",
            "      0┤ ⠜⠁",
            "        0         10",
        ]


async def test_a_value_that_is_not_finite_leaves_a_marked_gap() -> None:
    app = ChartApp()
    values = [1.0] * 4 + [math.nan] * 2 + [2.0] * 4
    async with app.run_test(size=(30, 6)):
        app.chart.show(series_of(values))
        rows = text_of(app.chart)
        assert "×" in rows[4]
        position = rows[4].index("×")
        assert all(len(row) <= position or row[position] == " " for row in rows[:4])


async def test_an_extreme_among_many_steps_is_drawn() -> None:
    series = series_of([1.0] * 20_000 + [9.0] + [1.0] * 20_000)
    app = ChartApp()
    async with app.run_test(size=(60, 10)):
        app.chart.show(series)
        assert text_of(app.chart)[0][8:].strip()


async def test_only_changed_rows_are_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    app = ChartApp(has_band=False)
    async with app.run_test(size=(40, 12)) as pilot:
        series = series_of([1.0, 2.0] * 20 + [1.0])
        app.chart.show(series, 50)
        await pilot.pause()
        sent: list[int] = []
        monkeypatch.setattr(
            app.chart, "refresh", lambda *regions, **_: sent.extend(r.y for r in regions)
        )
        app.chart.show(series, 50)
        assert sent == []
        series.append(42, 1.0)
        app.chart.show(series, 50)
        assert 0 < len(sent) < 4


async def test_without_values_it_says_so() -> None:
    app = ChartApp(empty="no step yet")
    async with app.run_test(size=(20, 5)):
        app.chart.show(Series())
        assert text_of(app.chart)[2].strip() == "no step yet"


async def test_a_series_of_nan_alone_is_no_error() -> None:
    app = ChartApp()
    async with app.run_test(size=(30, 5)):
        app.chart.show(series_of([math.nan, math.inf]))
        assert "only NaN or inf so far" in text_of(app.chart)[2]


async def test_ascii_marks_stand_in_where_there_is_no_utf8() -> None:
    app = ChartApp(is_ascii=True, is_framed=True)
    async with app.run_test(size=(30, 8)):
        app.chart.show(series_of([float(value) for value in range(20)]))
        assert app.chart.plain.isascii()


@pytest.mark.parametrize("size", [(1, 1), (9, 2), (20, 5), (300, 90)])
@pytest.mark.parametrize("is_log", [False, True])
async def test_any_size_is_drawn(size: tuple[int, int], is_log: bool) -> None:
    app = ChartApp(is_log=is_log)
    async with app.run_test(size=size):
        app.chart.show(series_of([0.0, -1.0, 3.0, 1e-9, 1e9]))
        assert all(app.chart.render_line(y).cell_length == size[0] for y in range(size[1]))


def test_dots_are_where_unicode_puts_them() -> None:
    grid = DotGrid(2, 1)
    grid.draw_verticals(np.array([0, 3]), np.array([0, 3]), np.array([3, 3]))
    assert [braille(int(pattern)) for pattern in grid.cells()[0]] == ["⡇", "⢀"]
    assert [ascii_mark(int(pattern)) for pattern in grid.cells()[0]] == ["|", "."]


def test_a_value_that_differs_by_rounding_alone_has_an_axis_with_room_around_it():
    for value in (1e-4, 3.0, -1e-4):
        axis = fit_axis(value, math.nextafter(value, math.inf))
        assert axis.high - axis.low > abs(value) / 10
        assert len(tick_labels(axis, 8)) >= 2


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.0312, 0.377), (-5.0, 3.0), (2.0, 2.0)])
@pytest.mark.parametrize("num_rows", [1, 2, 4, 9, 40])
def test_tick_labels_are_all_different_and_within_the_chart(
    low: float, high: float, num_rows: int
) -> None:
    axis = fit_axis(low, high)
    assert axis.low <= low <= high <= axis.high
    labels = tick_labels(axis, num_rows)
    assert len(set(labels.values())) == len(labels) >= 1
    assert all(0 <= row < num_rows for row in labels)


def test_log_ticks_are_powers_of_ten() -> None:
    labels = tick_labels(fit_axis(0.001, 1.0, is_log=True), 13)
    assert labels == {12: "0.001", 8: "0.01", 4: "0.1", 0: "1"}


@pytest.mark.parametrize("value", [0.0, 1e-4, 0.0312, 1.0, 99_999.0, 1e12, -3.2e-7, -12345.6])
def test_values_fit_beside_the_axis(value: float) -> None:
    assert len(format_value(value)) <= 7


def test_the_step_axis_grows_rarely() -> None:
    ends = {round_up_steps(step) for step in range(1, 100_001)}
    assert all(round_up_steps(step) >= step for step in range(1, 100_001))
    assert len(ends) < 50


async def test_an_overlay_is_told_by_its_letter_and_named_in_the_legend() -> None:
    app = ChartApp(is_framed=True)
    async with app.run_test(size=(60, 12)):
        falling = [2.0 - value / 20 for value in range(40)]
        overlay = Overlay("V", "validation", series_of([0.5] * 40))
        app.chart.show(series_of(falling), overlays=[overlay])
        legend, *plot = app.chart.plain.splitlines()
        assert "loss · V validation" in legend
        assert any("V" in row for row in plot)
        app.chart.show(series_of(falling), overlays=[Overlay("V", "validation", Series())])
        assert "V" not in app.chart.plain


@pytest.mark.parametrize(
    ("width", "expected"),
    [(80, "loss · 1 clear · 2 hazy · 3 noisy"), (34, "loss: 1 clear … 3 noisy")],
)
async def test_a_legend_without_room_names_the_first_and_the_last(
    width: int, expected: str
) -> None:
    app = ChartApp(is_framed=True)
    async with app.run_test(size=(width, 12)):
        names = enumerate(("clear", "hazy", "noisy"), start=1)
        overlays = [Overlay(str(n), name, series_of([0.5] * 40)) for n, name in names]
        app.chart.show(series_of([1.0] * 40), overlays=overlays)
        assert f" {expected} " in app.chart.plain.splitlines()[0]


@pytest.mark.parametrize(("value", "expected"), [("1", True), ("0", False), ("", False)])
def test_a_variable_asks_for_ascii(
    monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setattr("sys.__stderr__", io.TextIOWrapper(io.BytesIO(), encoding="utf-8"))
    monkeypatch.setenv("CASCADE_TUI_ASCII", value)
    assert needs_ascii() is expected


def test_another_encoding_than_utf8_asks_for_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.__stderr__", io.TextIOWrapper(io.BytesIO(), encoding="latin-1"))
    assert needs_ascii()
