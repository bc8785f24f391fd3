"""Resume is exact by construction: 2N steps equal N steps, a kill, and N more, bit for bit."""

import json

import pytest

from engine.training.checkpoint import list_checkpoints


def _files(run, step):
    folder = run.checkpoints / f"step-{step:09d}"
    return {path.name: path.read_bytes() for path in folder.glob("*.safetensors")}


def _losses(trainer):
    return {event["step"]: event["loss"] for event in trainer.events("step")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {
            "use_ema": True,
            "lora_target": "all-linear",
            "lora_dropout": 0.1,
            "input_perturbation": 0.1,
            "max_grad_value": 0.01,
        },
        {
            "model_type": "full",
            "optimizer": "adamw-schedulefree",
            "lr_scheduler": "constant_with_warmup",
            "lr_warmup_steps": 3,
            "snr_weighting": "adaptive",
            "loss_type": "huber",
            "noise_offset": 0.1,
        },
    ],
    ids=["lora", "full"],
)
def test_a_killed_and_resumed_run_equals_an_uninterrupted_one_bit_for_bit(prepare, start, settings):
    settings = {"max_train_steps": 10, "checkpoint_step_interval": 5, **settings}
    whole = start(prepare("whole", **settings))
    assert whole.wait() == 0, whole.console()

    run = prepare("broken", **settings)
    first = start(run)
    first.until(lambda _trainer: bool(list_checkpoints(run.checkpoints)))
    first.kill()
    assert not (run.checkpoints / "step-000000010").exists()
    second = start(run)
    assert second.wait() == 0, second.console()

    assert [event["step"] for event in second.events("rewind")] == [5]
    expected, actual = _files(whole.run, 10), _files(run, 10)
    assert actual.keys() == expected.keys()
    assert {"trained.safetensors", "optimizer.safetensors"} <= actual.keys()
    for name in expected:
        assert actual[name] == expected[name], name
    ours, theirs = _losses(second), _losses(whole)
    assert all(ours[step] == theirs[step] for step in range(6, 11))
    states = [json.loads((r.checkpoints / "step-000000010" / "state.json").read_text())
              for r in (run, whole.run)]  # fmt: skip
    assert states[0] == states[1]


@pytest.mark.slow
def test_a_checkpoint_asked_for_by_number_must_be_there(prepare, start):
    run = prepare(max_train_steps=4, resume_from_checkpoint="2")
    trainer = start(run)
    assert trainer.wait() == 1
    assert "resume_from_checkpoint asks for step 2" in trainer.events("problem")[-1]["message"]


@pytest.mark.slow
def test_a_finished_run_launched_again_with_more_steps_goes_on(prepare, start):
    run = prepare("more", max_train_steps=4)
    assert start(run).wait() == 0
    prepare("more", max_train_steps=6)
    trainer = start(run)
    assert trainer.wait() == 0
    starts = trainer.events("start")
    assert [event["resumed_from"] for event in starts] == [None, 4]
    assert trainer.events("step")[-1]["step"] == 6


@pytest.mark.slow
def test_changing_the_adapter_or_optimizer_of_a_run_is_refused_with_both_settings(prepare, start):
    run = prepare("rank", max_train_steps=4)
    assert start(run).wait() == 0
    prepare("rank", max_train_steps=6, lora_rank=8)
    trainer = start(run)
    assert trainer.wait() == 2
    [problem] = trainer.events("problem")
    assert "'rank': 4" in problem["message"]
    assert "'rank': 8" in problem["message"]
    prepare("rank", max_train_steps=6, optimizer="lion")
    trainer = start(run)
    assert trainer.wait() == 2
    message = trainer.events("problem")[-1]["message"]
    assert "adamw_bf16" in message
    assert "lion" in message
