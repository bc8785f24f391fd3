"""Atomic writes, paths, and the package's promise to need nothing but Python."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.run.files import atomic_write_bytes, atomic_write_json, atomic_write_text, read_tail
from engine.run.paths import RunDirectory, find_runs, step_folder


def test_a_write_replaces_the_file_and_leaves_nothing_aside(tmp_path):
    path = tmp_path / "file"
    for content in ("one", "two"):
        atomic_write_text(path, content)
        assert path.read_text() == content
    assert os.listdir(tmp_path) == ["file"]


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing_aside(tmp_path):
    path = tmp_path / "file"
    atomic_write_text(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            atomic_write_bytes(path, b"x" * 5000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_json_that_others_could_not_read_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic_write_json(tmp_path / "file", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


def test_the_tail_of_a_file_is_its_last_bytes(tmp_path):
    path = tmp_path / "file"
    assert read_tail(path, 10) == b""
    path.write_bytes(b"0123456789")
    assert read_tail(path, 3) == b"789"
    assert read_tail(path, 100) == b"0123456789"


def test_step_folders_sort_as_their_numbers(tmp_path):
    steps = [5, 100, 99_999, 1_000_000_000]
    assert sorted(map(step_folder, steps)) == [step_folder(step) for step in steps]
    assert step_folder(100) == "step-000000100"
    assert RunDirectory(tmp_path).checkpoint_dir(7) == tmp_path / "checkpoints/step-000000007"


def test_only_checkpoints_with_a_manifest_count(tmp_path):
    run = RunDirectory(tmp_path)
    for step in (200, 100, 300):
        run.checkpoint_dir(step).mkdir(parents=True)
    (run.checkpoints / "step-bad").mkdir()
    (run.checkpoints / "step-bad" / "manifest.json").touch()
    for step in (200, 100):
        (run.checkpoint_dir(step) / "manifest.json").touch()
    assert run.checkpoint_steps() == (100, 200)


def test_runs_are_found_below_a_root_but_not_inside_runs_nor_mere_configs(tmp_path):
    def touch(*names: str) -> None:
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

    touch("b/config.toml", "b/meta.json", "a/x/status.json", "c/events.jsonl", "c/d/events.jsonl")
    touch("presets/config.toml", "1/2/3/4/events.jsonl", ".hidden/events.jsonl")
    found = [run.root.relative_to(tmp_path).as_posix() for run in find_runs(tmp_path)]
    assert found == ["a/x", "b", "c"]
    assert list(find_runs(tmp_path / "missing")) == []


def test_a_frozen_config_or_events_make_a_run_directory(tmp_path):
    run = RunDirectory(tmp_path)
    assert not run.exists()
    run.events.touch()
    assert run.exists()


@pytest.mark.parametrize("module", ["supervisor", "launch", "events", "control"])
def test_the_package_needs_the_standard_library_only(module):
    script = f"""
import sys
before = set(sys.modules)
import engine.run.{module}
roots = {{name.partition(".")[0] for name in set(sys.modules) - before}}
print(sorted(roots - set(sys.stdlib_module_names) - {{"engine"}}))
"""
    argv = [sys.executable, "-c", script]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_supervisor_is_found_from_any_folder(tmp_path):
    result = subprocess.run(
        [sys.executable, "-m", "engine.run.supervisor", "--help"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert "RUN_DIR -- PROGRAM" in result.stdout
    assert list(Path(tmp_path).iterdir()) == []
