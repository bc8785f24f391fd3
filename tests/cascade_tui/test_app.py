"""The app around its screens: what it opens with, what it survives, how it ends."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until, write
from form_project import CONFIG, write_project
from terminal_reading import read_until
from textual.widgets import Input, OptionList

from cascade_tui.app import CascadeApp
from cascade_tui.draft import Draft
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.demo import DemoScreen
from cascade_tui.screens.help import HelpScreen, describe_keys
from cascade_tui.screens.parse_error import ParseErrorScreen, describe_parse_error
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.shipped_files import example_configs


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def test_importing_the_app_leaves_torch_alone():
    code = (
        "import sys, cascade_tui.app\n"
        "heavy = {'torch', 'transformers', 'diffusers', 'peft', 'accelerate', 'numpy'}\n"
        "print(*sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


async def test_without_anything_named_it_shows_runs_and_an_example_becomes_a_config():
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
        pilot.app.screen.query_one(OptionList).highlighted = 3
        await pilot.press("enter", "enter")
        form = await checked_form(pilot)
        example = example_configs()[0]
        assert form.draft.document.path == Path(example.name)
        assert Path(example.name).read_text() == example.read_text()


async def test_escape_leads_from_the_path_to_the_choices_and_from_there_to_the_runs():
    write_project(Path())
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
        welcome = pilot.app.screen
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, DemoScreen))
        await pilot.press("escape", "o")
        path = welcome.query_one(Input)
        await write(pilot, "con")
        await until(pilot, lambda: path._suggestion == "config.toml")
        await pilot.press("tab")
        assert path.value == "config.toml"
        await pilot.press("escape")
        assert welcome.focused is welcome.query_one(OptionList)
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunsScreen)


async def test_the_welcome_screen_opens_a_path_and_says_when_there_is_none():
    path = write_project(Path())
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await pilot.press("o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))
        await pilot.press("o")
        await write(pilot, "nowhere")
        await pilot.press("enter")
        assert isinstance(pilot.app.screen, WelcomeScreen)
        await pilot.press(*["backspace"] * len("nowhere"))
        await write(pilot, str(path))
        await pilot.press("enter")
        await checked_form(pilot)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("bad.json", '{\n  "seed" 1\n}\n', "line 2"),
        ("bad.toml", "seed = 1\nlora_rank = = 2\n", "line 2"),
    ],
)
async def test_a_malformed_file_is_shown_where_it_breaks_and_read_again_when_mended(
    name: str, text: str, place: str
):
    path = Path(name)
    path.write_text(text)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, ParseErrorScreen)
        told = describe_parse_error(path, screen.problem).plain
        assert place in told
        assert text.splitlines()[1] in told
        path.write_text("{}" if name.endswith("json") else "")
        await pilot.press("r")
        await checked_form(pilot)


async def test_a_very_long_malformed_line_is_cut_around_the_place_and_leaves_room_for_the_fix():
    path = Path("long.json")
    path.write_text('{"a": "' + "x" * 5000 + '", oops' + "y" * 5000)
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = pilot.app.screen
        told = describe_parse_error(path, screen.problem).plain.splitlines()
        [at] = [number for number, line in enumerate(told) if line.strip() == "^"]
        assert told[at - 1][told[at].index("^")] == "o"
        assert all(len(line) < 78 for line in told)
        assert "edit_text" in {active.binding.action for active in screen.active_bindings.values()}
        await pilot.press("escape")
        assert isinstance(pilot.app.screen, RunsScreen)


async def test_a_file_that_is_no_text_is_not_offered_for_editing_here():
    path = Path("noise.toml")
    path.write_bytes(b"\xff\xfe\x00")
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, ParseErrorScreen)
        offered = {active.binding.action for active in screen.active_bindings.values()}
        assert "edit_text" not in offered
        assert "open_editor" in offered


async def test_every_key_of_the_form_is_in_its_help_and_in_the_palette():
    app = open_app(write_project(Path()))
    async with app.run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        told = describe_keys(form).plain
        titles = {command.title for command in app.get_system_commands(form)}
        for binding in ConfigureScreen.BINDINGS:
            assert binding.tooltip in told
            assert binding.description in titles
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("escape")
        assert app.screen is form


async def test_a_command_of_the_palette_does_what_its_key_does():
    app = open_app(write_project(Path()))
    async with app.run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        commands = {command.title: command for command in app.get_system_commands(form)}
        await commands["Search"].callback()
        assert form.query_one("#search").display


async def test_q_ends_the_viewer_at_once_when_nothing_is_unsaved():
    app = open_app(write_project(Path()))
    async with app.run_test(size=(80, 24)) as pilot:
        await checked_form(pilot)
        await pilot.press("q")
        await until(pilot, lambda: app.return_code is not None)
    assert app.return_code == 0


@pytest.mark.parametrize("size", [(20, 5), (40, 10), (80, 24), (200, 50)])
async def test_no_size_of_the_terminal_breaks_it(size: tuple[int, int]):
    async with open_app(write_project(Path())).run_test(size=size) as pilot:
        await checked_form(pilot)
        await pilot.press("G", "g", "enter", "escape", "question_mark", "escape")
        assert pilot.app.is_running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_128_plus_its_number_and_leaves_the_terminal_clean(number: int):
    path = write_project(Path())
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "cascade_tui", str(path)])
    output = read_until(terminal, b"ready")
    os.kill(pid, number)
    output = read_until(terminal, b"\x1b[?1049l")
    assert b"\x1b[?1049l" in output  # the normal screen is back
    assert b"\x1b[?1003l" in output  # the mouse is given back
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 128 + number


def test_the_draft_knows_every_option_and_every_backend(tmp_path: Path):
    write_project(tmp_path)
    fields = Draft.open(tmp_path / "config.toml").fields()
    keys = [field.key for field in fields]
    assert len(keys) == len(set(keys))
    assert {"learning_rate", "data_backend[barns].crop", "validation_prompts[barn]"} <= set(keys)
    changed = {field.key for field in fields if field.is_changed}
    assert "max_train_steps" in changed
    assert "lora_rank" not in changed  # given, but as the default
    assert (tmp_path / "config.toml").read_text() == CONFIG


def test_the_app_can_be_made_without_a_terminal():
    assert CascadeApp().run_directory is None
