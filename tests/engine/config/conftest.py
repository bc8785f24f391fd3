"""A project on disk that has nothing wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_project import ProjectFiles


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectFiles:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    return ProjectFiles(tmp_path)


@pytest.fixture(autouse=True)
def any_disk(roomy_disk: None) -> None:
    """Problems must not depend on how full the disk is that the tests run on."""
