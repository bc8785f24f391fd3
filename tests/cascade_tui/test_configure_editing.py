"""Editing in place: nothing typed is lost, nothing unchanged is rewritten, nothing crashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import CONFIG, write_json_project, write_project
from textual.pilot import Pilot
from textual.widgets import Input

from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.confirm import Confirm
from cascade_tui.widgets.field_editor import FieldEditor
from cascade_tui.widgets.field_list import FieldList
from cascade_tui.widgets.problem_detail import ProblemDetail
from cascade_tui.widgets.verdict import Verdict

SIZE = (120, 36)
PROMPT = '"a red barn in the snow"'
LONG = "x" * 5000


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _editor(form: ConfigureScreen) -> FieldEditor:
    return form.query_one(FieldEditor)


async def test_tab_takes_what_was_typed_and_goes_to_the_next_field():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter", "backspace", "2", "tab")
        await until(pilot, lambda: isinstance(form.focused, FieldList))
        assert not _editor(form).display
        assert form.draft.document.get("lora_rank") == 12
        field = form.query_one(FieldList).field
        assert field is not None
        assert field.key == "lora_alpha"


async def test_a_click_elsewhere_takes_what_was_typed():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter", "backspace", "2")
        await pilot.click(FieldList, offset=(10, 2))
        await until(pilot, lambda: not _editor(form).display)
        assert form.draft.document.get("lora_rank") == 12


async def test_leaving_a_list_of_choices_takes_none():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "snr_weighting")
        await pilot.press("enter", "down", "tab")
        await until(pilot, lambda: not _editor(form).display)
        assert form.draft.document.text() == CONFIG


async def test_the_editor_stays_on_its_field_when_the_terminal_changes_size_or_the_list_scrolls():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        editor, fields = _editor(form), form.query_one(FieldList)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter")

        def is_in_place() -> bool:
            return editor.region.offset - fields.region.offset == fields.value_region().offset

        await until(pilot, is_in_place)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: fields.size.width == 80 and is_in_place())
        fields.scroll_relative(y=1, animate=False, immediate=True)
        await until(pilot, is_in_place)
        assert editor.display
        fields.scroll_home(animate=False, immediate=True)  # its field is out of view now
        await until(pilot, lambda: not editor.display)
        assert not form.draft.is_changed


@pytest.mark.parametrize(
    "prompt", ['"""two\nlines\tand a tab"""', '"blanks at the end  "', '"\\u001b[2J \\u202e"', "12"]
)
async def test_enter_on_what_was_not_changed_leaves_the_file_as_it_is(prompt: str):
    config = CONFIG.replace(PROMPT, prompt)
    async with open_app(write_project(Path(), config)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "validation_prompts[barn]")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: not _editor(form).display)
        assert form.draft.document.text() == config


async def test_a_prompt_of_several_lines_keeps_them_when_it_is_edited():
    config = CONFIG.replace(PROMPT, '"""a red\nbarn"""')
    async with open_app(write_project(Path(), config)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "validation_prompts[barn]")
        await pilot.press("enter")
        assert _editor(form).query_one(Input).value == "a red␊barn"
        await pilot.press("s", "enter")
        await until(pilot, lambda: form.draft.is_changed)
        assert form.draft.document.get("validation_prompts") == {"barn": "a red\nbarns"}


async def test_no_control_character_of_a_value_reaches_the_terminal():
    config = CONFIG.replace(PROMPT, '"\\u001b[2Jsnow\\u009b1m\\u202e"')
    async with open_app(write_project(Path(), config)).run_test(size=(200, 50)) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "validation_prompts[barn]")
        fields = form.query_one(FieldList)
        line = fields.render_line(fields.value_region().y).text
        assert "␛[2Jsnow�1m�" in line
        await pilot.press("enter")
        assert _editor(form).query_one(Input).value == "␛[2Jsnow�1m�"


async def test_ctrl_r_does_an_undone_edit_again():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space", "u", "ctrl+r")
        assert form.draft.document.get("use_ema") is True


async def test_reading_the_file_again_asks_before_edits_are_lost():
    app = open_app(write_project(Path()))
    async with app.run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space", "R")
        assert isinstance(app.screen, Confirm)
        await pilot.press("n")
        assert form.draft.document.get("use_ema") is True
        await pilot.press("R", "y")
        await until(pilot, lambda: app.configure is not form)
        form = await checked_form(pilot)
        assert form.draft.document.text() == CONFIG


@pytest.mark.parametrize(
    "junk",
    ["[" * 100_000, "²", "٣", "9" * 5000, "nan", '{"a": [1]}'],
    ids=["nested", "superscript", "arabic", "long", "nan", "object"],
)
@pytest.mark.parametrize("key", ["max_train_steps", "learning_rate", "validation_resolution"])
async def test_no_text_that_is_pasted_into_a_number_breaks_the_form(key: str, junk: str):
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, key)
        await pilot.press("enter")
        _editor(form).query_one(Input).value = junk
        await pilot.press("enter")
        await checked_form(pilot)


@pytest.mark.parametrize(
    "odd", ["[odd]\nwhen = 2024-01-01\n", "[[odd]]\nat = 07:32:00\n", "[odd.deep]\nx = nan\n"]
)
async def test_values_of_any_toml_kind_can_be_shown(odd: str):
    async with open_app(write_project(Path(), CONFIG + odd)).run_test(size=(200, 50)) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "odd")
        assert form.query_one(ProblemDetail).plain.startswith("odd")


@pytest.mark.parametrize("key", ["output_dir", "init_lora", "data_backend_config"])
async def test_a_path_that_is_too_long_is_told_and_not_launched(key: str):
    app = open_app(write_json_project(Path()))
    async with app.run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, key)
        await pilot.press("enter")
        _editor(form).query_one(Input).value = LONG
        await pilot.press("enter")
        form = await checked_form(pilot)
        verdict = str(form.query_one(Verdict).render())
        assert verdict.startswith("✖")
        await pilot.press("3", "L")
        await checked_form(pilot) if app.screen is form else None
        assert not Path("run").exists()


async def test_a_long_explanation_says_how_much_is_below_and_scrolls():
    config = CONFIG.replace(PROMPT, f'"{"snow " * 200}"')
    async with open_app(write_project(Path(), config)).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "mixed_precision")
        detail = form.query_one(ProblemDetail)
        first = detail.plain.splitlines()
        assert "more lines" in first[-1]
        await pilot.press("J", "J", "J")
        assert "more lines" not in detail.plain
        await pilot.press("K", "K", "K")
        assert detail.plain.splitlines() == first


def _picture(pilot: Pilot[int]) -> list[str]:
    """The texts that are shown, from top to bottom."""
    return re.findall(r"<text[^>]*>([^<]*)<", pilot.app.export_screenshot())


async def test_after_edits_the_screen_is_as_if_it_was_drawn_anew():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "train_batch_size")
        for keys in (("enter", "x", "enter"), ("down", "down", "space"), ("up", "D"), ("u", "u")):
            await pilot.press(*keys)
            form = await checked_form(pilot)
            drawn = _picture(pilot)
            for widget in form.query("*"):
                widget.refresh()
            await pilot.pause()
            assert _picture(pilot) == drawn
