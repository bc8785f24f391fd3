"""The draft beside a file, the defaults, a preset or a run: what differs, and taking it."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until, write
from form_project import CONFIG, ENVIRONMENT, write_json_project, write_project
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from cascade_tui.draft import Draft
from cascade_tui.draft_diff import Source, compare, edit_to_take, read_source, values_of_draft
from cascade_tui.screens.choose_source import ChooseSource
from cascade_tui.screens.compare import CompareScreen
from cascade_tui.widgets.field_list import FieldList
from engine.config.frozen import freeze
from engine.config.live import LiveChange, write_changes
from engine.config.loading import load_project
from engine.config.presets import PRESETS
from engine.config.problems import Edit
from engine.run.paths import RunDirectory

SIZE = (120, 36)
THEIRS = CONFIG.replace("lora_rank = 16", "lora_rank = 8").replace("400", "900")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _compared(pilot: Pilot[int]) -> CompareScreen:
    await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
    screen = pilot.app.screen
    assert isinstance(screen, CompareScreen)
    await until(pilot, lambda: screen.is_read)
    await pilot.pause()
    return screen


def _write_run(root: Path, config: str) -> None:
    root.mkdir(parents=True)
    (root / "config.toml").write_text(config)
    (root / "events.jsonl").write_text("")


def _keys(draft: Draft, source: Source) -> dict[str, tuple[object, object]]:
    theirs = read_source(source, draft)
    found = compare(source, theirs, values_of_draft(draft))
    return {difference.key: (difference.a, difference.b) for difference in found}


async def test_d_shows_what_was_edited_and_a_takes_it_back_undoably():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        await go_to(pilot, "max_train_steps")
        await pilot.press("D", "d")
        screen = await _compared(pilot)
        assert [found.key for found in screen.differences] == ["max_train_steps", "use_ema"]
        await pilot.press("down", "a")
        assert [found.key for found in screen.differences] == ["max_train_steps"]
        assert "use_ema" not in form.draft.document
        await pilot.press("u")
        assert form.draft.document.get("use_ema") is True
        await pilot.press("U", "A")
        assert form.draft.document.get("max_train_steps") == 400
        assert "every value is the same" in str(screen.query_one("#none", Static).render())
        await pilot.press("u", "u", "down")
        assert screen.highlighted is not None
        assert screen.highlighted.key == "use_ema"
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert form.draft.is_changed


async def test_enter_leads_to_the_field_that_differs():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        await go_to(pilot, "seed")
        await pilot.press("d")
        await _compared(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is form)
        field = form.query_one(FieldList).field
        assert field is not None
        assert field.key == "use_ema"


async def test_o_compares_with_the_defaults_a_preset_a_run_and_a_path_that_is_typed():
    _write_run(Path("output/before"), THEIRS)
    Path("other.toml").write_text(THEIRS.replace("900", "901"))
    Path("typed.json").write_text('{"max_train_steps": 902}')
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await pilot.press("d")
        for words, key, theirs in (
            ("defaults", "max_train_steps", None),
            ("preset quick", "max_train_steps", 500),
            ("run before", "max_train_steps", 900),
            ("config other", "max_train_steps", 901),
            ("typed.json", "max_train_steps", 902),
        ):
            screen = await _compared(pilot)
            await pilot.press("o")
            await until(pilot, lambda: isinstance(pilot.app.screen, ChooseSource))
            listed = pilot.app.screen.query_one(OptionList)
            await until(pilot, lambda listed=listed: listed.option_count)
            await write(pilot, words)
            await pilot.press("enter")
            screen = await _compared(pilot)
            found = {difference.key: difference for difference in screen.differences}
            assert found[key].a == theirs
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChooseSource))
        question = pilot.app.screen
        await write(pilot, "nowhere")
        await pilot.press("enter")
        assert "no nowhere" in str(question.query_one("#news", Static).render())
        await pilot.press("escape")
        assert pilot.app.screen is screen


async def test_what_cannot_be_compared_with_says_why():
    Path("broken.toml").write_text("seed = \n")
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await pilot.press("d")
        screen = await _compared(pilot)
        for path, reason in ((Path("broken.toml"), "malformed TOML"), (Path(), "frozen config")):
            if path.is_dir():
                Path("config.toml").unlink()
            screen._chosen(Source("path", str(path), path))
            none = screen.query_one("#none", Static)
            await until(pilot, lambda none=none, reason=reason: reason in str(none.render()))


async def test_a_run_is_compared_by_what_it_goes_on_with_since_it_was_changed():
    path = write_project(Path())
    Path("run").mkdir()
    freeze(load_project(path, environment=ENVIRONMENT, check=False), Path("run"))
    change = LiveChange({"validation_step_interval": 25}, {"barn": None, "cat": "a cat"})
    write_changes(RunDirectory(Path("run")), change)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("d")
        screen = await _compared(pilot)
        screen._chosen(Source("path", "run run", Path("run")))
        screen = await _compared(pilot)
        place = {found.key: line for line, found in enumerate(screen.differences)}
        assert {"validation_step_interval", "validation_prompts[cat]"} < set(place)
        screen.query_one(OptionList).highlighted = place["validation_step_interval"]
        await pilot.pause()
        told = str(screen.query_one("#detail", Static).render())
        assert "25 (changed)" in told
        assert "launched with 100" in told
        await pilot.press("a")
        assert form.draft.document.get("validation_step_interval") == 25


def test_a_value_in_error_is_compared_as_it_is_spelled():
    path = write_project(Path(), CONFIG.replace("lora_rank = 16", 'lora_rank = "16"\nranks = 3'))
    draft = Draft.open(path)
    found = _keys(draft, Source("defaults", ""))
    assert found["lora_rank"] == (16, "16")
    assert found["ranks"][1] == 3


def test_a_preset_is_compared_by_the_options_that_it_sets():
    draft = Draft.open(write_project(Path()))
    preset = PRESETS["lora-24gb"]
    assert set(_keys(draft, Source("preset", "", preset=preset))) <= set(preset.values)


@pytest.mark.parametrize("write_one", [write_project, write_json_project])
def test_a_backend_that_one_side_lacks_is_one_difference_and_taken_whole(write_one):
    path = write_one(Path())
    source = Source("disk", "", path)
    for edit in (
        Edit("data_backend[snow]", {"id": "snow", "instance_data_dir": "photographs"}),
        Edit("data_backend[barns]", None),
    ):
        draft = Draft.open(path)
        draft.apply(edit)
        assert list(_keys(draft, source)) == [edit.key]
        theirs = read_source(source, draft)
        found = compare(source, theirs, values_of_draft(draft))
        draft.apply_all([edit_to_take(difference, theirs) for difference in found])
        assert _keys(draft, source) == {}
        draft.undo()
        assert list(_keys(draft, source)) == [edit.key]
