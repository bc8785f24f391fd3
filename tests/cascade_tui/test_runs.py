"""Runs: every run below a folder, in a line each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_pilot import checked_form, until
from form_project import CONFIG, ENVIRONMENT, write_project
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static
from textual.widgets._footer import FooterKey

from cascade_tui.app import CascadeApp
from cascade_tui.commands.status import describe_report, report
from cascade_tui.screens.compare_runs import CompareRunsScreen, _read_one, describe
from cascade_tui.screens.demo import DemoScreen
from cascade_tui.screens.guide import GuideScreen
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.screens.presets import PresetsScreen
from cascade_tui.screens.runs import RunsScreen
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.shipped_files import shipped_path
from cascade_tui.widgets.line_chart import LineChart
from cascade_tui.widgets.run_table import RunTable, make_row
from engine.config.frozen import freeze
from engine.config.loading import load_project
from engine.run.paths import RunDirectory
from engine.tiny import build
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def _lines(pilot: Pilot[int]) -> list[str]:
    await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
    screen = pilot.app.screen
    assert isinstance(screen, RunsScreen)
    await until(pilot, lambda: screen._reports is not None)
    await pilot.pause()
    table = screen.query_one(RunTable)
    return table.plain.splitlines()[1 : 1 + len(table.runs)] if table.display else []


def _said(pilot: Pilot[int], words: str) -> bool:
    return any(words in notice.message for notice in pilot.app._notifications)


def test_a_log_with_odd_values_keeps_its_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "odd", "running")
    odd = {"kind": "step", "step": 501, "loss": "nan", "images_per_second": "nan"}
    with run.events.open("a") as file:
        for moment in (1.0, "a", None):
            file.write(json.dumps({**odd, "t": moment}) + "\n")
    facts = report(run)
    assert facts["images_per_second"] is None
    assert make_row(facts, "odd").cells[1:4] == ("500/1000", "", "")
    assert "training at step 500 of 1000, its" in describe_report(facts)


async def test_each_run_is_a_line_with_its_state_and_enter_opens_it():
    write_run(Path("out/first"), "failed")
    write_run(Path("out/second"), "running")
    async with CascadeApp(runs_root=Path("out")).run_test(size=(80, 24)) as pilot:
        running, failed = await _lines(pilot)
        assert running.split()[:2] == ["▸", "second"]
        assert "● running" in running
        assert "500/1000" in running
        assert "✖ failed (1)" in failed
        assert "just now" in failed
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MonitorScreen))
        assert pilot.app.run_directory.root == Path("out/second")


async def test_a_finished_run_is_not_resumed_and_the_path_is_copied():
    write_run(Path("done"), "finished")
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("r", "y")
        assert pilot.app.clipboard == str(Path("done").absolute())
        await until(pilot, lambda: _said(pilot, "nothing to resume"))


def _write_tiny_model(folder: Path) -> None:
    """A folder that the builder takes for the model that it made."""
    folder.mkdir(parents=True)
    source = shipped_path("demo")
    receipt = build._receipt(source, source / build.PHOTOGRAPHS_NAME) | {"files": {}}
    (folder / build.RECEIPT_NAME).write_text(json.dumps(receipt))


async def test_without_runs_d_starts_the_demo_and_leads_to_its_run():
    write_project(Path())
    _write_tiny_model(Path("demo-output/stage-c-tiny"))
    config = Path("demo-output/demo.toml")  # one that is there is kept
    config.write_text('lora_rank = "no"')
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        assert await _lines(pilot) == []
        assert "d       train the demo" in str(pilot.app.screen.query_one("#empty").render())
        await pilot.press("d", "escape")
        assert not Path("demo-output/run").exists()
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, DemoScreen))
        question = pilot.app.screen
        await pilot.press("enter")
        news = question.query_one("#news", Static)
        await until(pilot, lambda: "not started" in str(news.render()))
        assert "lora_rank" in str(news.render())
        config.write_text(CONFIG)
        write_run(Path("demo-output/run"), "running")  # as if it went on from an earlier time
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.run_directory is not None)
        assert pilot.app.run_directory.root == Path("demo-output/run").absolute()
        await until(pilot, lambda: pilot.app.screen is pilot.app.monitor)


def _in_footer(pilot: Pilot[int]) -> list[str]:
    shown = pilot.app.screen.query("FooterKey").results(FooterKey)
    return [key.description for key in shown]


async def test_the_footer_offers_what_can_be_done_without_runs_and_with_the_first_one_all():
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await until(pilot, lambda: "Demo" in _in_footer(pilot))
        assert _in_footer(pilot) == ["New", "Begin", "Demo", "Preset", "Help", "Quit"]
        await pilot.press("slash", "r", "c", "y")
        assert not pilot.app._notifications
        assert not pilot.app.screen.query_one(Input).display
        write_run(Path("first"), "finished")
        pilot.app.screen._look()
        await until(pilot, lambda: "Compare" in _in_footer(pilot))
        assert "Demo" not in _in_footer(pilot)
        await until(pilot, lambda: isinstance(pilot.app.screen.focused, RunTable))
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, MonitorScreen))


async def test_without_runs_n_asks_for_a_folder_p_for_a_preset_and_o_shows_examples():
    async with CascadeApp(environment=ENVIRONMENT).run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(pilot.app.screen, GuideScreen))
        assert pilot.app.screen.focused is pilot.app.screen.query_one("#folder")
        await pilot.press("escape", "p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PresetsScreen))
        await until(pilot, lambda: pilot.app.screen.query_one(OptionList).option_count)
        await pilot.press("enter")
        form = pilot.app.form
        await until(pilot, lambda: pilot.app.screen is form)
        assert not Path("my-run.toml").exists()
        await pilot.press("1")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))
        await pilot.press("p")  # the config is not saved: it is not thrown away
        await until(pilot, lambda: _said(pilot, "not saved"))
        await pilot.press("2")
        await until(pilot, lambda: pilot.app.screen is form)
        await pilot.press("w")
        await until(pilot, lambda: Path("my-run.toml").exists())
        await pilot.press("1", "o")
        await until(pilot, lambda: isinstance(pilot.app.screen, WelcomeScreen))


def test_runs_are_compared_by_their_results_and_options():
    config = write_project(Path())
    project = load_project(config, environment=ENVIRONMENT, check=False)
    assert project.config is not None
    for name in ("one", "two"):
        run = write_run(Path("out") / name, "finished")
        freeze(project, run.root)
    text = run.config.read_text().replace("lora_rank = ", "lora_rank = 1", 1)
    run.config.write_text(text)
    runs = [
        _read_one(letter, RunDirectory(Path("out") / name), name)
        for letter, name in (("A", "one"), ("B", "two"))
    ]
    told = describe(runs, 76).plain
    assert "1 option differs" in told
    assert "lora_rank" in told
    assert "finished" in told


async def test_a_config_made_of_a_run_has_its_own_folder_and_leaves_the_run_as_it_is():
    config = write_project(Path())
    run = write_run(Path("out/one"), "finished")
    freeze(load_project(config, environment=ENVIRONMENT, check=False), run.root)
    before = {path: path.read_bytes() for path in run.root.glob("*.*")}
    app = CascadeApp(runs_root=Path("out"), environment=ENVIRONMENT)
    async with app.run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("n")
        form = await checked_form(pilot)
        assert form.draft.document.path == Path("one-2.toml")
        assert form.draft.document.get("output_dir") == str(Path("out/one-2").resolve())
        backends = form.draft.backends_document
        assert backends is not None
        assert backends.path.resolve() == Path("one-2-data.json").resolve()
    assert before == {path: path.read_bytes() for path in run.root.glob("*.*")}


async def test_read_only_neither_resumes_nor_copies_a_config():
    write_run(Path("done"), "failed")
    async with CascadeApp(is_readonly=True).run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("n", "r")
        await until(pilot, lambda: _said(pilot, "read only"))
    assert not list(Path().glob("*.toml"))


def test_how_long_ago_a_run_ended_changes_once_a_minute():
    facts = {"state": "lost-at-reboot", "run": "a", "alive": False, "exit_code": None, "step": 3}
    facts |= {"max_train_steps": 9, "loss": None, "images_per_second": None}
    rows = [make_row(facts | {"heartbeat_age_seconds": age}, "a") for age in (61.0, 119.0, 120.0)]
    assert rows[0] == rows[1] != rows[2]
    assert rows[0].cells == ("✖ lost at reboot", "3/9", "", "", "1 min ago")


async def test_marked_runs_are_shown_beside_each_other_and_the_keys_work_there():
    write_run(Path("a"), "finished")
    write_run(Path("b"), "failed")
    async with CascadeApp().run_test(size=(80, 24)) as pilot:
        await _lines(pilot)
        await pilot.press("c")
        await until(pilot, lambda: _said(pilot, "mark two runs or more"))
        await pilot.press("space", "space", "c")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareRunsScreen))
        screen = pilot.app.screen
        await until(pilot, lambda: bool(screen.compared))
        chart = screen.query_one(LineChart)
        await until(pilot, lambda: "A b · B a" in chart.plain)  # b was heard of last
        await pilot.press("y", "j")
        assert chart.is_log
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(pilot.app.screen, RunsScreen))


async def test_the_filter_shows_runs_that_hold_the_words_and_escape_shows_all():
    for name in ("shiba", "corgi"):
        write_run(Path("out") / name, "finished")
    async with CascadeApp(runs_root=Path("out")).run_test(size=(100, 24)) as pilot:
        assert len(await _lines(pilot)) == 2
        await pilot.press("slash", *"corgi")
        table = pilot.app.screen.query_one(RunTable)
        await until(pilot, lambda: [row.name for row in table.runs] == ["corgi"])
        await pilot.press("escape")
        await until(pilot, lambda: len(table.runs) == 2)
