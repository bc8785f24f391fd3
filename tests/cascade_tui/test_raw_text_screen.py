"""The text editor of the form: live problems, bytes kept, taken back as one edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, problem_keys, until, write
from form_project import CONFIG, WRONG, write_json_project, write_project
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.parse_error import ParseErrorScreen
from cascade_tui.screens.raw_text import RawTextScreen
from cascade_tui.screens.unsaved import ChangedUnderneath, MalformedText
from cascade_tui.text_lines import with_endings
from cascade_tui.widgets.config_text import ConfigText
from cascade_tui.widgets.problem_detail import ProblemDetail

SIZE = (120, 36)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _text_of(pilot: Pilot[int]) -> tuple[RawTextScreen, ConfigText]:
    await pilot.press("t")
    await until(pilot, lambda: isinstance(pilot.app.screen, RawTextScreen))
    screen = pilot.app.screen
    assert isinstance(screen, RawTextScreen)
    await until(pilot, lambda: screen.is_checked)
    await pilot.pause()
    return screen, screen.query_one(ConfigText)


def _line(area: ConfigText, number: int) -> str:
    """A line of the screen, counted from 1 in the text."""
    return area.render_line(number - 1 - round(area.scroll_offset.y)).text.rstrip()


async def test_t_begins_at_the_field_and_esc_takes_the_text_as_one_undoable_edit():
    async with open_app(write_project(Path())).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "lora_rank")
        _, area = await _text_of(pilot)
        assert area.cursor_location[0] == CONFIG.splitlines().index("lora_rank = 16")
        await pilot.press("end", "backspace", "2", "enter")
        await write(pilot, "seed = 7")
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert form.draft.document.text() == CONFIG.replace(
            "lora_rank = 16\n", "lora_rank = 12\nseed = 7\n"
        )
        await pilot.press("u")
        assert form.draft.document.text() == CONFIG
        await pilot.press("U")
        assert form.draft.document.get("seed") == 7


async def test_problems_stand_at_their_lines_and_follow_the_text():
    async with open_app(write_project(Path(), WRONG)).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        screen, area = await _text_of(pilot)
        lines = WRONG.splitlines()
        rank = lines.index('lora_rank = "16"') + 1
        assert [found.line for found in screen.problems] == sorted(
            lines.index(line)
            for line in lines
            if line.startswith(("lora_rank", "learnig", "mixed", "instance"))
        )
        assert _line(area, rank).startswith(f"{rank:>2}✖ lora_rank")
        assert screen.query_one("#problems", OptionList).option_count == 4
        await pilot.press("ctrl+n")
        assert area.cursor_location[0] == rank - 1
        await pilot.press("end", "backspace")  # a text that does not end
        await until(pilot, lambda: screen.is_checked)
        (malformed,) = screen.problems
        assert malformed.line == rank - 1
        assert "malformed TOML" in malformed.problem.message
        assert "1 error" in str(screen.query_one("#verdict", Static).render())
        await pilot.press("ctrl+z")
        await until(pilot, lambda: screen.is_checked and len(screen.problems) == 4)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a mark"])
async def test_saving_keeps_every_byte_that_was_not_edited(mark: bytes):
    path = write_project(Path())
    odd = CONFIG.replace("first try.\n", "first\u2028try.\r\n").replace("400\n", "400\t \r\n")
    path.write_bytes(mark + odd.encode())
    async with open_app(path).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        screen, area = await _text_of(pilot)
        assert screen.text == odd
        area.go_to_line(next(i for i in range(99) if area.get_line(i).plain == "lora_rank = 16"))
        await pilot.press("end", "backspace", "8", "ctrl+o")
        expected = mark + odd.replace("lora_rank = 16", "lora_rank = 18").encode()
        await until(pilot, lambda: path.read_bytes() == expected)
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert not form.draft.is_changed


async def test_a_file_changed_underneath_is_shown_with_what_would_be_overwritten():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        await checked_form(pilot)
        await _text_of(pilot)
        await write(pilot, "seed = 1")
        await pilot.press("enter")
        theirs = CONFIG.replace("lora_rank = 16", "lora_rank = 4")
        path.write_text(theirs)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChangedUnderneath))
        shown = pilot.app.screen.query_one("#diff", Static)
        await until(pilot, lambda: "-lora_rank = 4" in str(shown.render()))
        assert "+lora_rank = 16" in str(shown.render())
        assert "+seed = 1" in str(shown.render())
        await pilot.press("down", "escape")
        assert path.read_text() == theirs
        await pilot.press("ctrl+o", "o")
        assert path.read_text() == "seed = 1\n" + CONFIG
        await pilot.press("x")
        path.write_text(theirs)
        await pilot.press("backspace", "y", "=", "1", "enter", "ctrl+o", "r")
        await until(pilot, lambda: isinstance(pilot.app.screen, ConfigureScreen))
        form = await checked_form(pilot)
        assert form.draft.document.text() == theirs


async def test_a_malformed_text_is_neither_saved_nor_taken_and_can_be_discarded():
    path = write_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        screen, _ = await _text_of(pilot)
        await write(pilot, "x = ")
        await pilot.press("enter", "ctrl+o")
        assert path.read_text() == CONFIG
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, MalformedText))
        await pilot.press("escape")
        assert pilot.app.screen is screen
        await pilot.press("escape", "d")
        await until(pilot, lambda: pilot.app.screen is form)
        assert form.draft.document.text() == CONFIG


async def test_a_file_that_cannot_be_read_is_mended_here_and_opens_in_the_form():
    path = write_project(Path(), CONFIG.replace("lora_rank = 16", "lora_rank 16"))
    app = open_app(path)
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ParseErrorScreen))
        screen, area = await _text_of(pilot)
        (malformed,) = screen.problems
        assert malformed.line == area.cursor_location[0]
        await pilot.press("escape")  # nothing edited: as before
        assert isinstance(app.screen, ParseErrorScreen)
        _, area = await _text_of(pilot)
        await pilot.press("home", *["right"] * len("lora_rank"), "space", "=", "escape")
        await until(pilot, lambda: isinstance(app.screen, ConfigureScreen))
        form = await checked_form(pilot)
        assert form.draft.is_changed
        assert not form.draft.changed_on_disk()
        assert problem_keys(form) == set()
        await pilot.press("w")
        assert path.read_text() == CONFIG


async def test_ctrl_t_edits_the_other_file():
    path = write_json_project(Path())
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        await go_to(pilot, "data_backend[barns].crop")
        screen, area = await _text_of(pilot)
        assert '"crop": true' in area.document.get_line(area.cursor_location[0])
        await pilot.press("end", *["backspace"] * 4)
        await write(pilot, "false")
        await pilot.press("ctrl+t")
        assert screen.text == path.read_text()
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert not form.problems
        await pilot.press("w")
        assert '"crop": false' in Path("backends.json").read_text()


async def test_a_file_of_backends_that_cannot_be_read_is_mended_from_the_field_that_names_it():
    path = write_json_project(Path())
    whole = Path("backends.json").read_text()
    broken = whole.replace('"crop": true', '"crop" true')
    Path("backends.json").write_text(broken)
    async with open_app(path).run_test(size=SIZE) as pilot:
        form = await checked_form(pilot)
        assert "data_backend_config" in problem_keys(form)
        await go_to(pilot, "data_backend_config")
        told = str(form.query_one(ProblemDetail)._text)
        assert "opens that file at the line" in told
        screen, area = await _text_of(pilot)
        (malformed,) = screen.problems
        assert malformed.line == area.cursor_location[0]
        assert '"crop" true' in area.document.get_line(malformed.line)
        await pilot.press("escape")  # nothing edited: as before
        assert pilot.app.screen is form

        await go_to(pilot, "max_train_steps")  # and from the text of the config
        screen, area = await _text_of(pilot)
        await pilot.press("ctrl+t")
        assert screen.text == broken
        assert area.cursor_location[0] == malformed.line
        await pilot.press("x")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, MalformedText))
        await pilot.press("escape", "ctrl+z")
        area.go_to_line(malformed.line, broken.splitlines()[malformed.line].index(" true"))
        await pilot.press("colon")
        assert screen.text == whole
        await pilot.press("escape")
        form = await checked_form(pilot)
        assert "data_backend_config" not in problem_keys(form)
        assert Path("backends.json").read_text() == broken  # not saved yet
        assert form.draft.is_changed
        await go_to(pilot, "data_backend[barns].crop")
        await pilot.press("u", "w")
        assert Path("backends.json").read_text() == whole


@pytest.mark.parametrize(
    ("original", "lines", "expected"),
    [
        ("a\r\nb\n", ["a", "b", ""], "a\r\nb\n"),
        ("a\r\nb\n", ["a", "c", ""], "a\r\nc\n"),
        ("a\r\nb\nc\nd", ["x", "a", "b"], "x\na\r\nb"),
        ("a\x0cb\nd\n", ["a", "b", "d", "c", ""], "a\x0cb\nd\nc\n"),
        ("a\r\nb\r\n", ["a", "c", "b", ""], "a\r\nc\r\nb\r\n"),
        ("a\nb\n", ["a", "b", "c"], "a\nb\nc"),
        ("", [""], ""),
        ("", ["a", ""], "a\n"),
    ],
)
def test_lines_that_stay_keep_their_ends(original: str, lines: list[str], expected: str):
    assert with_endings(original, lines) == expected
