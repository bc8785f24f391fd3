"""The line of keys: what fits, and always the way out."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets._footer import FooterKey

from cascade_tui.app import CascadeApp
from tests.cascade_tui.run_fixture import Kind, write_run
from tests.cascade_tui.test_monitor import until


@pytest.mark.parametrize(
    ("kind", "width", "expected"),
    [
        ("running", 40, "c Checkpoint v Validate ? Help q Quit"),
        (
            "running",
            80,
            "c Checkpoint v Validate p Pause S Stop… A Abort… i Change… l Log ? Help q Quit",
        ),
        (
            "running",
            120,
            "c Checkpoint v Validate p Pause S Stop… A Abort… i Change… l Log "
            "g Gallery f Chart u GPUs ! Alerts ? Help q Quit",
        ),
        (
            "paused",
            80,
            "c Checkpoint v Validate S Stop… A Abort… i Change… r Resume l Log ? Help q Quit",
        ),
        ("failed", 40, "r Resume l Log g Gallery ? Help q Quit"),
    ],
)
async def test_the_footer_of_the_monitor_fills_its_line_and_ends_with_the_way_out(
    tmp_path: Path, kind: Kind, width: int, expected: str
) -> None:
    app = CascadeApp(run_directory=write_run(tmp_path / "shiba", kind).root)

    def line() -> str:
        keys = app.screen.query(FooterKey)
        return " ".join(f"{key.key_display} {key.description}" for key in keys)

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Help" in line())
        await pilot.resize_terminal(width, 24)
        await until(pilot, lambda: line() == expected)
        assert all(key.region.right <= width for key in app.screen.query(FooterKey))


async def test_read_only_the_footer_offers_nothing_that_changes_the_run(tmp_path: Path) -> None:
    app = CascadeApp(run_directory=write_run(tmp_path / "shiba", "running").root, is_readonly=True)

    def offered() -> list[str]:
        return [key.description for key in app.screen.query(FooterKey)]

    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "Gallery" in offered())
        assert not {"Checkpoint", "Pause", "Stop…", "Abort…", "Change…"} & {*offered()}
        assert offered()[-2:] == ["Help", "Quit"]
