"""Themes and read only: chosen, remembered, refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import ENVIRONMENT, write_project
from rich.segment import Segment
from textual.color import Color
from textual.widgets import Static

from cascade_tui import cli
from cascade_tui.app import CascadeApp
from cascade_tui.screens.monitor import MonitorScreen
from cascade_tui.themes import THEMES, ansi_colours, theme_file
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


async def test_a_theme_chosen_by_its_key_is_there_again_at_the_next_start():
    async with open_app(None).run_test(size=(80, 24)) as pilot:
        await pilot.press("T")
        assert pilot.app.theme == THEMES["light"]
        await pilot.press("T")
        await pilot.pause()
    assert theme_file().read_text() == "high-contrast\n"
    assert CascadeApp().theme == "high-contrast"
    assert CascadeApp(theme="colour-blind").theme == "colour-blind"


def test_the_command_line_offers_the_themes_that_there_are():
    assert tuple(THEMES) == cli._THEMES


def _contrast(one: Color, other: Color) -> float:
    """The ratio of WCAG 2.2 between two colours: 1 to 21."""
    darker, lighter = sorted(_luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.rgb]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(("name", "least"), [*zip(THEMES, (4.5, 4.5, 7.0, 4.5), strict=True)])
def test_words_of_every_colour_can_be_read_on_every_ground(name: str, least: float):
    theme = CascadeApp(theme=name).current_theme
    variables = theme.to_color_system().generate()
    words = ("error", "warning", "success", "primary", "secondary", "accent")
    for ground in ("background", "surface"):
        ground_colour = Color.parse(variables[ground])
        muted = ground_colour.blend(Color.parse(variables["foreground"]), 0.6, alpha=1.0)
        assert _contrast(muted, ground_colour) >= least, f"muted on {ground}"
        frame = ground_colour.blend(Color.parse(variables["foreground"]), 0.4, alpha=1.0)
        assert _contrast(frame, ground_colour) >= 2.2, f"a frame on {ground}"
        for word in words:
            contrast = _contrast(Color.parse(variables[f"text-{word}"]), ground_colour)
            assert contrast >= least, f"{word} on {ground}: {contrast:.1f}"


async def test_a_red_word_has_the_colour_of_errors_in_each_theme(tmp_path: Path):
    run = write_run(tmp_path / "run", "failed")
    app = CascadeApp(run_directory=run.root)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "failed" in app.export_screenshot())
        for name in THEMES.values():
            app.theme = name
            await pilot.pause()
            colour = ansi_colours(app.current_theme).ansi_colors[1]
            assert "#{:02x}{:02x}{:02x}".format(*colour) in app.export_screenshot().lower(), name


async def test_read_only_saves_no_config_and_commands_no_run():
    path = write_project(Path())
    run = write_run(Path("run"), "running")
    before = path.read_bytes()
    app = CascadeApp(path, environment=ENVIRONMENT, is_readonly=True)
    async with app.run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        assert "read only" in str(form.query_one("#title", Static).content)
        form.draft.set("learning_rate", 3e-5)
        await pilot.press("w", "L")
        assert not form.save()
        app.open_run(RunDirectory(run.root))
        await until(pilot, lambda: isinstance(app.screen, MonitorScreen))
        await pilot.press("c", "p", "S")
        await pilot.pause()
        assert isinstance(app.screen, MonitorScreen)
        assert sum("would change" in notice.message for notice in app._notifications) >= 5
    assert path.read_bytes() == before
    assert not run.control.exists()


@pytest.mark.parametrize("theme", THEMES)
async def test_alerts_problems_and_outcomes_can_be_read_in_every_theme(theme: str, tmp_path: Path):
    run = write_run(tmp_path / "shiba", "running")
    with EventWriter(run.events) as writer:
        writer.emit("problem", severity="error", message="a broken tooth", fix="a dentist")
    app = CascadeApp(run_directory=run.root, theme=theme)
    async with app.run_test(size=(160, 24)) as pilot:

        def words() -> list[Segment]:
            """All that stands in the line of news, once it is there."""
            parts = app.screen.query("AlertStrip, #notice")
            rows = [row for part in parts for row in part.render_lines(part.size.region)]
            return [segment for row in rows for segment in row if segment.text.strip()]

        async with asyncio.timeout(30):
            while not {"▲", "✖"} <= {word.text.strip()[0] for word in words()}:
                await pilot.pause(0.02)
        for word in words():
            style = word.style
            assert style is not None
            ink, paper = (Color.from_rich_color(c) for c in (style.color, style.bgcolor))
            assert _contrast(ink, paper) >= 4.5, word.text
