"""What the run of a config will take: learned from earlier runs, told in the form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import CONFIG, ENVIRONMENT, write_project
from PIL import Image
from textual.widgets import Static

from cascade_tui.forecasting import forecast_run, long_lines, measured_step, short_words
from cascade_tui.launching import run_directory_of
from cascade_tui.screens.forecast import ForecastScreen
from cascade_tui.widgets.verdict import Verdict
from engine.config.environment import Environment, Gpu
from engine.config.frozen import freeze
from engine.config.loading import Project, load_project
from engine.run.events import EventWriter

H100 = ENVIRONMENT.gpus[0]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roomy_disk: None) -> Path:
    """A config with twelve pictures, whose runs lie in ``output``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "hf")
    path = write_project(Path(), CONFIG.replace('output_dir = "run"', 'output_dir = "output/a"'))
    for number in range(11):  # beside the one of the project
        Image.new("RGB", (64, 64)).save(f"photographs/{number}.png")
    return path


def load(path: Path, *overrides: str) -> Project:
    project = load_project(path, overrides, environment=ENVIRONMENT)
    assert project.config is not None
    return project


def leave_run(
    path: Path, name: str, seconds: float, *overrides: str, card: str = H100.name
) -> None:
    """A run beside the config's own, each of whose steps took that long."""
    project = load(path, f'output_dir="output/{name}"', *overrides)
    run = run_directory_of(project)
    run.root.mkdir(parents=True)
    freeze(project, run.root)
    run.meta.write_text(json.dumps({"hardware": {"name": card}}))
    with EventWriter(run.events) as events:
        for step in range(1, 11):
            events.emit("step", step=step, loss=0.1, seconds=seconds)


def measured(path: Path, *overrides: str) -> tuple[float, str] | None:
    project = load(path, *overrides)
    assert project.config is not None
    return measured_step(project.config, project.backends, ENVIRONMENT)


def test_a_step_takes_as_long_as_in_the_newest_run_of_the_kind_on_such_a_card(config: Path):
    assert measured(config) is None
    leave_run(config, "other-card", 9.0, card="NVIDIA GeForce RTX 4090")
    leave_run(config, "other-batch", 8.0, "train_batch_size=7")
    leave_run(config, "other-size", 7.0, "data_backend.barns.resolution=512")
    assert measured(config) is None
    leave_run(config, "older", 2.0, "learning_rate=3e-5", "max_train_steps=99")
    assert measured(config) == (2.0, "as measured in older")
    leave_run(config, "newer", 1.5)
    assert measured(config) == (1.5, "as measured in newer")
    assert measured(config, "train_batch_size=7") == (8.0, "as measured in other-batch")


def test_runs_that_are_damaged_or_too_short_tell_nothing(config: Path):
    leave_run(config, "damaged", 1.0)
    Path("output/damaged/config.toml").write_text("= nonsense")
    leave_run(config, "short", 1.0)
    events = Path("output/short/events.jsonl")
    events.write_text("\n".join(events.read_text().splitlines()[:2]) + "\n")
    leave_run(config, "odd", 1.0)
    Path("output/odd/meta.json").write_text("[]")
    assert measured(config) is None


def test_the_forecast_counts_the_pictures_and_the_room_and_says_where_its_time_comes_from(config):
    leave_run(config, "before", 2.0)
    project = load(config)
    told = forecast_run(project.config, project.backends, ENVIRONMENT)
    lines = dict(long_lines(told))
    assert lines["training"] == "about 13 min: 400 steps of 2.0 s, as measured in before"
    assert lines["caches"] == "about 2.8 MB for 12 pictures; 1.0 TB are free there"
    assert lines["GPU memory"].endswith("in training; NVIDIA H100 has 85.0 GB")
    assert short_words(told)[1:] == ["~13 min", "cache ~2.8 MB of 1.0 TB"]


def test_a_card_that_is_too_small_is_told_so_and_none_is_not_missed(config):
    project = load(config)
    small = Environment((Gpu("a small card", 8_000_000_000, 0),), ENVIRONMENT.packages)
    told = forecast_run(project.config, project.backends, small)
    assert dict(long_lines(told))["GPU memory"].endswith("a small card has 8.0 GB, too little")
    nothing = forecast_run(project.config, project.backends, Environment((), frozenset()))
    assert dict(long_lines(nothing))["GPU memory"].endswith("no GPU was found here")
    assert "known after a first run here" in dict(long_lines(nothing))["training"]


async def test_the_form_tells_it_in_the_verdict_and_in_full_on_v(config: Path):
    leave_run(config, "before", 2.0)
    app = open_app(config)
    async with app.run_test(size=(120, 36)) as pilot:
        screen = await checked_form(pilot)
        verdict = str(screen.query_one(Verdict).content)
        assert "~13 min" in verdict
        assert "cache ~2.8 MB of 1.0 TB" in verdict
        await pilot.press("v")
        await until(pilot, lambda: isinstance(pilot.app.screen, ForecastScreen))
        text = str(pilot.app.screen.query_one(Static).content)
        assert "400 steps of 2.0 s, as measured in before" in text
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen)
