"""Whole runs: two processes, bad photographs, bad weights, a full disk, the quickstart."""

import json
import resource
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from engine.config.frozen import freeze
from engine.config.loading import load_project
from engine.run.paths import RunDirectory
from engine.training.checkpoint import choose_checkpoint
from tests.engine.training.small_model import PHOTOGRAPHS

pytestmark = pytest.mark.slow

QUICKSTART = Path(__file__).parents[3] / "config" / "stable_cascade"


def test_two_processes_train_as_one_does(prepare, start):
    settings = {"max_train_steps": 3, "lora_target": "all-linear", "snr_weighting": "adaptive"}
    one = start(prepare("one", train_batch_size=4, **settings))
    assert one.wait() == 0, one.console()
    two = start(prepare("two", train_batch_size=2, **settings), num_processes=2)
    assert two.wait() == 0, two.console()
    losses = [[event["loss"] for event in trainer.events("step")] for trainer in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    states = [choose_checkpoint(t.run.checkpoints, "latest")[0] for t in (one, two)]
    ours, theirs = (state.tensors["trained"] for state in states)
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-4) for name in theirs)


def test_bad_photographs_are_left_out_by_name_and_the_good_ones_train(prepare, start, tmp_path):
    folder = tmp_path / "photographs"
    shutil.copytree(PHOTOGRAPHS, folder)
    pictures = sorted(folder.glob("*.jpg"))
    pictures[0].write_bytes(pictures[0].read_bytes()[:5000])
    pictures[1].with_suffix(".txt").unlink()
    Image.new("RGB", (40, 40)).save(folder / "small.png")
    (folder / "small.txt").write_text("a small square")
    backend = {"caption_strategy": "textfile", "minimum_image_size": 64}
    trainer = start(prepare(photographs=folder, max_train_steps=2, backend=backend))
    assert trainer.wait() == 0, trainer.console()
    reasons = {Path(e["path"]).name: e["reason"] for e in trainer.events("quarantine")}
    assert reasons.keys() == {pictures[0].name, pictures[1].name, "small.png"}
    assert "64" in reasons["small.png"]
    [begun] = trainer.events("start")
    assert begun["num_images"] == len(pictures) - 2


def test_a_folder_without_one_good_photograph_ends_with_the_reasons(prepare, start, tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    trainer = start(prepare(photographs=folder))
    assert trainer.wait() == 2
    [problem] = trainer.events("problem")
    assert str(folder) in problem["message"]
    assert "can't be decoded" in problem["message"]
    assert "broken.jpg" in problem["message"]
    assert "Traceback" in trainer.console()


@pytest.mark.parametrize("fault", ["missing", "misshapen"])
def test_weights_that_do_not_fit_end_the_run_by_key(prepare, start, small_model, tmp_path, fault):
    model = tmp_path / "model"
    shutil.copytree(small_model, model)
    path = model / "prior" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    if fault == "missing":
        del tensors["clf.1.weight"]
    else:
        tensors["clf.1.weight"] = torch.zeros(4, 4)
    save_file(tensors, path)
    trainer = start(prepare(pretrained_model_name_or_path=str(model)))
    assert trainer.wait() == 2
    message = trainer.events("problem")[-1]["message"]
    assert str(path) in message
    assert fault.replace("misshapen", "another shape") in message
    assert "clf.1.weight" in message


def test_a_full_disk_costs_a_checkpoint_but_not_the_run(prepare, start):
    """A file-size limit set on the live process stands in for the full disk."""
    run = prepare(max_train_steps=100_000, checkpoint_step_interval=100_000, lora_rank=32)
    trainer = start(run)
    trainer.at_step(1)
    trainer.acknowledged(trainer.send("checkpoint"))
    kept = choose_checkpoint(run.checkpoints, "latest")[0].step

    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    small = (run.events.stat().st_size + 100_000, resource.RLIM_INFINITY)
    resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE, small)
    failed = trainer.send("checkpoint")
    trainer.acknowledged(failed)
    resource.prlimit(trainer.process.pid, resource.RLIMIT_FSIZE, unlimited)

    states = {event["id"]: event["state"] for event in trainer.events("command")}
    assert states[failed] == "failed"
    assert "could not be written" in trainer.events("problem")[-1]["message"]
    assert choose_checkpoint(run.checkpoints, "latest")[0].step == kept
    assert [path.name for path in run.checkpoints.iterdir()] == [f"step-{kept:09d}"]

    trainer.acknowledged(trainer.send("checkpoint"))
    assert choose_checkpoint(run.checkpoints, "latest")[0].step > kept


def test_the_quickstart_files_train_cache_validate_and_save(start, small_model, tmp_path):
    """Verbatim but for paths, the flavour, and the sizes and steps that a CPU can do in a test."""
    shutil.copytree(QUICKSTART, tmp_path / "config")
    overrides = {
        "model_flavour": "stage-c-tiny",
        "pretrained_model_name_or_path": small_model,
        "pretrained_vae_model_name_or_path": small_model,
        "stable_cascade_decoder_model_name_or_path": small_model,
        "stable_cascade_decoder_subfolder": "decoder",
        "output_dir": tmp_path / "output",
        "data_backend.primary.instance_data_dir": PHOTOGRAPHS,
        "data_backend.stable-cascade-text-cache.cache_dir": tmp_path / "text",
        "validation_prompt_library": tmp_path / "config" / "prompt_library.json",
        "max_train_steps": 2,
        "validation_resolution": "256x256",
        "data_backend.primary.minimum_image_size": 300,
        "data_backend.primary.resolution": "256x256",
        "data_backend.primary.bucket_resolutions": '["256x256", "128x256", "256x128"]',
        "lora_rank": 8,
    }
    project = load_project(
        tmp_path / "config" / "config.json", [f"{key}={value}" for key, value in overrides.items()]
    )
    assert project.is_valid, project.errors
    run = RunDirectory(tmp_path / "output")
    run.root.mkdir()
    freeze(project, run.root)
    trainer = start(run)
    assert trainer.wait() == 0, trainer.console()

    kinds = {event["kind"] for event in trainer.events()}
    assert {"cache", "start", "step", "checkpoint", "image", "export", "exit"} <= kinds
    names = {"validation", *json.loads((QUICKSTART / "prompt_library.json").read_text())}
    drawn = {(event["prompt"], event["source"]) for event in trainer.events("image")}
    assert drawn == {(name, source) for name in names for source in ("preview", "decoded")}
    image = next(e for e in trainer.events("image") if e["source"] == "decoded")
    with Image.open(run.root / image["path"]) as picture:
        assert picture.size == (image["width"], image["height"])
        assert picture.text["negative_prompt"] == "ugly, blurry, low-res"
        assert picture.text["prior_guidance_scale"] == "3.5"
    assert list((run.root / "trackers").rglob("offline-run-*")), "W&B wrote nothing"
    state = choose_checkpoint(run.checkpoints, "latest")[0]
    assert {"trained", "optimizer", "ema"} <= state.tensors.keys()
    moments = [t for name, t in state.tensors["optimizer"].items() if name.endswith("exp_avg")]
    assert {tensor.dtype for tensor in moments} == {torch.bfloat16}
