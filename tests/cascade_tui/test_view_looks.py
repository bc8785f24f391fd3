"""How the other views of a config look: every size, state and brightness, beside stored pictures.

After an intended change: pytest --snapshot-update, and look.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until, write
from form_project import CONFIG, write_project
from looks import Looks, shown
from textual.pilot import Pilot
from textual.widgets import OptionList, Static

from cascade_tui.screens.accelerate import AccelerateScreen
from cascade_tui.screens.choose_source import ChooseSource
from cascade_tui.screens.compare import CompareScreen
from cascade_tui.screens.forecast import ForecastScreen
from cascade_tui.screens.help import HelpScreen
from cascade_tui.screens.parse_error import ParseErrorScreen
from cascade_tui.screens.presets import PresetsScreen
from cascade_tui.screens.prompts import PromptsScreen
from cascade_tui.screens.raw_text import RawTextScreen
from cascade_tui.screens.refused import LaunchRefused
from cascade_tui.screens.unsaved import ChangedUnderneath, UnsavedEdits
from cascade_tui.screens.welcome import WelcomeScreen
from cascade_tui.widgets.launch_text import describe_plan

PROMPTS = (
    CONFIG + 'fog = "a valley under morning fog"\n"old sailor" = "an old sailor, window light"\n'
)
MISSPELT = CONFIG.replace('mixed_precision = "no"', 'mixed_precision = "bf16"').replace(
    "lora_rank = 16", 'lora_rank = "16"\nlearnig_rate_end = 0'
)
"""Its problems name no path: those of a test are always others."""
CLASH = PROMPTS + '"old/sailor" = "x"\nnothing = ""\n'
COMMAND = (
    *("python", "-m", "accelerate.commands.launch", "--quiet", "--num_processes=1"),
    *("--num_machines=1", "--mixed_precision=no", "--dynamo_backend=no"),
    *("-m", "engine.train", "/home/ada/run"),
)
"""That of a test names paths and a number of threads, which are always others."""

pytestmark = pytest.mark.parametrize("theme", ["dark", "light"])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, roomy_disk: None) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "hf")
    monkeypatch.setenv("XDG_STATE_HOME", "state")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


async def _form(pilot: Pilot[int], *keys: str) -> None:
    await checked_form(pilot)
    await pilot.press(*keys)


async def test_welcome(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await pilot.press("o")
        await shown(pilot, WelcomeScreen)

    await looks.compare(open_app(None), theme, look)


async def test_a_malformed_file(looks: Looks, theme) -> None:
    Path("config.json").write_text('{\n  "seed": 1,\n  "lora_rank" 16\n}\n')

    async def look(pilot: Pilot[int]) -> None:
        await shown(pilot, ParseErrorScreen)

    await looks.compare(open_app(Path("config.json")), theme, look)


async def test_a_field_being_edited_wrongly(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot)
        await go_to(pilot, "learning_rate")
        await pilot.press("enter", "x")

    await looks.compare(open_app(write_project(Path())), theme, look)


@pytest.mark.parametrize("kind", ["empty", "valid", "wrong"])
async def test_prompts(looks: Looks, kind, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "V")
        await shown(pilot, PromptsScreen)
        await pilot.press("down")

    none = CONFIG[: CONFIG.index("[validation_prompts]")]
    config = {"empty": none, "valid": PROMPTS, "wrong": CLASH}[kind]
    app = open_app(write_project(Path(), config))
    await looks.compare(app, theme, look)


@pytest.mark.parametrize("kind", ["valid", "wrong"])
async def test_accelerate(looks: Looks, kind, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "a")
        screen = await shown(pilot, AccelerateScreen)
        assert isinstance(screen, AccelerateScreen)
        await until(pilot, lambda: screen.is_checked and screen.plan is not None)
        await until(pilot, lambda: all(worker.is_finished for worker in pilot.app.workers))
        await pilot.pause()
        assert screen.plan is not None
        plan = replace(screen.plan, command=COMMAND)
        screen.query_one("#plan", Static).update(describe_plan(plan, screen._own_problems))
        await pilot.pause()

    config = CONFIG if kind == "valid" else CONFIG.replace('"no"', '"fp16"\nnum_processes = 4')
    app = open_app(write_project(Path(), config))
    await looks.compare(app, theme, look)


async def test_presets(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "p")
        listed = (await shown(pilot, PresetsScreen)).query_one(OptionList)
        await until(pilot, lambda: listed.highlighted is not None)

    await looks.compare(open_app(write_project(Path())), theme, look)


@pytest.mark.parametrize("kind", ["same", "choosing", "differs"])
async def test_compare(looks: Looks, kind, theme) -> None:
    run = Path("output/before")
    run.mkdir(parents=True)
    (run / "events.jsonl").write_text("")
    (run / "config.toml").write_text(CONFIG.replace("400", "900").replace("1e-4", "2e-4"))

    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "d")
        screen = await shown(pilot, CompareScreen)
        assert isinstance(screen, CompareScreen)
        await until(pilot, lambda: screen.is_read)
        if kind == "same":
            return
        await pilot.press("o")
        listed = (await shown(pilot, ChooseSource)).query_one(OptionList)
        await until(pilot, lambda: listed.option_count)
        if kind == "differs":
            await write(pilot, "run")
            await pilot.press("enter")
            await until(pilot, lambda: screen.is_read and screen.differences)
            await pilot.press("down")
        await pilot.pause()

    await looks.compare(open_app(write_project(Path())), theme, look)


@pytest.mark.parametrize("kind", ["valid", "wrong"])
async def test_text(looks: Looks, kind, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot)
        await go_to(pilot, "mixed_precision")
        await pilot.press("t")
        screen = await shown(pilot, RawTextScreen)
        assert isinstance(screen, RawTextScreen)
        await until(pilot, lambda: screen.is_checked)

    app = open_app(write_project(Path(), {"valid": CONFIG, "wrong": MISSPELT}[kind]))
    await looks.compare(app, theme, look)


async def test_a_file_changed_underneath(looks: Looks, theme) -> None:
    path = write_project(Path())

    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        path.write_text(CONFIG.replace("400", "900"))
        await pilot.press("w")
        told = (await shown(pilot, ChangedUnderneath)).query_one("#diff", Static)
        await until(pilot, lambda: "+use_ema" in str(told.render()))

    await looks.compare(open_app(path), theme, look)


async def test_edits_not_saved(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space", "q")
        await shown(pilot, UnsavedEdits)
        form = pilot.app.screen_stack[-2]
        await until(pilot, lambda: form.is_checked)
        await pilot.pause()

    await looks.compare(open_app(write_project(Path())), theme, look)


async def test_not_launched(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "L")
        await shown(pilot, LaunchRefused)

    app = open_app(write_project(Path(), MISSPELT))
    await looks.compare(app, theme, look)


async def test_help(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "question_mark")
        await shown(pilot, HelpScreen)

    await looks.compare(open_app(write_project(Path())), theme, look)


async def test_forecast(looks: Looks, theme) -> None:
    async def look(pilot: Pilot[int]) -> None:
        await _form(pilot, "v")
        await shown(pilot, ForecastScreen)

    await looks.compare(open_app(write_project(Path())), theme, look)
