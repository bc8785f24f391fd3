"""The whole promise: `cascade-tui demo` turns eight photographs into a LoRA that knows them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from engine.models.weights import read_tensors
from engine.run.paths import RunDirectory
from engine.tiny.evaluate import evaluate_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo as a script runs it: no terminal, output piped."""
    output = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "cascade_tui", "demo", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return RunDirectory(output / "run"), done.stdout


def _events(run, kind):
    lines = run.events.read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def test_the_loss_falls_at_least_tenfold(demo):
    run, _ = demo
    losses = [event["loss"] for event in _events(run, "step")]
    assert sum(losses[-20:]) < sum(losses[:20]) / 10


def test_at_least_seven_of_eight_captions_draw_their_own_photograph(demo):
    run, _ = demo
    before, after = evaluate_run(run.root)
    assert before.num_right <= 3  # chance is one in eight
    assert after.num_right >= 7
    assert after.relative_error < 0.5 < before.relative_error


def test_pictures_were_drawn_before_and_after(demo):
    run, _ = demo
    images = _events(run, "image")
    steps = {event["step"] for event in images}
    assert min(steps) == 0
    assert max(steps) == _events(run, "exit")[-1]["step"]
    for event in images:
        with Image.open(run.root / event["path"]) as picture:
            assert picture.size == (72, 72)


def test_it_ends_by_naming_pictures_adapter_and_next_command(demo):
    run, output = demo
    for path in (run.export / "peft", run.export / "lora-comfyui.safetensors"):
        assert path.exists()
        assert str(path) in output
    assert "cascade-tui" in output.splitlines()[-1]
    keys = read_tensors([run.export / "lora-comfyui.safetensors"])
    assert all(key.startswith("lora_prior_unet_") for key in keys)


def test_the_run_directory_tells_what_it_was_made_of(demo):
    run, _ = demo
    meta = json.loads(run.meta.read_text())
    assert set(meta["weight_hashes"]) == {"prior", "effnet_encoder", "previewer"}
    assert Path(run.config).read_text().startswith("# Resolved by cascade-tui")
    assert _events(run, "exit")[-1]["state"] == "finished"
