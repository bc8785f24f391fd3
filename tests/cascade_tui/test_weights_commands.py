"""models, merge, convert, export and sample: what is asked for wrongly is told at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade_tui.cli import main
from tests.cascade_tui.hub_stand_in import serving
from tests.cascade_tui.run_fixture import write_run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["merge", "absent", "x", "--to", "y"], "there is no file or folder absent"),
        (["merge", ".", "nope:0.8", "--to", "y"], "there is no file or folder nope"),
        (["merge", ".", "nope:much", "--to", "y"], "nor is much a weight"),
        (["convert", "absent", "y"], "there is no file or folder absent"),
        (["export", "absent"], "absent is not there"),
        (["sample", ".", "--prompt", "x"], "not a run directory"),
        (["sample", ".", "--prompt", "x", "--num-seeds", "0"], "a whole number from 1 to"),
        (["sample", ".", "--prompt", "x", "--steps", "0"], "--steps 0: "),
        (["sample", ".", "--prompt", "x", "--guidance", "99"], "--guidance 99.0: "),
        (["sample", ".", "--prompt", "x", "--resolution", "large"], "--resolution large: "),
        (["sample", ".", "--prompt", "x", "--resolution", "1000x1024"], "off the 128-px grid"),
        (["export", ".", "--push"], "not a run directory"),
        (["models", "absent.toml"], "there is no config absent.toml"),
    ],
)
def test_a_wrong_request_is_one_message_and_exit_code_2(arguments, told, capsys, tmp_path):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("command", [["export"], ["sample", "--prompt", "x"]])
def test_a_checkpoint_that_is_not_there_is_told_before_torch_is_loaded(command, tmp_path, capsys):
    run = write_run(tmp_path / "run", "finished")
    for steps, asked, told in (
        ([], [], f"{run.root} has no checkpoint yet"),
        ([100, 200], ["--step", "300"], "--step 300: "),
        ([100, 200], ["--step", "last"], "has no such checkpoint (there: 100, 200)"),
    ):
        for step in steps:
            run.checkpoint_dir(step).mkdir(parents=True, exist_ok=True)
            (run.checkpoint_dir(step) / "manifest.json").write_text("{}")
        assert main([command[0], str(run.root), *command[1:], *asked]) == 2
        assert told in capsys.readouterr().err


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    with serving() as server:
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
        yield server


def test_missing_files_are_fetched_and_then_verified(hub, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # An empty safetensors file: a header, and no tensor.
    empty = (2).to_bytes(8, "little") + b"{}"
    hub.files = {
        "prior/config.json": b"{}",
        "prior/diffusion_pytorch_model.bf16.safetensors": empty,
        "text_encoder/config.json": b"{}",
        "text_encoder/model.bf16.safetensors": empty,
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"#version",
        "tokenizer/tokenizer_config.json": b"{}",
        "effnet_encoder.safetensors": empty,
    }
    assert main(["models", "--fetch"]) == 2
    told = capsys.readouterr()
    assert "previewer.safetensors could not be fetched" in told.err
    assert "Traceback" not in told.err
    hub.files["previewer.safetensors"] = empty
    assert main(["models", "--fetch"]) == 0
    assert "fetching stabilityai/stable-cascade previewer.safetensors" in capsys.readouterr().err
    assert main(["models", "--json", "--verify"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {file["state"] for file in files} == {"verified"}
    assert all(Path(file["path"]).is_file() for file in files)


def test_a_file_that_changed_on_disk_fails_its_verification(hub, tmp_path, capsys, monkeypatch):
    test_missing_files_are_fetched_and_then_verified(hub, tmp_path, capsys, monkeypatch)
    victim = next((tmp_path / "hub").rglob("merges.txt")).resolve()
    victim.write_bytes(b"tampered")
    assert main(["models", "--verify"]) == 2
    assert "its hash is not the hub's" in capsys.readouterr().out


def test_a_download_that_broke_off_goes_on_where_it_was(hub, tmp_path, capsys, monkeypatch):
    test_missing_files_are_fetched_and_then_verified(hub, tmp_path, capsys, monkeypatch)
    next((tmp_path / "hub").rglob("previewer.safetensors")).unlink()
    weights = 5000
    header = json.dumps({"w": {"dtype": "U8", "shape": [weights], "data_offsets": [0, weights]}})
    whole = len(header).to_bytes(8, "little") + header.encode() + bytes(weights)
    hub.files["previewer.safetensors"] = whole
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _seconds: None)
    hub.cuts["previewer.safetensors"] = [2000]
    assert main(["models", "--fetch"]) == 0
    assert hub.ranges == ["bytes=2000-"]
    fetched = next((tmp_path / "hub").rglob("previewer.safetensors"))
    assert fetched.read_bytes() == whole

    fetched.resolve().unlink()
    fetched.unlink()
    hub.cuts["previewer.safetensors"] = [0] * 10
    capsys.readouterr()
    assert main(["models", "--fetch"]) == 2
    told = capsys.readouterr().err
    assert "previewer.safetensors could not be fetched: peer closed connection" in told
    assert "the same command fetches the rest" in told
    hub.cuts.clear()
    assert main(["models", "--fetch"]) == 0


def test_a_missing_file_is_shown_with_its_published_size(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert main(["models"]) == 2
    lines = capsys.readouterr().out.splitlines()
    [prior] = [line for line in lines if "prior/diffusion_pytorch_model" in line]
    assert "~7.18 GB" in prior
    assert lines[-1].endswith("missing or damaged (about 8.67 GB): add --fetch")
