"""models, merge, convert, export and sample: what is asked for wrongly is told at once."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from cascade_tui.cli import main


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["merge", "absent", "x", "--to", "y"], "there is no file or folder absent"),
        (["merge", ".", "nope:0.8", "--to", "y"], "there is no file or folder nope"),
        (["merge", ".", "nope:much", "--to", "y"], "nor is much a weight"),
        (["convert", "absent", "y"], "there is no file or folder absent"),
        (["export", "absent"], "there is no run directory absent"),
        (["sample", ".", "--prompt", "x"], "not a run directory"),
        (["sample", ".", "--prompt", "x", "--num-seeds", "0"], "expected 1 or more"),
        (["models", "absent.toml"], "there is no config absent.toml"),
    ],
)
def test_a_wrong_request_is_one_message_and_exit_code_2(arguments, told, capsys, tmp_path):
    assert main(arguments) == 2
    assert told in capsys.readouterr().err


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a download needs."""

    files: ClassVar[dict[str, bytes]] = {}

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        content = self.files.get(self.path.partition("/resolve/main/")[2])
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", "c" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep silent."""


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    from huggingface_hub import constants

    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    yield Hub
    server.shutdown()
    server.server_close()


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
