"""What the other views of a draft look like; after an intended change: --snapshot-update."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, go_to, open_app, until
from form_project import CONFIG, write_project
from textual.pilot import Pilot
from textual.widgets import OptionList

from cascade_tui.screens.compare import CompareScreen
from cascade_tui.screens.raw_text import RawTextScreen
from cascade_tui.screens.unsaved import ChangedUnderneath

SIZES = [(80, 24), (120, 36), (200, 50)]
MISSPELT = CONFIG.replace('mixed_precision = "no"', 'mixed_precision = "bf16"').replace(
    "lora_rank = 16", 'lora_rank = "16"\nlearnig_rate_end = 0'
)
pytestmark = pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x36", "200x50"])


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", "hf")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_compared_with_a_run(snap_compare, size: tuple[int, int]):
    run = Path("output/before")
    run.mkdir(parents=True)
    (run / "events.jsonl").write_text("")
    (run / "config.toml").write_text(CONFIG.replace("400", "900").replace("1e-4", "2e-4"))

    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await pilot.press("d")
        await until(pilot, lambda: isinstance(pilot.app.screen, CompareScreen))
        screen = pilot.app.screen
        assert isinstance(screen, CompareScreen)
        await pilot.press("o")
        listed = pilot.app.screen.query_one(OptionList)
        await until(pilot, lambda: listed.option_count)
        await pilot.press("r", "u", "n", "enter")
        await until(pilot, lambda: screen.is_read and screen.differences)
        await pilot.press("down")

    assert snap_compare(open_app(write_project(Path())), terminal_size=size, run_before=look)


def test_presets(snap_compare, size: tuple[int, int]):
    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await pilot.press("p")
        await until(pilot, lambda: pilot.app.screen.query_one(OptionList).highlighted is not None)

    assert snap_compare(open_app(write_project(Path())), terminal_size=size, run_before=look)


def test_text_with_problems(snap_compare, size: tuple[int, int]):
    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await go_to(pilot, "mixed_precision")
        await pilot.press("t")
        await until(pilot, lambda: isinstance(pilot.app.screen, RawTextScreen))
        screen = pilot.app.screen
        assert isinstance(screen, RawTextScreen)
        await until(pilot, lambda: screen.is_checked)

    app = open_app(write_project(Path(), MISSPELT))
    assert snap_compare(app, terminal_size=size, run_before=look)


def test_a_file_changed_underneath(snap_compare, size: tuple[int, int]):
    path = write_project(Path())

    async def look(pilot: Pilot[int]) -> None:
        await checked_form(pilot)
        await go_to(pilot, "use_ema")
        await pilot.press("space")
        path.write_text(CONFIG.replace("400", "900"))
        await pilot.press("w")
        assert isinstance(pilot.app.screen, ChangedUnderneath)
        await until(pilot, lambda: "+use_ema" in str(pilot.app.screen.query_one("#diff").render()))

    assert snap_compare(open_app(path), terminal_size=size, run_before=look)
