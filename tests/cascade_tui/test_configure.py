"""What the keys of the form do, on real files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, problem_keys, until, write
from form_project import CONFIG, WRONG, write_json_project, write_project
from textual.widgets import Input, Static

from cascade_tui.screens.refused import LaunchRefused
from cascade_tui.screens.unsaved import ChangedUnderneath, UnsavedEdits
from cascade_tui.widgets.field_editor import FieldEditor
from cascade_tui.widgets.field_list import FieldList
from engine.run.launch import is_alive

SIZE = (120, 36)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def test_a_valid_config_is_ready_and_an_edit_is_only_saved_when_asked():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        assert not form.problems
        await go_to(pilot, "max_train_steps")
        await pilot.press("enter", *["backspace"] * 3)
        await write(pilot, "900")
        await pilot.press("enter")
        assert form.draft.document.get("max_train_steps") == 900
        assert path.read_text() == CONFIG
        await pilot.press("w")
        expected = CONFIG.replace("max_train_steps = 400", "max_train_steps = 900")
        assert path.read_text() == expected  # comments, order and spelling as they were


async def test_what_is_typed_is_checked_at_each_keystroke_and_esc_leaves_the_field_alone():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter")
        message = form.query_one(FieldEditor).query_one("#message", Static)
        assert message.has_class("-right")
        await pilot.press("x")
        assert message.has_class("-wrong")
        assert "whole number" in str(message.render())
        await pilot.press("backspace")
        assert message.has_class("-right")
        await pilot.press("escape")
        assert isinstance(pilot.app.focused, FieldList)
        assert not form.draft.is_changed


async def test_space_and_enter_toggle_a_boolean_and_space_cycles_choices():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        assert form.draft.document.get("use_ema") is True
        await pilot.press("enter")
        assert form.draft.document.get("use_ema") is False
        await go_to(pilot, "lora_target")
        await pilot.press("space")
        assert form.draft.document.get("lora_target") == "attention+mlp"


async def test_enter_on_a_choice_opens_the_list_of_those_that_work():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "snr_weighting")
        await pilot.press("enter", "down", "enter")
        assert form.draft.document.get("snr_weighting") == "adaptive"


async def test_an_emptied_field_goes_back_to_its_default():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter", "backspace", "backspace", "enter")
        assert "lora_rank" not in form.draft.document
        await pilot.press("u")
        assert form.draft.document.text() == CONFIG
        await pilot.press("D")
        assert "lora_rank" not in form.draft.document


async def test_search_shows_the_fields_that_match_until_esc():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await pilot.press("slash")
        await write(pilot, "learning_rate")
        await pilot.press("enter")
        shown = form.query_one(FieldList)
        assert shown.field is not None
        assert shown.field.key == "learning_rate"
        assert not shown.go_to("seed")
        await pilot.press("escape")
        assert shown.go_to("seed")
        assert not form.query_one("#search", Input).display


async def test_filters_leave_the_fields_with_problems_or_those_that_were_changed():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        fields = form.query_one(FieldList)
        await pilot.press("P")
        assert not fields.go_to("learning_rate")
        assert fields.go_to("mixed_precision")
        await pilot.press("P", "C")
        assert not fields.go_to("seed")
        assert fields.go_to("max_train_steps")


async def test_a_fix_is_applied_with_one_key_and_undone_and_redone():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "mixed_precision")
        await pilot.press("f")
        assert form.draft.document.get("mixed_precision") == "no"
        form = await checked_form(pilot)
        assert "mixed_precision" not in problem_keys(form)
        await pilot.press("u")
        form = await checked_form(pilot)
        assert "mixed_precision" in problem_keys(form)
        await pilot.press("U")
        form = await checked_form(pilot)
        assert "mixed_precision" not in problem_keys(form)


async def test_every_problem_has_a_line_even_that_of_an_unknown_key():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        assert len(problem_keys(form)) == 4
        for key in problem_keys(form):
            await go_to(pilot, key)
        await go_to(pilot, "learnig_rate_end")
        await pilot.press("D")
        assert "learnig_rate_end" not in form.draft.document


async def test_n_goes_from_problem_to_problem():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        seen = set()
        for _ in problem_keys(form):
            await pilot.press("n")
            field = form.query_one(FieldList).field
            assert field is not None
            seen.add(field.key)
        assert seen == problem_keys(form)


async def test_a_backend_in_its_own_file_is_edited_checked_and_saved_there():
    path = write_json_project(Path())
    config = path.read_text()
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        assert not form.problems
        await go_to(pilot, "data_backend[barns].crop")
        await pilot.press("space")
        await go_to(pilot, "data_backend[barns].instance_data_dir")
        await pilot.press("enter", "x", "enter")
        form = await checked_form(pilot)
        assert problem_keys(form) == {"data_backend[barns].instance_data_dir"}
        await pilot.press("u", "w")
    backends = json.loads(Path("backends.json").read_text())
    assert backends[0] == {"id": "barns", "instance_data_dir": "photographs", "crop": False}
    assert path.read_text() == config


async def test_a_file_changed_underneath_is_not_overwritten_unasked():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        theirs = CONFIG.replace("lora_rank = 16", "lora_rank = 8")
        path.write_text(theirs)
        await pilot.press("w")
        assert isinstance(pilot.app.screen, ChangedUnderneath)
        await pilot.press("escape")
        assert path.read_text() == theirs
        await pilot.press("w", "r")
        form = await checked_form(pilot)
        assert form.draft.document.text() == theirs


async def test_a_file_changed_underneath_is_overwritten_when_asked():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        path.write_text("seed = 1\n")
        await pilot.press("w", "o")
        assert "use_ema = true" in path.read_text()
        assert CONFIG.splitlines()[0] in path.read_text()


async def test_a_config_with_errors_is_not_launched_and_an_error_leads_to_its_field():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchRefused))
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is form)
        field = form.query_one(FieldList).field
        assert field is not None
        assert field.key in problem_keys(form)
        assert not Path("run").exists()


async def test_an_override_is_shown_counts_and_yields_to_an_edit():
    path = write_project(Path())
    async with open_app(path, ("lora_rank=0",)).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        assert problem_keys(form) == {"lora_rank"}
        await go_to(pilot, "lora_rank")
        await pilot.press("enter", "backspace", "8", "enter")
        form = await checked_form(pilot)
        assert not form.problems
        assert form.draft.document.get("lora_rank") == 8


async def test_quitting_with_unsaved_edits_asks_and_can_save():
    path = write_project(Path())
    app = open_app(path)
    async with app.run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space", "q")
        assert isinstance(app.screen, UnsavedEdits)
        await pilot.press("escape")
        assert app.is_running
        await pilot.press("q", "w")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0
    assert "use_ema = true" in path.read_text()


async def test_a_file_changed_underneath_is_read_again_before_a_launch():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        path.write_text(CONFIG.replace("lora_rank = 16", "lora_rank = 8"))
        await pilot.press("L")
        await until(pilot, lambda: pilot.app.screen is not form)
        form = await checked_form(pilot)
        assert form.draft.document.get("lora_rank") == 8
        assert not Path("run").exists()


@pytest.mark.slow
async def test_a_launch_freezes_what_the_form_shows_and_leads_to_the_monitor():
    app = open_app(write_project(Path()))
    async with app.run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        await pilot.press("enter", "backspace", "backspace", "8", "enter")
        await pilot.press("L")
        await until(pilot, lambda: app.run_directory is not None)
        await until(pilot, lambda: app.screen is app.monitor)
        assert app.run_directory is not None
        assert "lora_rank = 8" in app.run_directory.config.read_text()
        assert Path("config.toml").read_text() == CONFIG
        await pilot.press("2")
        await checked_form(pilot)
        await until(pilot, lambda: not is_alive(app.run_directory))  # its weights are no weights


async def test_a_key_in_the_search_draws_the_lines_and_lays_nothing_out_anew():
    async with open_app(write_project(Path())).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("slash")
        await pilot.pause()
        laid_out: list[object] = []
        form.screen_layout_refresh_signal.subscribe(form, laid_out.append)
        fields = form.query_one(FieldList)
        before = fields.virtual_size.height
        await pilot.press("s")
        await until(pilot, lambda: fields.virtual_size.height < before)
        await pilot.pause()
        assert not laid_out
        assert fields.vertical_scrollbar.window_virtual_size == fields.virtual_size.height


async def test_all_errors_that_can_be_are_mended_with_one_key_and_one_undo_takes_that_back():
    broken = CONFIG.replace('mixed_precision = "no"', 'mixed_precision = "bf16"\nseeed = 8')
    broken = broken.replace('"lora"', '"loro"').replace("1e-4", "-1")
    path = write_project(Path(), broken)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        assert form.query_one(FieldList).field.key == "model_type"
        before = form.draft.document.text()
        await pilot.press("L")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchRefused))
        await pilot.press("F")
        await until(pilot, lambda: pilot.app.screen is form and form.is_checked)
        errors = {problem.key for problem in form.problems if problem.severity == "error"}
        assert errors == {"learning_rate"}  # there is no telling which one is meant
        await until(pilot, lambda: form.query_one(FieldList).field.key == "learning_rate")
        assert form.draft.document.get("model_type") == "lora"
        assert form.draft.document.get("seed") == 8
        assert form.draft.document.get("mixed_precision") == "no"
        await pilot.press("F")
        told = [*pilot.app._notifications][-1].message
        assert told == "no error has a fix that can be applied by itself"
        await pilot.press("u")
        assert form.draft.document.text() == before


async def test_a_search_puts_the_cursor_on_the_first_match_unless_its_own_field_matches():
    path = write_project(Path())
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        fields = form.query_one(FieldList)
        await go_to(pilot, "diff2flow_enabled")
        await pilot.press("slash")
        await write(pilot, "max_train")
        await until(pilot, lambda: fields.field.key == "max_train_steps")
        await pilot.press("enter", "escape")
        await pilot.press("slash")
        await write(pilot, "steps")
        await until(pilot, lambda: "/steps" in form._shown_title)
        assert fields.field.key == "max_train_steps"


async def test_a_file_that_was_removed_meanwhile_is_written_again_and_nothing_is_lost():
    path = write_project(Path())
    text = path.read_text()
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        path.unlink()
        await pilot.press("w")
        assert path.read_text() == text
        await go_to(pilot, "lora_dropout")
        await pilot.press("enter", "ctrl+u")
        await write(pilot, "0.5")
        await pilot.press("enter")
        path.unlink()
        await pilot.press("w")
        assert "lora_dropout = 0.5" in path.read_text()
        assert not form.draft.is_changed
        path.unlink()
        form.draft.set("max_train_steps", None)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchRefused))
        assert form.draft.is_changed
