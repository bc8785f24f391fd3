"""What a config makes of the prior, and what a checkpoint keeps of it, for every adapter."""

import json
from pathlib import Path

import pytest
import torch

from engine.adapters.convert import convert_adapter
from engine.adapters.export import save_kohya, save_peft
from engine.adapters.lora import adapter_state, attached_adapter
from engine.config.fields import TrainingConfig
from engine.config.weight_files import WeightFiles
from engine.models.prior_config import PriorConfig
from engine.optim.build import build_optimizer
from engine.training.model import ModelError, adapter_settings, build_model
from tests.engine.adapters.learnt_adapters import GOLDEN, learnt, run

CONFIGS = {
    "dora": {"use_dora": True, "lora_rslora": True, "lora_dropout": 0.1},
    "patterns": {
        "lora_target": "patterns",
        "lora_target_patterns": ("to_q", "clip_.*"),
        "lora_rank_pattern": ("clip_.*=2",),
    },
    "lokr": {"lora_type": "lycoris", "lycoris_factor": 4},
    "loha": {"lora_type": "lycoris", "lycoris_algorithm": "loha", "lora_target": "all-linear"},
}


def _config(kind="dora", **changes):
    values = {"lora_rank": 4, "lora_alpha": 6.0, "use_ema": True, "optimizer": "torch-adamw"}
    return TrainingConfig(**values, **CONFIGS[kind], **changes)


def _build(config):
    weights = (GOLDEN / "unet_tiny_diffusers.safetensors",)
    none = Path("none")
    files = WeightFiles(GOLDEN / "config.json", weights, none, none, none, none)
    model = build_model(config, files, torch.device("cpu"))
    model.optimizer = build_optimizer(model.parameters, config)
    return model


def _train(model, io, steps):
    keys = ("x", "r", "clip_text", "clip_text_pooled", "clip_img")
    for step in steps:
        torch.manual_seed(step)
        model.prior(*(io[f"input.{key}"] for key in keys)).square().mean().backward()
        model.optimizer.step()
        model.optimizer.zero_grad()
        model.update_ema(step)


@pytest.mark.parametrize("kind", list(CONFIGS))
def test_a_resumed_adapter_goes_on_bit_for_bit_with_its_averages(io, kind):
    config = _config(kind)
    whole = _build(config)
    _train(whole, io, (1, 2))
    kept = {
        stem: {name: t.clone() for name, t in named.items()}
        for stem, named in whole.tensors().items()
    }
    state = {"adapter": whole.description, "ema_updates": whole.ema_updates}
    state = json.loads(json.dumps(state))
    _train(whole, io, (3,))
    resumed = _build(config)
    resumed.load(kept, state)
    _train(resumed, io, (3,))
    expected, actual = whole.tensors(), resumed.tensors()
    for stem, named in expected.items():
        assert actual[stem].keys() == named.keys()
        assert all(torch.equal(actual[stem][name], named[name]) for name in named), stem
    if kind == "dora":
        assert any("lora_magnitude_vector" in name for name in expected["trained"])


def test_a_checkpoint_of_another_kind_of_adapter_is_refused():
    model = _build(_config("lokr"))
    with pytest.raises(ModelError, match="the checkpoint holds"):
        model.load({}, {"adapter": _build(_config("loha")).description, "ema_updates": 0})


def test_checkpoints_of_plain_lora_describe_themselves_as_ever():
    settings = adapter_settings(TrainingConfig(lora_rank=4))
    expected = {"rank": 4, "alpha": 4, "target": "attention", "dropout": 0.0}
    assert settings.describe() == expected


@pytest.mark.parametrize("fmt", ["peft", "comfyui", "kohya"])
@pytest.mark.parametrize("kind", list(CONFIGS))
def test_init_lora_starts_from_any_format_with_the_output_it_was_saved_with(
    io, tmp_path, kind, fmt
):
    if fmt == "peft" and kind in ("lokr", "loha"):
        pytest.skip("peft's folder holds neither")
    settings = adapter_settings(_config(kind))
    trained, adapter = learnt(settings)
    save_kohya(tmp_path / "kohya", adapter, metadata={})
    if fmt != "kohya":
        prior_config = PriorConfig.from_file(GOLDEN / "config.json")
        base = learnt(settings)[0].state_dict()
        base = {key.replace(".base_layer.", "."): tensor for key, tensor in base.items()}
        convert_adapter(tmp_path / "kohya", tmp_path / fmt, fmt, prior_config, base=base)
    model = _build(_config(kind, init_lora=str(tmp_path / fmt)))
    assert torch.allclose(run(model.prior.eval(), io), run(trained, io), atol=1e-5)


def test_init_lora_of_another_scale_is_refused(tmp_path):
    config = _config("dora", lora_target="attention")
    model = _build(config)
    adapter = attached_adapter(model.prior, adapter_settings(config))
    save_peft(tmp_path / "peft", adapter, adapter_settings(config), metadata={})
    other = config.model_copy(update={"lora_alpha": 3.0, "init_lora": str(tmp_path / "peft")})
    with pytest.raises(ModelError, match="alpha/rank"):
        _build(other)


def test_rslora_scales_by_the_root_of_the_rank(io):
    plain = TrainingConfig(lora_rank=4, lora_alpha=6.0)
    rooted = plain.model_copy(update={"lora_rslora": True})
    outputs, states = [], []
    for config in (plain, rooted, plain.model_copy(update={"lora_alpha": 12.0})):
        prior, _ = learnt(adapter_settings(config))
        outputs.append(run(prior, io))
        states.append(adapter_state(prior))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.allclose(outputs[0], outputs[1])
    assert torch.allclose(outputs[1], outputs[2], atol=1e-6)  # 6 / sqrt(4) = 12 / 4
