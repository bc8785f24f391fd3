"""Each kind of field is edited in its own way: paths, sizes, numbers, lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until, write
from form_project import CONFIG, write_project
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from cascade_tui.field_help import completed, stepped, suggest_paths, suggest_sizes
from cascade_tui.field_text import typed_value
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.widgets.entries_text import EntriesText
from cascade_tui.widgets.field_editor import FieldEditor
from engine.config.backends import BACKEND_OPTIONS
from engine.config.fields import OPTIONS
from engine.config.resolution import Resolution

FOLDER = BACKEND_OPTIONS["images"]["instance_data_dir"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _edited(pilot: Pilot[int], key: str) -> tuple[ConfigureScreen, FieldEditor]:
    form = await checked_form(pilot)
    await go_to(pilot, key)
    await pilot.press("enter")
    return form, form.query_one(FieldEditor)


async def test_a_path_is_completed_with_tab_and_chosen_with_the_arrows():
    path = write_project(Path())
    Path("photographs 2/winter").mkdir(parents=True)
    Path("photograph.txt").write_text("a file is no folder of photographs")
    async with open_app(path).run_test(size=(120, 36)) as pilot:
        form, editor = await _edited(pilot, "data_backend[barns].instance_data_dir")
        typed = editor.query_one(Input)
        typed.value = "ph"
        await until(pilot, lambda: editor.suggestions == ["photographs/", "photographs 2/"][::-1])
        await pilot.press("tab")
        assert typed.value == "photographs"
        await until(pilot, lambda: len(editor.suggestions) == 2)
        await write(pilot, " ")
        await until(pilot, lambda: editor.suggestions == ["photographs 2/"])
        await pilot.press("tab")
        assert typed.value == "photographs 2/"
        await until(pilot, lambda: editor.suggestions == ["photographs 2/winter/"])
        await pilot.press("down", "enter")
        key = "data_backend[barns].instance_data_dir"
        assert form.draft.document.get(key) == "photographs 2/winter/"
        await pilot.press("u")
        assert form.draft.document.text() == CONFIG


async def test_a_number_has_its_unit_and_limits_and_goes_up_and_down():
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        form, editor = await _edited(pilot, "max_train_steps")
        assert str(editor.query_one("#unit", Static).render()) == "steps"
        assert "at least 1" in str(editor.query_one("#message", Static).render())
        await pilot.press("up", "up", "down", "pageup", "enter")
        assert form.draft.document.get("max_train_steps") == 411
        await go_to(pilot, "learning_rate")
        await pilot.press("enter", "down", "enter")
        assert form.draft.document.get("learning_rate") == 9e-5


async def test_a_size_is_chosen_among_the_usual_ones():
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        form, editor = await _edited(pilot, "validation_resolution")
        assert editor.query_one(OptionList).display
        await pilot.press("down", "enter")
        assert form.draft.document.get("validation_resolution") == "896x1152"


async def test_a_list_of_few_is_ticked_and_none_stands_alone():
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        form, editor = await _edited(pilot, "report_to")
        assert str(editor.query_one(OptionList).get_option_at_index(0).prompt) == "[x] none"
        await pilot.press("down", "space", "down", "space", "enter")
        assert form.draft.document.get("report_to") == ["wandb", "tensorboard"]
        await pilot.press("enter", "space", "tab")
        assert form.draft.document.get("report_to") == ["none"]
        await go_to(pilot, "report_to")
        await pilot.press("enter", "down", "space", "escape")
        assert form.draft.document.get("report_to") == ["none"]


async def test_a_list_is_edited_an_entry_a_line_with_what_is_wrong_told():
    async with open_app(write_project(Path())).run_test(size=(120, 36)) as pilot:
        form, editor = await _edited(pilot, "data_backend[barns].bucket_resolutions")
        message = editor.query_one("#message", Static)
        await write(pilot, "1024x1024")
        await pilot.press("enter")
        await write(pilot, "896x")
        assert message.has_class("-wrong")
        await write(pilot, "1152")
        assert message.has_class("-right")
        assert editor.query_one(EntriesText).document.line_count == 2
        await pilot.press("enter", "enter")  # an empty last line ends it
        key = "data_backend[barns].bucket_resolutions"
        assert form.draft.document.get(key) == ["1024x1024", "896x1152"]
        await pilot.press("enter", "escape")
        assert form.draft.document.get(key) == ["1024x1024", "896x1152"]


def test_an_entry_of_its_own_line_may_hold_commas():
    option = OPTIONS["lora_target_patterns"]
    assert typed_value(option, "a{1,2}\nb\n") == ["a{1,2}", "b"]
    assert typed_value(option, "a{1,2}\n") == ["a{1,2}"]
    assert typed_value(option, "a, b") == ["a", "b"]


def test_files_are_suggested_where_a_file_is_wanted_and_hidden_ones_when_asked():
    Path("prompts.json").write_text("{}")
    Path(".hidden").mkdir()
    Path("photographs").mkdir()
    assert suggest_paths("p", OPTIONS["validation_prompt_library"]) == [
        "photographs/",
        "prompts.json",
    ]
    assert suggest_paths("", FOLDER) == ["photographs/"]
    assert suggest_paths(".h", FOLDER) == [".hidden/"]
    assert suggest_paths("nowhere/", FOLDER) == []
    assert suggest_paths("a\0", FOLDER) == []


@pytest.mark.parametrize(
    ("key", "text", "steps", "expected"),
    [
        ("lora_rank", "16", 1, "17"),
        ("lora_rank", "1", -1, "1"),
        ("lora_rank", "x", 1, "x"),
        ("learning_rate", "1e-4", 1, "2e-4"),
        ("learning_rate", "1e-4", -1, "9e-5"),
        ("learning_rate", "1", 1, "1"),
        ("ema_decay", "0.999", 1, "0.999"),
        ("ema_decay", "0.998", 1, "0.999"),
        ("validation_guidance", "4.0", 1, "4.1"),
        ("learning_rate", "nan", 1, "nan"),
    ],
)
def test_a_step_stays_within_the_limits_and_is_one_of_the_last_digit(
    key: str, text: str, steps: int, expected: str
):
    assert stepped(OPTIONS[key], text, steps) == expected


def test_sizes_off_the_grid_suggest_the_nearest_on_it():
    assert suggest_sizes("1000x1000")[0] == "1024x1024"
    assert suggest_sizes("115") == ["1152x896"]
    assert suggest_sizes("wide") == []
    assert completed("a", ["ab/", "abc/"]) == "ab"
    assert completed("a", []) == "a"


def test_every_usual_size_is_on_the_grid():
    sizes = [Resolution.parse(size) for size in suggest_sizes("")]
    assert sizes == [size.on_grid() for size in sizes]
