"""Keys of one's own: read, checked, obeyed and shown."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import pkgutil
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from form_pilot import until
from terminal_reading import read_until
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

import cascade_tui
from cascade_tui.app import CascadeApp
from cascade_tui.cli import main
from cascade_tui.key_table import actions
from cascade_tui.keymap import KeysFileError, chosen_keys, in_file, key_name, keys_file
from cascade_tui.screens.help import HelpScreen, describe_keys
from cascade_tui.screens.monitor import MonitorScreen
from engine.run.control import pending
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import write_run


def choose(text: str) -> Path:
    """Write a person's keys file."""
    path = keys_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def problems_of(text: str) -> dict[str, str]:
    """What is said about each id of a file that is wrong."""
    choose(text)
    with pytest.raises(KeysFileError) as failure:
        chosen_keys()
    return {problem.id: f"{problem.message}; {problem.fix}" for problem in failure.value.problems}


# -- the table of all actions ---------------------------------------------------------------------


def test_every_binding_of_every_part_of_the_app_has_an_id_of_its_own():
    owners: dict[str, str] = {}
    for module in pkgutil.walk_packages(cascade_tui.__path__, "cascade_tui."):
        if not module.name.startswith(("cascade_tui.app", "cascade_tui.screens", "cascade_tui.w")):
            continue
        for name, part in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if not issubclass(part, DOMNode) or part.__module__ != module.name:
                continue
            for binding in vars(part).get("BINDINGS", ()):
                assert isinstance(binding, Binding)
                assert binding.id, f"{name}: {binding}"
                assert owners.setdefault(binding.id, name) == name, binding.id
    assert {action.id for action in actions()} == set(owners)


def test_a_text_that_names_a_key_names_the_one_that_the_binding_has():
    own = {action.id: action.keys for action in actions()}
    named = 0
    for path in Path(cascade_tui.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_named = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "shown_key"
            if is_named and all(isinstance(argument, ast.Constant) for argument in node.args):
                id, key = (argument.value for argument in node.args)
                assert own[id][0] == key, f"{path}: {id}"
                named += 1
    assert named > 30


# -- the file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("?", "question_mark"),
        (",", "comma"),
        ("+", "plus"),
        ("plus", "plus"),
        ("-", "minus"),
        ("minus", "minus"),
        ("C", "C"),
        ("Esc", "escape"),
        ("PgDn", "pagedown"),
        ("Ctrl+O", "ctrl+o"),
        ("shift+left", "shift+left"),
        ("alt+x", "alt+x"),
        (" ", "space"),
        ("F5", "f5"),
    ],
)
def test_a_key_is_known_however_it_is_written(written: str, name: str):
    assert key_name(written) == (name, "")
    assert key_name(in_file(name)) == (name, "")


def test_all_that_is_wrong_with_a_file_is_said_at_once_with_fixes():
    problems = problems_of(
        """
        "monitor.pauze" = "x"
        "monitor.checkpoint" = "v"
        "monitor.log" = "1"
        "monitor.gpus" = 4
        "fields.up" = ["shift+a", "escpe", "hyper+x"]
        "fields.down" = "w"
        "text.save" = "w"
        "guide.write" = "ctrl+k"
        "prompt.take" = "ctrl+k"
        "editor.cancel" = "ctrl+k"
        "source.back" = "ctrl+k"
        "change.send" = "ctrl+k"
        "app.quit" = ""
        "app.theme" = "ctrl+s"
        """
    )
    assert "did you mean monitor.pause?" in problems["monitor.pauze"]
    assert "key of monitor.validate too" in problems["monitor.checkpoint"]
    assert "key of app.runs too" in problems["monitor.log"]
    assert "4 is no key" in problems["monitor.gpus"]
    assert "modifier" in problems["fields.up"]
    assert "key of configure.save too" in problems["fields.down"]
    for id in ("text.save", "guide.write", "prompt.take", "editor.cancel", "source.back"):
        assert "typed" in problems[id]
    assert "typed" in problems["change.send"]
    assert "no way out" in problems["app.quit"]
    assert "flow control" in problems["app.theme"]


def test_a_file_that_was_found_right_is_taken_without_the_screens_until_it_changes():
    choose('"monitor.checkpoint" = "C"\n')
    code = (
        "import sys\nfrom cascade_tui.keymap import chosen_keys\n"
        "print(chosen_keys().keymap['monitor.checkpoint'], 'textual.app' in sys.modules)"
    )

    def asked() -> str:
        argv = [sys.executable, "-c", code]
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()

    assert asked() == "C True"
    assert asked() == "C False"
    choose('"monitor.checkpoint" = "B"\n')
    assert asked() == "B True"
    choose('"monitor.checkpoint" = "v"\n')
    with pytest.raises(KeysFileError):
        chosen_keys()


def test_a_file_that_is_no_toml_is_refused_with_the_line():
    assert "line 2" in problems_of('"a" = "b"\n= 2\n')[""]


def test_the_default_keys_written_out_and_keys_that_change_places_are_fine(capsys):
    assert main(["keys", "--example"]) == 0
    lines = capsys.readouterr().out.splitlines()
    choose(
        "\n".join(
            line.removeprefix("# ") for line in lines if line.startswith('# "') and "=" in line
        )
    )
    assert main(["keys", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert not any(action["is_remapped"] for action in json.loads(printed.out)["actions"])
    choose('[monitor]\ncheckpoint = "v"\nvalidate = ["c", "f5"]\nabort = ""\n')
    assert {id: keys for id, keys in chosen_keys().keymap.items() if id == "monitor.validate"} == {
        "monitor.validate": "c,f5"
    }


def test_the_command_tells_what_is_remapped_warns_and_ends_with_2_if_the_file_is_wrong(capsys):
    choose('"monitor.checkpoint" = "C"\n"app.theme" = "ctrl+s"\n')
    assert main(["keys"]) == 0
    printed = capsys.readouterr()
    changed = [line.split() for line in printed.out.splitlines() if line.startswith("*")]
    assert [(words[1], words[2]) for words in changed] == [
        ("ctrl+s", "app.theme"),
        ("C", "monitor.checkpoint"),
    ]
    assert "warning" in printed.err
    assert "app.theme" in printed.err
    choose('"monitor.checkpoint" = "v"\n')
    assert main(["keys"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert str(keys_file()) in printed.err


def test_the_app_ends_with_2_before_it_draws_anything_if_the_file_is_wrong():
    choose('"monitor.pauze" = "x"\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(sys.executable, [sys.executable, "-m", "cascade_tui"])
    output = read_until(terminal, b"cascade-tui keys` lists all")
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 2
    assert b"monitor.pauze" in output
    assert b"\x1b[?1049h" not in output


# -- in the app -----------------------------------------------------------------------------------


async def test_another_key_acts_and_is_shown_and_the_old_one_does_nothing(
    tmp_path: Path,
):
    run = write_run(tmp_path / "run", "running")
    choose('"monitor.checkpoint" = ["C", "f5"]\n"monitor.validate" = ""\n"app.help" = "f2"\n')
    app = CascadeApp(run_directory=run.root, keymap=chosen_keys().keymap)
    async with app.run_test(size=(120, 36)) as pilot:
        monitor = app.screen
        assert isinstance(monitor, MonitorScreen)
        await until(pilot, lambda: monitor.snapshot is not None and not monitor.snapshot.is_partial)
        await pilot.press("c", "v", "question_mark")
        await pilot.press("C")
        await until(pilot, lambda: pending(RunDirectory(run.root)))
        assert [command.command for command in pending(run)] == ["checkpoint"]
        assert app.screen is monitor

        footer = monitor.query_one(Footer)
        await until(pilot, lambda: footer.query(FooterKey))
        shown = {key.description: key.key_display for key in footer.query(FooterKey)}
        assert list(shown)[:3] == ["Checkpoint", "Validate", "Pause"]
        assert [shown[name] for name in ("Checkpoint", "Validate", "Help")] == ["C", "–", "f2"]
        told = describe_keys(monitor).plain
        assert "  C, f5        Checkpoint\n" in told
        assert "  –            Validate\n" in told
        palette = {command.title: command.help for command in app.get_system_commands(monitor)}
        assert palette["Checkpoint"] == "(key C)"
        assert palette["Validate"] == "(no key)"
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
