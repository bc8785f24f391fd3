"""A LyCORIS run, start to export, in the real loop."""

import pytest
from safetensors.torch import load_file


@pytest.mark.slow
def test_a_lycoris_run_resumes_and_exports_what_comfyui_and_kohya_read(prepare, start):
    settings = {
        "lora_type": "lycoris",
        "lycoris_algorithm": "loha",
        "use_ema": True,
        "export_formats": ["comfyui", "kohya"],
        "checkpoint_step_interval": 2,
    }
    run = prepare("lycoris", max_train_steps=2, **settings)
    first = start(run)
    assert first.wait() == 0, first.console()
    prepare("lycoris", max_train_steps=3, **settings)
    second = start(run)
    assert second.wait() == 0, second.console()
    assert [event["resumed_from"] for event in second.events("start")] == [None, 2]
    files = {
        name: load_file(run.export / f"lora-{name}.safetensors") for name in ("comfyui", "kohya")
    }
    averages = load_file(run.checkpoints / "step-000000003" / "ema.safetensors")
    name = "down_blocks_0_2_attention_attn_to_q.hada_w1_a"
    for fmt, prefix in (("comfyui", "lora_prior_unet_"), ("kohya", "lora_unet_")):
        exported = files[fmt][prefix + name]
        assert exported.equal(averages["down_blocks.0.2.attention.to_q.lycoris.hada_w1_a"])
