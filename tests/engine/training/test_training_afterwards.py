"""What a finished run left behind: exported again, and drawn with outside training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from engine.tools.export import export
from engine.tools.sample import sample
from engine.training.model import ModelError

PROMPT = "a red cup of coffee"


@pytest.mark.slow
def test_a_runs_checkpoint_gives_its_own_export_and_its_own_validation_picture(
    prepare, start, tmp_path, capsys
):
    run = prepare(
        max_train_steps=2,
        checkpoint_step_interval=1,
        use_ema=True,
        export_formats=["comfyui"],
        learning_rate=5e-2,
        lora_target="all-linear",
        validation_prompt=PROMPT,
        validation_negative_prompt="blurry",
        validation_seed=3,
    )
    trainer = start(run)
    assert trainer.wait() == 0, trainer.console()
    _check_export(run, tmp_path / "out")
    _check_sample(run, tmp_path / "drawn", capsys)


def _check_export(run, folder: Path) -> None:
    request = {
        "run": str(run.root),
        "step": None,
        "no_ema": False,
        "target": str(folder),
        "push": False,
    }
    export(request | {"formats": ["comfyui", "peft"]})
    ours, theirs = folder / "lora-comfyui.safetensors", run.export / "lora-comfyui.safetensors"
    first, second = load_file(ours), load_file(theirs)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert (folder / "peft" / "adapter_config.json").exists()
    for changed in ({"step": "1"}, {"no_ema": True}):
        export(request | {"formats": ["comfyui"]} | changed)
        other = load_file(ours)
        assert any(not torch.equal(other[key], second[key]) for key in second)
    with pytest.raises(ModelError, match="trained an adapter"):
        export(request | {"formats": ["hub"]})


def _check_sample(run, folder: Path, capsys) -> None:
    request = dict.fromkeys(("negative", "step", "steps", "guidance", "resolution", "decoder"))
    request |= {"run": str(run.root), "prompts": [PROMPT], "seed": 3, "num_seeds": 1}
    request |= {"target": str(folder)}
    capsys.readouterr()
    sample(request | {"base": False})
    [path] = capsys.readouterr().out.split("\n")[:-1]
    drawn = Image.open(path)
    own = Image.open(next(run.validation_dir(2).glob("*.png")))
    assert drawn.tobytes() == own.tobytes()
    assert {k: v for k, v in drawn.text.items() if k != "prompt"} == {
        k: v for k, v in own.text.items() if k != "prompt"
    }
    for changed in ({"base": True}, {"base": False, "guidance": 1.0}):
        sample(request | changed)
        assert Image.open(path).tobytes() != own.tobytes()
