"""Rows: which cells are sent again."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.strip import Strip

from cascade_tui.widgets.rows import RowWidget, changed_spans

RED = Style(color="red")


def strip(text: str, style: Style | None = None) -> Strip:
    return Strip([Segment(text, style)])


class Words(RowWidget):
    """A line a row."""

    lines: tuple[str, ...] = ()

    def make_rows(self, width: int, height: int) -> list[Strip]:
        return [strip(line) for line in self.lines]


class WordsApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.words = Words()

    def compose(self) -> ComposeResult:
        yield self.words


@pytest.mark.parametrize(
    ("before", "after", "spans"),
    [
        ("step 1 of 9", "step 1 of 9", []),
        ("step 1 of 9", "step 2 of 9", [(5, 6)]),
        ("a.b.c", "x.b.y", [(0, 5)]),
        ("a" + "." * 20 + "a", "b" + "." * 20 + "b", [(0, 1), (21, 22)]),
        ("ab世d", "ab界d", [(2, 4)]),
        ("ab世d", "abxyd", [(2, 4)]),
        ("abxyd", "ab世d", [(2, 4)]),
    ],
)
def test_only_the_cells_that_differ_are_spanned(
    before: str, after: str, spans: list[tuple[int, int]]
) -> None:
    assert changed_spans(strip(before), strip(after)) == spans


def test_another_style_is_a_change() -> None:
    assert changed_spans(strip("ab"), Strip([Segment("a"), Segment("b", RED)])) == [(1, 2)]


def test_spans_begin_and_end_at_whole_characters_and_cover_every_change() -> None:
    draw = random.Random(5)
    for _ in range(300):
        old, new = ("".join(draw.choices("ab 世é", k=12)) for _ in range(2))
        width = max(cell_len(old), cell_len(new))
        before, after = (strip(text).adjust_cell_length(width) for text in (old, new))
        spans = changed_spans(before, after)
        cuts = sorted({cut for span in spans for cut in span} | {0, width})
        pieces = [after.crop(a, b).text for a, b in pairwise(cuts)]
        assert "".join(pieces) == after.text


async def test_a_redraw_sends_the_changed_cells_of_the_changed_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = WordsApp()
    async with app.run_test(size=(20, 3)) as pilot:
        app.words.lines = ("loss 1", "same", "loss 2")
        app.words.redraw()
        await pilot.pause()
        sent: list[Region] = []
        monkeypatch.setattr(app.words, "refresh", lambda *regions, **_: sent.extend(regions))
        app.words.redraw()
        assert sent == []
        app.words.lines = ("loss 1", "same", "loss 3")
        app.words.redraw()
        assert sent == [Region(5, 2, 1, 1)]
        assert app.words.plain == "loss 1\nsame\nloss 3"


async def test_rows_are_as_wide_and_as_many_as_the_widget() -> None:
    app = WordsApp()
    async with app.run_test(size=(8, 3)):
        app.words.lines = ("a line that is too long", "short", "x", "one too many")
        app.words.redraw()
        assert [app.words.render_line(y).cell_length for y in range(3)] == [8, 8, 8]
        assert app.words.plain == "a line t\nshort\nx"
