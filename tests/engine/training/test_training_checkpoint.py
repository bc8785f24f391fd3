"""A checkpoint appears whole or not at all, and a damaged one is never taken for a good one."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest
import torch

from engine.training.checkpoint import (
    CheckpointError,
    choose_checkpoint,
    list_checkpoints,
    load_checkpoint,
    retain,
    save_checkpoint,
    sweep,
)


def _tensors(value: float) -> dict:
    return {"trained": {"a": torch.full((4, 4), value)}, "optimizer": {"a/exp_avg": torch.ones(4)}}


def _save(folder, step: int, value: float = 1.0):
    return save_checkpoint(folder, step, _tensors(value), {"step": step})


def test_what_was_saved_comes_back_bit_for_bit(tmp_path):
    tensors = {"trained": {"a": torch.randn(3, 5), "b": torch.randn(2).to(torch.bfloat16)}}
    save_checkpoint(tmp_path, 7, tensors, {"ema_updates": 3})
    loaded, passed_over = choose_checkpoint(tmp_path, "latest")
    assert passed_over == []
    assert loaded.step == 7
    assert loaded.state == {"ema_updates": 3}
    for name, tensor in tensors["trained"].items():
        assert torch.equal(loaded.tensors["trained"][name], tensor)
        assert loaded.tensors["trained"][name].dtype == tensor.dtype


def test_a_flipped_byte_is_noticed_and_the_checkpoint_before_is_used(tmp_path):
    _save(tmp_path, 1, 1.0)
    newest = _save(tmp_path, 2, 2.0).path / "trained.safetensors"
    content = bytearray(newest.read_bytes())
    content[-1] ^= 1
    newest.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"trained\.safetensors is damaged"):
        load_checkpoint(newest.parent)
    loaded, passed_over = choose_checkpoint(tmp_path, "latest")
    assert loaded.step == 1
    assert "damaged" in passed_over[0]


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "optimizer.safetensors"])
def test_a_missing_file_disqualifies_a_checkpoint(tmp_path, name):
    _save(tmp_path, 1)
    (_save(tmp_path, 2).path / name).unlink()
    assert choose_checkpoint(tmp_path, "latest")[0].step == 1


def test_a_step_asked_for_by_number_must_be_there(tmp_path):
    _save(tmp_path, 1)
    _save(tmp_path, 5)
    assert choose_checkpoint(tmp_path, "1")[0].step == 1
    assert choose_checkpoint(tmp_path, "none")[0] is None
    with pytest.raises(CheckpointError, match=r"step 3.*there: 1, 5"):
        choose_checkpoint(tmp_path, "3")


def test_the_oldest_go_first_and_only_beyond_the_limit(tmp_path):
    for step in (1, 2, 3, 4):
        _save(tmp_path, step)
    retain(tmp_path, None)
    assert len(list_checkpoints(tmp_path)) == 4
    retain(tmp_path, 2)
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step-000000003",
        "step-000000004",
    ]


def test_a_full_disk_keeps_what_was_there(tmp_path):
    """A real file-size limit stands in for the full disk: the write itself fails."""
    _save(tmp_path, 1)
    script = textwrap.dedent(
        """
        import resource, signal, sys, torch
        from pathlib import Path
        from engine.training.checkpoint import CheckpointError, save_checkpoint
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save_checkpoint(Path(sys.argv[1]), 2, {"trained": {"a": torch.ones(4096)}}, {})
        except CheckpointError as error:
            print(error)
            sys.exit(7)
        """
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 7, result.stderr
    assert "step 2 could not be written" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001"]
    assert choose_checkpoint(tmp_path, "latest")[0].step == 1


_KILLED_SAVE = """
import os, signal, sys, torch
from pathlib import Path
import engine.training.checkpoint as checkpoint
remaining = int(sys.argv[2])
def counting(function):
    def wrapped(*args, **kwargs):
        global remaining
        if remaining == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        remaining -= 1
        return function(*args, **kwargs)
    return wrapped
for module, name in [(checkpoint, "save_file"), (checkpoint, "_write_json"), (checkpoint, "_fsync"),
                     (checkpoint, "fsync_directory"), (os, "rename"), (Path, "rename")]:
    setattr(module, name, counting(getattr(module, name)))
checkpoint.save_checkpoint(Path(sys.argv[1]), 2, {"trained": {"a": torch.ones(9)}}, {})
"""


def test_a_kill_between_any_two_operations_leaves_a_valid_checkpoint(tmp_path):
    fork = torch.multiprocessing.get_context("fork")

    def save_and_die(folder, operations):
        sys.argv = ["save", str(folder), str(operations)]
        exec(compile(_KILLED_SAVE, "killed_save", "exec"), {"__name__": "killed_save"})
        os._exit(0)

    for operations in range(40):
        folder = tmp_path / str(operations)
        _save(folder, 1)
        process = fork.Process(target=save_and_die, args=(folder, operations))
        process.start()
        process.join()
        loaded, passed_over = choose_checkpoint(folder, "latest")
        assert passed_over == []
        if process.exitcode == 0:
            assert loaded.step == 2
            break
        assert process.exitcode == -signal.SIGKILL
        assert loaded.step in (1, 2)
        sweep(folder)
        assert all(path.name.startswith("step-") for path in folder.iterdir())
    else:
        pytest.fail("the save never got through")
    assert operations >= 8


def test_the_manifest_names_every_file_with_its_hash(tmp_path):
    saved = _save(tmp_path, 3)
    manifest = json.loads((saved.path / "manifest.json").read_text())
    assert set(manifest["files"]) == {"trained.safetensors", "optimizer.safetensors", "state.json"}
    assert saved.size_bytes == sum(path.stat().st_size for path in saved.path.iterdir())
