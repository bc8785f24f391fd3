"""How the Monitor looks, compared with stored pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import Kind, write_run
from tests.cascade_tui.test_monitor import GPU, NO_GPU, MonitorApp, settle


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=["80x24", "120x36"])
@pytest.mark.parametrize("kind", ["empty", "running", "failed"])
def test_monitor(
    snap_compare: Callable[..., bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
    size: tuple[int, int],
) -> None:
    write_run(tmp_path / "shiba-lora", kind)
    monkeypatch.chdir(tmp_path)  # the path of the log is shown
    run = RunDirectory(Path("shiba-lora"))
    app = MonitorApp(run, NO_GPU if kind == "empty" else GPU)
    assert snap_compare(app, terminal_size=size, run_before=settle)
