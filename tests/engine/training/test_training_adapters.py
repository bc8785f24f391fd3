"""LyCORIS and DoRA runs, start to export, in the real loop."""

import pytest
import torch
from safetensors.torch import load_file

from engine.adapters.adapter import MAGNITUDE, with_dora_norm
from engine.adapters.load import load_adapter
from engine.models.weights import load_prior

pytestmark = pytest.mark.slow


def test_a_lycoris_run_exports_its_averages_and_another_goes_on_from_them(prepare, start):
    run = prepare(
        max_train_steps=2,
        checkpoint_step_interval=2,
        lora_type="lycoris",
        lycoris_algorithm="loha",
        use_ema=True,
        export_formats=["comfyui", "kohya"],
    )
    trainer = start(run)
    assert trainer.wait() == 0, trainer.console()
    averages = load_file(run.checkpoints / "step-000000002" / "ema.safetensors")
    expected = averages["down_blocks.0.2.attention.to_q.lycoris.hada_w1_a"]
    for name, prefix in (("comfyui", "lora_prior_unet_"), ("kohya", "lora_unet_")):
        exported = load_file(run.export / f"lora-{name}.safetensors")
        assert exported[f"{prefix}down_blocks_0_2_attention_attn_to_q.hada_w1_a"].equal(expected)
    _check_that_held_out_losses_compare_with_the_base(
        prepare, start, run.export / "lora-comfyui.safetensors"
    )


def _check_that_held_out_losses_compare_with_the_base(prepare, start, adapter):
    """Of a run that goes on from an adapter, and not with its own beginning."""
    trainer = start(
        prepare(
            "further",
            init_lora=str(adapter),
            max_train_steps=1,
            lora_type="lycoris",
            lycoris_algorithm="loha",
            export_formats=["comfyui"],
            validation_split=0.4,
        )
    )
    assert trainer.wait() == 0, trainer.console()
    begun, ended = trainer.events("validation")
    assert begun["difference"] != 0
    base = begun["loss"] - begun["difference"]
    assert ended["difference"] == pytest.approx(ended["loss"] - base, abs=1e-6)


def test_a_dora_run_on_an_int8_base_exports_one_adapter_in_three_formats(
    prepare, start, small_model
):
    run = prepare(
        max_train_steps=2,
        checkpoint_step_interval=2,
        use_dora=True,
        lora_rslora=True,
        base_model_precision="int8-torchao",
        export_formats=["peft", "comfyui", "kohya"],
    )
    trainer = start(run)
    assert trainer.wait() == 0, trainer.console()
    weights = small_model / "prior" / "diffusion_pytorch_model.safetensors"
    prior = load_prior(small_model / "prior" / "config.json", [weights])
    peft, comfyui, kohya = (
        load_adapter(run.export / name, prior)
        for name in ("peft", "lora-comfyui.safetensors", "lora-kohya.safetensors")
    )
    assert peft.kind == "dora"
    assert peft.scale == pytest.approx(2.0)  # 4 / sqrt(4)
    assert all(tensor.equal(kohya.state[key]) for key, tensor in peft.state.items())
    back = with_dora_norm(comfyui, "merged", prior.state_dict())
    for key, tensor in peft.state.items():
        if key.endswith(MAGNITUDE):
            assert torch.allclose(back.state[key], tensor, rtol=1e-4), key
        else:
            assert back.state[key].equal(tensor), key
