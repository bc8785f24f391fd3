"""Screenshots come without a terminal, with the data in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_project import write_project

from cascade_tui.screenshots import main


def test_form_and_datasets_are_pictured_at_both_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    config = write_project(tmp_path)
    assert main(["--config", str(config), "--to", "pictures"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 8
    assert all(Path(line).is_file() for line in printed)
    for size in ("120x36", "80x24"):
        svg = (tmp_path / "pictures" / f"configure-{size}.svg").read_text()
        assert "lora_rank" in svg or "model_family" in svg
        png = tmp_path / "pictures" / f"configure-{size}.png"
        assert png.read_bytes().startswith(b"\x89PNG")
