"""stage-c-tiny, built once for these tests by the command that the demo runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny") / "stage-c-tiny"
    subprocess.run([sys.executable, "-m", "engine.tiny.build", str(root)], check=True)
    return root
