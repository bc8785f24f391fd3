"""What was opened last: remembered, offered in the palette, opened again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import write_project
from textual.command import CommandList, CommandPalette
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.palette import open_again
from cascade_tui.recent import recent_file, recently_opened, remember
from cascade_tui.screens.configure import ConfigureScreen
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.unsaved import UnsavedEdits
from cascade_tui.widgets.run_header import RunHeader
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HOME", str(tmp_path))


def recent_paths() -> list[Path]:
    return [recent.path for recent in recently_opened()]


def offered(pilot: Pilot[int]) -> list[str]:
    """What the palette shows, without what it says about each."""
    screen = pilot.app.screen
    if not isinstance(screen, CommandPalette):
        return []
    options = screen.query_one(CommandList).options
    return [str(option.prompt).splitlines()[0] for option in options]


async def choose(pilot: Pilot[int], words: str, entry: str) -> None:
    """Search in the palette and take the first entry."""
    await pilot.press("ctrl+p", *words)
    await until(pilot, lambda: offered(pilot)[:1] == [entry])
    await pilot.press("enter")
    await until(pilot, lambda: not isinstance(pilot.app.screen, CommandPalette))


async def test_the_palette_opens_again_what_was_opened_last_and_asks_before_edits_are_lost():
    config = write_project(Path())
    runs = [write_run(Path(name), "finished").root.absolute() for name in ("[b]one", "two", "gone")]
    for path in (config, *runs):
        remember(path)
    shutil.rmtree(runs[2])
    async with open_app(None).run_test(size=(120, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, CascadeApp)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        last = "Open config config.toml — ~/config.toml"
        await pilot.press("ctrl+p")
        await until(pilot, lambda: last in offered(pilot))
        assert offered(pilot)[:3] == [
            "Open run two — ~/two",
            "Open run [b]one — ~/[b]one",
            last,
        ]
        await pilot.press("escape")

        await choose(pilot, "one", "Open run [b]one — ~/[b]one")
        await until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        assert app.screen.run.root.name == "[b]one"
        await until(pilot, lambda: recent_paths()[0] == runs[0])

        await choose(pilot, "toml", last)
        form = await checked_form(pilot)
        form.draft.set("learning_rate", 3e-5)
        other = Path(shutil.copy(config, "other.toml"))
        open_again(app, next(r for r in recently_opened() if r.kind == "config"))
        assert app.screen is form  # it is open already
        remember(other)
        open_again(app, recently_opened()[0])
        await until(pilot, lambda: isinstance(app.screen, UnsavedEdits))
        await pilot.press("escape")
        assert app.screen is form
        app.open_path(other)  # as from the screens Runs and Welcome
        await until(pilot, lambda: isinstance(app.screen, UnsavedEdits))
        await pilot.press("d")
        await until(
            pilot,
            lambda: (
                isinstance(app.screen, ConfigureScreen) and app.screen.draft.document.path == other
            ),
        )


async def test_read_only_is_told_in_the_header_and_remembers_nothing():
    run = write_run(Path("run"), "finished")
    app = CascadeApp(run_directory=run.root, is_readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        monitor = app.screen
        assert isinstance(monitor, MonitorScreen)
        await until(pilot, lambda: monitor.snapshot is not None and not monitor.snapshot.is_partial)
        header = monitor.query_one(RunHeader)
        for width in (40, 80, 200):  # it is told before the facts about the run
            assert "read only" in header.make_lines(width)[0].plain
    assert not recent_file().exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff", b'{"a": 1}', b'[1, null, "/no/where", "\\u0000"]']
)
def test_a_file_that_is_broken_is_an_empty_one_and_is_replaced(content: bytes):
    run = write_run(Path("run"), "finished")
    recent_file().parent.mkdir(parents=True)
    recent_file().write_bytes(content)
    assert recently_opened() == []
    remember(run.root)
    assert recent_paths() == [run.root.absolute()]


def test_the_last_eight_that_are_there_are_listed_each_once():
    roots = [write_run(Path(f"run-{number}"), "empty").root for number in range(10)]
    for root in (*roots, roots[3]):
        remember(root)
    expected = [roots[3], *reversed(roots)][:9]
    assert recent_paths() == [root.absolute() for root in dict.fromkeys(expected)][:8]
