"""The Log: opens at its end, follows, searches, shows only what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import until
from textual.pilot import Pilot

from cascade_tui.app import CascadeApp
from cascade_tui.screens.log import LogScreen
from cascade_tui.widgets.log_view import LogView
from tests.cascade_tui.run_fixture import write_run


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _app() -> CascadeApp:
    run = write_run(Path("shiba-lora"), "failed")
    lines = [f"step {n} loss 0.1" for n in range(300)]
    lines[40] = "UserWarning: 3 images have no caption"
    text = "\n".join(lines) + "\n 10%|#   |\r 100%|####|\n" + run.console_log.read_text()
    run.console_log.write_text(text)
    return CascadeApp(run_directory=run.root)


async def _opened(pilot: Pilot[int]) -> LogView:
    await pilot.press("5")
    await until(pilot, lambda: isinstance(pilot.app.screen, LogScreen))
    await until(pilot, lambda: bool(pilot.app.screen.query(LogView)))
    view = pilot.app.screen.query_one(LogView)
    await until(pilot, lambda: "traceback" in view.plain)
    return view


async def test_it_opens_at_the_end_with_the_traceback_folded_and_enter_unfolds_it():
    async with _app().run_test(size=(80, 24)) as pilot:
        view = await _opened(pilot)
        assert "▸ traceback of 3 lines: torch.OutOfMemoryError" in view.plain
        assert "trainer.py" not in view.plain
        assert "10%|#   |" not in view.plain
        await pilot.press("enter")
        assert "trainer.py" in view.plain


async def test_searching_goes_up_from_the_end_and_n_again():
    async with _app().run_test(size=(80, 24)) as pilot:
        view = await _opened(pilot)
        await pilot.press("slash", *"UserWarning", "enter")
        await until(pilot, lambda: "› ▲ UserWarning: 3 images" in view.plain)
        await pilot.press("n")
        await until(pilot, lambda: "no other" in str(pilot.app.screen.query_one("#head").render()))


async def test_the_filter_leaves_errors_and_warnings_then_errors_then_everything():
    async with _app().run_test(size=(80, 24)) as pilot:
        view = await _opened(pilot)
        await pilot.press("e")
        await until(pilot, lambda: "UserWarning" in view.plain)
        assert len(view.plain.split()) < 30
        await pilot.press("e")
        await until(pilot, lambda: "traceback" in view.plain and "UserW" not in view.plain)
        await pilot.press("e")
        await until(pilot, lambda: "step 299" in view.plain)


async def test_it_follows_until_one_goes_up_and_again_from_the_end():
    app = _app()
    async with app.run_test(size=(80, 24)) as pilot:
        view = await _opened(pilot)
        path = app.run_directory.console_log
        path.write_text(path.read_text() + "new line\n")
        await until(pilot, lambda: "new line" in view.plain)
        await pilot.press("g")
        assert "step 0 " in view.plain
        assert not view.is_following
        await pilot.press("G")
        assert "new line" in view.plain
