"""The prompt editor: every edit is one undo, keeps what was written around it, and is saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import CONFIG, write_json_project, write_project
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static, TextArea

from cascade_tui.draft import Draft
from cascade_tui.draft_prompts import (
    PromptError,
    add_prompt,
    change_prompt,
    move_prompt,
    prompts_of,
    remove_prompt,
)
from cascade_tui.screens.prompts import PromptsScreen
from cascade_tui.screens.unsaved import ChangedUnderneath
from cascade_tui.widgets.prompt_editor import PromptEditor
from engine.config.entry_text import moved_entry, renamed_entry

MORE = (
    CONFIG
    + """\
# by the sea
"old sailor" = "an old sailor"  # keep

fog = \"""
# no comment: a valley
\"""
"""
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _names(draft: Draft) -> list[str]:
    return [prompt.name for prompt in prompts_of(draft)]


async def _opened(pilot: Pilot[int]) -> PromptsScreen:
    form = await checked_form(pilot)
    await pilot.press("V")
    await until(pilot, lambda: isinstance(pilot.app.screen, PromptsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, PromptsScreen)
    assert screen.draft is form.draft
    return screen


async def _type(pilot: Pilot[int], text: str) -> None:
    """Put a text at the cursor at once: a key for each letter would take seconds."""
    focused = pilot.app.screen.focused
    assert isinstance(focused, Input | TextArea)
    focused.insert_text_at_cursor(text) if isinstance(focused, Input) else focused.insert(text)
    await pilot.pause()


def _said(screen: PromptsScreen, what: str) -> str:
    return str(screen.query_one(f"#{what}", Static).render())


async def test_every_key_of_the_list_is_one_undo_and_comments_stay():
    path = write_project(Path(), MORE)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        draft, form = screen.draft, pilot.app.screen_stack[-2]
        assert _said(screen, "draws").startswith("3 prompts × 1 seed = 3 pictures every 100 steps")
        await pilot.press("c")
        assert _names(draft) == ["barn", "old sailor", "fog", "barn-copy"]
        await pilot.press("x")
        assert _names(draft) == ["barn", "old sailor", "fog"]
        await pilot.press("K")
        assert _names(draft) == ["barn", "fog", "old sailor"]
        assert '# by the sea\n"old sailor" = "an old sailor"  # keep\n' in draft.document.text()
        await pilot.press("J", "plus", "plus", "minus")
        assert _names(draft) == ["barn", "old sailor", "fog"]
        assert "3 prompts × 2 seeds = 6 pictures" in _said(screen, "draws")
        await pilot.press(*["u"] * 7)
        assert draft.document.text() == MORE
        await pilot.press("U")
        assert _names(draft)[-1] == "barn-copy"
        await pilot.press("u", "escape")
        await until(pilot, lambda: pilot.app.screen is form)


async def test_a_prompt_is_written_renamed_and_refused_where_names_clash():
    path = write_project(Path(), MORE)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        draft = screen.draft
        await pilot.press("enter")
        await _type(pilot, " at night")
        await pilot.press("enter")
        assert prompts_of(draft)[0].text == "a red barn in the snow at night"
        await pilot.press("r", "ctrl+u")
        await _type(pilot, "fog")
        assert "there is a prompt fog already" in _said(screen, "says")
        await pilot.press("enter", "ctrl+u")  # is not taken
        await _type(pilot, "old/sailor")
        assert "same file" in _said(screen, "says")
        await pilot.press("ctrl+u")
        await _type(pilot, "old")
        await pilot.press("tab", "ctrl+j", "x", "enter")
        assert _names(draft) == ["old", "old sailor", "fog"]
        assert prompts_of(draft)[0].text == "a red barn in the snow at night\nx"
        await pilot.press("u")
        assert prompts_of(draft)[0].name == "barn"
        await pilot.press("a", "tab")
        await _type(pilot, "a cat on the wall")
        await pilot.press("enter")
        assert _names(draft)[-1] == "cat-on-wall"
        assert screen.prompt is not None
        assert screen.prompt.text == "a cat on the wall"
        await pilot.press("enter", "y", "escape")
        assert prompts_of(draft)[-1].text == "a cat on the wall"
        await pilot.press("enter", "z")
        await pilot.click(OptionList, offset=(3, 1))  # takes what was typed, and edits another
        await until(pilot, lambda: prompts_of(draft)[-1].text == "a cat on the wallz")
        editor = screen.query_one(PromptEditor)
        await until(pilot, lambda: editor.display and editor.border_title == "Prompt old sailor")
        await pilot.press("escape", "u", "w")
        assert 'cat-on-wall = "a cat on the wall"' in path.read_text()
        assert path.read_text().startswith("# Our house style")


async def test_problems_stand_below_their_prompt_and_in_the_form():
    clash = MORE.replace("fog = ", '"old/sailor" = "x"\nnothing = ""\nfog = ')
    path = write_project(Path(), clash)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = await _opened(pilot)
        listed = screen.query_one(OptionList)
        lines = "\n".join(listed.render_line(y).text for y in range(10))
        assert "✖ old/sailor" in lines
        assert "would be drawn into the same file" in lines
        assert "▲ the prompt nothing is empty" in lines
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert "validation_prompts[old/sailor]" in {problem.key for problem in form.problems}


async def test_a_json_config_gets_a_library_beside_it_saved_before_the_config_names_it():
    path = write_json_project(Path())
    async with open_app(path).run_test(size=(120, 36)) as pilot:
        screen = await _opened(pilot)
        assert "a begins prompt_library.json beside config.json" in _said(screen, "title")
        await pilot.press("a")
        await _type(pilot, "cat")
        await pilot.press("tab", "x", "enter")
        draft = screen.draft
        assert _names(draft) == ["cat", "validation"]
        await pilot.press("u")
        assert (draft.is_changed, _names(draft)) == (False, ["validation"])
        await pilot.press("U", "J", "w")
        library = Path("prompt_library.json")
        assert json.loads(library.read_text()) == {"cat": "x"}
        assert json.loads(path.read_text())["validation_prompt_library"] == "prompt_library.json"
        assert not draft.is_changed
        await pilot.press("x", "a")
        await _type(pilot, "seed")  # the name of an option is a name like any other
        await pilot.press("tab", "y", "enter", "escape")
        form = await checked_form(pilot)
        await go_to(pilot, "validation_prompts[seed]")
        library.write_text('{"cat": "theirs"}')
        await pilot.press("V")
        await until(pilot, lambda: isinstance(pilot.app.screen, PromptsScreen))
        await pilot.press("w")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChangedUnderneath))
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is form)
        assert form.save()
        assert json.loads(library.read_text()) == {"seed": "y"}


def test_the_single_prompt_moves_into_the_library_with_a_name_and_set_is_told(tmp_path: Path):
    path = write_project(tmp_path, CONFIG)
    draft = Draft.open(tmp_path / path, ("validation_prompt=a cat", "validation_prompts.dog=a dog"))
    barn, dog, single = prompts_of(draft)
    assert (dog.is_overridden, single.is_single, single.is_overridden) == (True, True, True)
    for refused in (single, dog):
        with pytest.raises(PromptError):
            move_prompt(draft, refused, -1)
    with pytest.raises(PromptError, match="already"):
        add_prompt(draft, "barn", "x")
    change_prompt(draft, dog, "dog", "two dogs")
    assert draft.overrides == ("validation_prompt=a cat",)
    draft.set("validation_prompt", "a cat")
    change_prompt(draft, prompts_of(draft)[-1], "cat", "a cat")
    assert _names(draft) == ["barn", "dog", "cat"]
    assert draft.document.get("validation_prompt") is None
    remove_prompt(draft, barn)
    assert _names(draft) == ["dog", "cat"]


def test_a_library_that_the_option_itself_holds_is_edited_there(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text('{"validation_prompt_library": {"a": "1", "b": "2"}}')
    draft = Draft.open(path)
    move_prompt(draft, prompts_of(draft)[0], 1)
    change_prompt(draft, prompts_of(draft)[0], "c", "3")
    add_prompt(draft, "d", "4")
    assert draft.document.get("validation_prompt_library") == {"c": "3", "a": "1", "d": "4"}
    path.write_text('{"validation_prompt_library": "nowhere.json"}')
    with pytest.raises(PromptError, match="names no file"):
        add_prompt(Draft.open(path), "d", "4")


@pytest.mark.parametrize(
    ("format", "table", "text", "moved"),
    [
        ("toml", None, 'a = "1"\n# two\nb = "2"', '# two\nb = "2"\na = "1"\n'),
        ("toml", "t", 't = { a = "1", b = "2" }\n', 't = { b = "2", a = "1" }\n'),
        ("toml", "t", 't.a = "1"\nt.b = "2"\nx = 1\n', 'x = 1\n\n[t]\nb = "2"\na = "1"\n'),
        ("json", "t", '{"t": {"a": "1",\n"b": "2"}}', '{"t": {"b": "2",\n"a": "1"}}'),
        ("json", None, '{"a": "1", "b": "2"}', '{"b": "2", "a": "1"}'),
    ],
)
def test_entries_move_and_are_renamed_in_the_text_itself(
    format: Literal["json", "toml"], table: str | None, text: str, moved: str
):
    assert moved_entry(text, format, table, "b", -1).lstrip() == moved
    assert moved_entry(text, format, table, "b", 1).rstrip() == text.rstrip()
    again = renamed_entry(text, format, table, "b", "new one")
    assert '"new one"' in again
    assert again.count("\n") >= text.count("\n")
    for change in (moved_entry, renamed_entry):
        with pytest.raises(KeyError):
            change(text, format, table, "none", 1)  # type: ignore[arg-type]
