"""The engine runs without the app: a trainer never loads textual or cascade_tui."""

import subprocess
import sys

import pytest

_LIGHT = {"torch", "numpy", "PIL", "textual", "rich", "cascade_tui"}
_APP = {"textual", "cascade_tui"}


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("engine.train, engine.training.setup, engine.tiny.build, engine.models.decoder", _APP),
        ("engine.config.loading, engine.config.frozen, engine.config.presets", _LIGHT),
        ("engine.run.supervisor, engine.run.launch, engine.run.control", _LIGHT | {"pydantic"}),
    ],
    ids=["trainer", "config", "run"],
)
def test_no_process_loads_what_is_not_its_own(modules, forbidden):
    code = f"import sys, {modules}; print(*sorted({forbidden!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
