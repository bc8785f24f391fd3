"""The list of fields draws what is in view, and cuts nothing off unmarked."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app
from form_project import WRONG, write_project
from rich.cells import cell_len

from cascade_tui.field_text import shown_value, typed_value
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.glyphs import fit
from engine.config.fields import OPTIONS


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.mark.parametrize("width", [1, 2, 5, 10, 40])
@pytest.mark.parametrize("text", ["", "short", "a long text that goes on", "写真写真写真写真"])
def test_text_takes_exactly_its_cells_and_an_ellipsis_marks_what_is_cut(text: str, width: int):
    fitted = fit(text, width)
    assert cell_len(fitted) == width
    assert ("…" in fitted) == (cell_len(text) > width)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("learning_rate", "1e-4", 1e-4),
        ("learning_rate", ".5", 0.5),
        ("max_train_steps", "1_000", 1000),
        ("max_train_steps", "", None),
        ("max_train_steps", "many", "many"),
        ("use_ema", "True", True),
        ("report_to", "wandb, tensorboard", ["wandb", "tensorboard"]),
        ("validation_resolution", "768", 768),
        ("validation_negative_prompt", "", ""),
        ("validation_prompt", "12", "12"),
    ],
)
def test_typed_text_becomes_the_value_that_it_stands_for(key: str, text: str, value: object):
    typed = typed_value(OPTIONS[key], text)
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize("value", [1e-4, 5e-5, 1.5e-7, 0.05, 0.999, 1.0, 4.0, 1e-8, 0.00015, 0.0])
def test_a_shown_number_reads_back_as_itself(value: float):
    assert float(shown_value(value)) == value


async def test_problems_and_changes_have_signs_besides_colour():
    async with open_app(write_project(Path(), WRONG)).run_test(size=(120, 36)) as pilot:
        form = await checked_form(pilot)
        fields = form.query_one(FieldList)
        await go_to(pilot, "mixed_precision")
        line = fields.render_line(fields.value_region().y).text
        assert line.startswith("✖ • mixed_precision")


async def test_the_cursor_is_always_in_view_and_on_a_field():
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        fields = form.query_one(FieldList)
        for key in ["pagedown"] * 9 + ["G"] + ["h"] * 4 + ["pageup"] * 9 + ["k", "l", "j", "g"]:
            await pilot.press(key)
            assert fields.field is not None
            assert 0 <= fields.value_region().y < fields.size.height


async def test_a_click_moves_the_cursor_and_a_double_click_edits():
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        form = await checked_form(pilot)
        fields = form.query_one(FieldList)
        await pilot.click(FieldList, offset=(10, 6))
        assert fields.value_region().y == 6
        await pilot.click(FieldList, offset=(10, 6), times=2)
        assert form.query_one("#editor").display


async def test_only_lines_in_view_are_drawn(monkeypatch: pytest.MonkeyPatch):
    drawn: list[int] = []
    render_line = FieldList.render_line

    def noted(self: FieldList, y: int):
        drawn.append(y)
        return render_line(self, y)

    monkeypatch.setattr(FieldList, "render_line", noted)
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        await checked_form(pilot)
        drawn.clear()
        await pilot.press("j")
        await pilot.pause()
        assert drawn
        assert max(drawn) < 24
