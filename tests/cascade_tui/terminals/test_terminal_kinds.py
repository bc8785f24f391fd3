"""The app in terminals that lack colours or Unicode, and in what is no terminal for it at all."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from cascade_tui.widgets.glyphs import needs_ascii
from tests.cascade_tui.form_project import write_project
from tests.cascade_tui.run_fixture import write_run
from tests.pty_terminal import Terminal
from tests.vt_screen import Look

APP = [sys.executable, "-m", "cascade_tui"]
# The keys to every screen, and what it shows when it is there.
WALK = (
    ("", r"(?s)Configure.*ready to launch.*Help"),
    ("1", r"(?s)1 run, 1 alive.*500/1000"),
    ("3", r"training +step 500"),
    ("f", r"Further"),
    ("\x1b", r"(?s)\A(?!.*Further).*Checkpoint"),
    ("4", r"Earlier"),
    ("5", r"step 500/1000 loss"),
    ("?", r"esc closes"),
    ("\x1b", r"(?s)\A(?!.*esc closes).*following"),  # or the next key would be typed with alt
)
_COLOUR = re.compile(r"(?:^|;)(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;|$)")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and its run."""
    root = tmp_path_factory.mktemp("project")
    with contextlib.chdir(root):
        write_project(Path())
    write_run(root / "run", "running")
    return root


class Walked:
    """What was seen on a walk through every screen."""

    def __init__(self, project: Path, variables: Mapping[str, str | None]) -> None:
        plain = {"COLORTERM": None, "NO_COLOR": None, "LC_ALL": "C.UTF-8"}
        chosen = {"CASCADE_TUI_ASCII": None, **plain, **variables}
        with Terminal([*APP, "config.toml"], (80, 24), chosen, project) as terminal:
            screen = terminal.screen
            self.texts: list[str] = []
            self.runs: dict[str, set[Look]] = {}
            for key, wanted in WALK:
                terminal.press(key)
                self.texts.append(terminal.shows(wanted))
                if key == "":
                    first = next(line for line in screen.lines if "model_family" in line)
                    self.selected_field = screen.looks_of(first[4:16])
                    self.other_field = screen.looks_of("model_type")
                elif key == "1":
                    self.selected_run = screen.looks_of("500/1000")
                    self.heading = screen.looks_of("img/s")
            terminal.press("q")
            assert terminal.wait_end() == 0
            self.output = b"".join(chunk for _, chunk in terminal.chunks)
            self.unknown = screen.unknown
        decoded = self.output.decode()
        self.styles = re.findall(r"\x1b\[([0-9;]*)m", decoded)


def colours(styles: list[str]) -> set[str]:
    """The sequences that set a colour."""
    return {style for style in styles if _COLOUR.search(style)}


@pytest.mark.parametrize("term", ["xterm", "screen"])
def test_eight_colours_are_enough_to_see_what_is_chosen_and_what_is_wrong(term, project):
    seen = Walked(project, {"TERM": term})
    assert colours(seen.styles)
    assert not [style for style in seen.styles if re.search(r"[34]8;[25];", style)]
    assert {look.background for look in seen.selected_field} == {"7"}
    assert {look.foreground for look in seen.selected_field} == {"0"}
    assert {look.background for look in seen.other_field} == {"0"}
    assert {look.background for look in seen.selected_run} == {"7"}


@pytest.mark.parametrize(
    "variables", [{"NO_COLOR": "1", "COLORTERM": "truecolor"}, {"TERM": "vt100"}], ids=str
)
def test_without_colours_what_is_chosen_is_reversed(variables, project):
    seen = Walked(project, variables)
    assert colours(seen.styles) == set()
    assert all("reverse" in look.attributes for look in seen.selected_field)
    assert not any("reverse" in look.attributes for look in seen.other_field)
    assert all("reverse" in look.attributes for look in seen.selected_run)


@pytest.mark.parametrize("variables", [{"TERM": "linux"}, {"LC_ALL": "C"}], ids=str)
def test_where_unicode_cannot_be_shown_every_byte_is_ascii(variables, project):
    seen = Walked(project, {"TERM": "xterm-256color", **variables})
    app, _, farewell = seen.output.partition(b"\x1b[?1049l")
    assert app.isascii()
    assert farewell.isascii()
    configure, runs, monitor, chart, _, gallery, log, keys, _ = seen.texts
    assert "\\u" not in "".join(seen.texts)
    assert "+- loss ---" in monitor
    assert "+- loss ---" in chart
    assert ">  run" in runs
    assert "left Earlier" in gallery
    assert "enter " in configure
    assert "?" not in monitor.replace("? Help", "")
    assert "step 500/1000 loss" in log
    assert "| Log" not in keys


def run(words: list[str], stdin: int, stdout: int) -> tuple[int, str]:
    """Exit code and stderr of a command whose stderr is no terminal."""
    ended = subprocess.run(
        [*APP, *words], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
    )
    return ended.returncode, ended.stderr


def test_without_a_terminal_one_line_says_what_there_is_in_place_of_the_app():
    code, message = run([], subprocess.DEVNULL, subprocess.DEVNULL)
    assert code == 2
    assert message.count("\n") == 1
    assert "--no-ui" in message
    assert "status --watch" in message


def test_a_dumb_terminal_is_told_so_and_does_not_train_what_was_to_be_looked_at(project):
    events = (project / "run" / "events.jsonl").read_bytes()
    with Terminal([*APP, "config.toml"], (80, 24), {"TERM": "dumb"}, project) as terminal:
        assert terminal.wait_end() == 2
        assert "TERM=dumb cannot show the app" in terminal.text()
        assert "\x1b" not in b"".join(chunk for _, chunk in terminal.chunks).decode()
    assert (project / "run" / "events.jsonl").read_bytes() == events


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "en_US"}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "de_DE.ISO-8859-15@euro"}, True),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False),
        ({"TERM": "linux", "LANG": "de_DE.UTF-8"}, True),
        ({"TERM": "linux", "LANG": "C", "CASCADE_TUI_ASCII": "0"}, False),
        ({"TERM": "xterm", "CASCADE_TUI_ASCII": "1"}, True),
    ],
    ids=str,
)
def test_locale_console_and_person_decide_on_ascii(variables, expected):
    assert needs_ascii(variables) is expected
