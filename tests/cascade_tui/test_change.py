"""Changing a run that goes on: the form of the Monitor, and the command."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, Static

from cascade_tui.cli import main
from cascade_tui.screens.change import ChangeForm
from engine.config.environment import Environment
from engine.config.frozen import freeze
from engine.config.loading import load_project
from engine.run.control import Command, pending
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.form_project import write_project
from tests.cascade_tui.run_fixture import write_run
from tests.cascade_tui.test_monitor import MonitorApp, settle, until


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunDirectory:
    """A run that goes on, with a frozen config that has the prompt `barn`."""
    config = write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "barns", "running")
    freeze(load_project(config, environment=Environment((), frozenset()), check=False), run.root)
    return run


def sent(run: RunDirectory) -> Command:
    [command] = pending(run)
    return command


async def test_i_changes_intervals_and_prompts_and_shows_the_answer(run: RunDirectory) -> None:
    app = MonitorApp(run)
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ChangeForm))
        form = app.screen

        def verdict() -> str:
            return str(form.query_one("#verdict", Static).content)

        await pilot.press("enter")  # nothing to send
        assert app.screen is form
        field = form.query(Input).first()
        assert field.has_focus
        assert field.value == "500"
        await pilot.press("backspace", "backspace", "backspace", "0")
        assert "checkpoint_step_interval: is 0, expected a whole number from 1 to " in verdict()
        await pilot.press("enter")
        assert app.screen is form
        await pilot.press("backspace", "2", "5", "down", "down", "down", "end", "x")
        await pilot.press("tab", *"cat")
        assert "needs a name and a text" in verdict()
        await pilot.press("tab", *"tom")
        assert verdict() == (
            "• checkpoint_step_interval 500 → 25\n"
            "• validation_prompts.barn “a red barn in the snow” → “a red barn in the snowx”\n"
            "• validation_prompts.cat nothing → “tom”"
        )
        await pilot.press("enter")
        text = app.monitor.query_one("#command", Static)
        await until(pilot, lambda: str(text.content) == "› change: waiting for the run")
        command = sent(run)
        assert command.arguments == {
            "options": {"checkpoint_step_interval": 25},
            "prompts": {"barn": "a red barn in the snowx", "cat": "tom"},
        }
        with EventWriter(run.events) as writer:
            answer = {"id": command.id, "command": "change", "step": 500}
            writer.emit("command", **answer, state="refused", message="no room")
        command.path.unlink()
        await until(pilot, lambda: str(text.content) == "› change: refused: no room")

        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ChangeForm))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.monitor)
        assert not pending(run)


async def test_i_says_why_a_run_that_is_over_cannot_be_changed(tmp_path: Path) -> None:
    app = MonitorApp(write_run(tmp_path / "shiba", "failed"))
    async with app.run_test() as pilot:
        await settle(pilot)
        await pilot.press("i")
        await until(pilot, lambda: bool(app._notifications))
        [notification] = app._notifications
        assert "nothing runs in" in notification.message


def test_the_command_checks_before_it_sends(
    run: RunDirectory, capsys: pytest.CaptureFixture[str]
) -> None:
    change = ["change", str(run.root)]
    assert main([*change, "learning_rate=1", "checkpoint_step_interval=0"]) == 2
    error = capsys.readouterr().err
    assert "error: learning_rate: learning_rate cannot be changed while the run goes on" in error
    assert "error: checkpoint_step_interval: is 0" in error
    assert not pending(run)

    assert main([*change, "validation_step_interval=50", "validation_prompts.barn="]) == 0
    command = sent(run)
    assert capsys.readouterr().out.strip() == command.id
    assert command.arguments == {
        "options": {"validation_step_interval": 50},
        "prompts": {"barn": None},
    }
