"""Which steps charts show."""

from cascade_tui.widgets.chart_window import ChartWindow


def test_closer_and_further_come_back_to_all_steps():
    window = ChartWindow()
    assert window.bounds(1000) == (0, 1000)
    closer = window.zoomed(1, 1000).zoomed(1, 1000)
    assert closer.bounds(1000) == (750, 1000)
    assert closer.zoomed(-1, 1000).zoomed(-1, 1000).is_whole


def test_at_its_end_a_window_goes_with_the_run_and_elsewhere_it_stays():
    at_end = ChartWindow().zoomed(1, 1000)
    assert at_end.bounds(1200) == (700, 1200)
    elsewhere = ChartWindow().zoomed(1, 1000, at=100)
    assert elsewhere.bounds(1000) == elsewhere.bounds(5000) == (50, 550)


def test_what_is_pointed_at_stays_where_it_is_when_zooming():
    window = ChartWindow().pointed(400).zoomed(1, 1000)
    first, last = window.bounds(1000)
    assert (400 - first) / (last - first) == 0.4
    assert window.crosshair == 400


def test_panning_stops_at_both_ends():
    window = ChartWindow().zoomed(1, 1000, at=500)
    for _ in range(10):
        window = window.panned(-1, 1000)
    assert window.bounds(1000) == (0, 500)
    for _ in range(10):
        window = window.panned(1, 1000)
    assert window.bounds(1000) == (500, 1000)
    assert ChartWindow().panned(1, 1000).is_whole


def test_it_moves_no_further_than_the_step_that_is_asked_for():
    window = ChartWindow(100, 200)
    assert window.showing(150, 1000) == window
    assert window.showing(250, 1000).bounds(1000) == (150, 250)
    assert window.showing(50, 1000).bounds(1000) == (50, 150)


def test_it_never_shows_less_than_a_few_steps():
    window = ChartWindow()
    for _ in range(40):
        window = window.zoomed(1, 100_000, at=500)
    first, last = window.bounds(100_000)
    assert last - first == 8
