"""What is probed of the machine, without torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config.environment import (
    existing_parent,
    find_images,
    free_bytes,
    network_file_system,
    probe_environment,
    why_not_writable,
)


def test_the_test_environment_has_every_package_and_none_is_broken():
    environment = probe_environment()
    expected = {"torch", "torchvision", "torchao", "lycoris", "wandb", "tensorboard"}
    assert environment.packages == expected
    assert environment.broken == {}


def test_hidden_gpus_are_none(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert probe_environment().gpus == ()


def test_probing_and_checking_import_nothing_heavy(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"report_to": "wandb", "base_model_precision": "int8-torchao"}')
    script = (
        "import sys\nfrom pathlib import Path\n"
        "from engine.config.loading import load_project\nload_project(Path(sys.argv[1]))\n"
        "heavy = {'torch', 'torchvision', 'torchao', 'wandb', 'tensorboard', 'numpy', 'PIL',\n"
        "         'transformers', 'diffusers', 'huggingface_hub', 'textual', 'rich', 'tomlkit'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    argv = [sys.executable, "-c", script, str(config)]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_torchvision_made_for_another_torch_is_broken(tmp_path):
    """Two packages with nothing in them but what is looked at."""
    for name, version, requires in [
        ("torch", "2.9.0+cu130", ""),
        ("torchvision", "0.23.0", "Requires-Dist: torch (==2.8.0)\n"),
    ]:
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("raise RuntimeError('imported')")
        (package / "_C.so").write_bytes(b"")
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}"
        )
    script = (
        "from engine.config.environment import probe_environment\n"
        "print(probe_environment().broken['torchvision'])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{_root()}"}
    argv = [sys.executable, "-c", script]
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert "torchvision 0.23.0 is made for torch 2.8.0, but torch 2.9.0" in result.stdout, (
        result.stderr
    )
    (tmp_path / "torchvision" / "_C.so").unlink()
    result = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    assert "lacks its compiled part" in result.stdout


def _root() -> str:
    import engine

    return str(Path(engine.__file__).parents[1])


def test_the_nearest_existing_parent_is_found_and_its_disk_measured(tmp_path):
    assert existing_parent(tmp_path / "a" / "b") == tmp_path
    assert free_bytes(tmp_path / "a" / "b") > 0


def test_a_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    assert why_not_writable(tmp_path / "new") is None
    assert "is a file" in str(why_not_writable(tmp_path / "file" / "new"))
    assert why_not_writable(Path("~nobody-has-this-name/x")) is not None


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("data/text", "nfs4"),
        ("data", "nfs4"),
        ("data/local disk/text", None),
        ("database", None),
        ("remote share", "fuse.sshfs"),
    ],
)
def test_the_mount_that_holds_a_folder_is_the_innermost(tmp_path, place, kind):
    mounts = tmp_path / "mounts"
    escaped = str(tmp_path).replace(" ", "\\040")
    mounts.write_text(
        "server:/root / nfs4 rw 0 0\n"
        f"server:/data {escaped}/data nfs4 rw 0 0\n"
        f"/dev/sdb1 {escaped}/data/local\\040disk ext4 rw 0 0\n"
        f"me@host {escaped}/remote\\040share fuse.sshfs rw 0 0\n"
    )
    (tmp_path / place).mkdir(parents=True)
    assert network_file_system(tmp_path / place, mounts) == kind


def test_no_list_of_mounts_means_not_known(tmp_path):
    assert network_file_system(tmp_path, tmp_path / "absent") is None


def test_a_folder_that_contains_itself_ends(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "a.PNG").write_bytes(b"")
    found, _ = find_images(tmp_path)
    assert tmp_path / "a.PNG" in found
