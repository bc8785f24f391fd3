"""A run obeys its control folder and its signals, and loses nothing by stopping."""

import signal

import pytest

from engine.run.status import read_status
from engine.training.checkpoint import choose_checkpoint

LONG = {"max_train_steps": 100_000, "checkpoint_step_interval": 100_000}

pytestmark = pytest.mark.slow


def test_commands_are_obeyed_and_acknowledged(prepare, start):
    run = prepare(validation_prompt="a rocket", **LONG)
    trainer = start(run)
    trainer.at_step(1)

    trainer.acknowledged(trainer.send("checkpoint"))
    assert choose_checkpoint(run.checkpoints, "latest")[0].step > 0
    assert trainer.events("checkpoint")[-1]["reason"] == "command"

    trainer.acknowledged(trainer.send("validate"))
    image = trainer.events("image")[-1]
    assert (run.root / image["path"]).stat().st_size > 0

    trainer.acknowledged(trainer.send("pause"))
    trainer.until(lambda _trainer: read_status(run).state == "paused")
    paused_at = read_status(run).step
    trainer.acknowledged(trainer.send("checkpoint"))
    assert choose_checkpoint(run.checkpoints, "latest")[0].step == paused_at
    trainer.acknowledged(trainer.send("resume"))
    trainer.at_step(paused_at + 1)

    stop = trainer.send("stop")
    assert trainer.wait() == 0
    states = {e["id"]: e["state"] for e in trainer.events("command")}
    assert states[stop] == "done"
    status = read_status(run)
    assert status.state == "stopped"
    assert choose_checkpoint(run.checkpoints, "latest")[0].step == status.step
    assert {event["format"] for event in trainer.events("export")} == {"peft", "comfyui"}
    assert not list(run.control.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves_with_its_code(prepare, start, number):
    run = prepare(**LONG)
    trainer = start(run)
    trainer.at_step(2)
    trainer.process.send_signal(number)
    assert trainer.wait() == 128 + number
    status = read_status(run)
    assert (status.state, status.exit_code) == ("stopped", 128 + number)
    assert choose_checkpoint(run.checkpoints, "latest")[0].step == status.step


def test_a_signal_while_it_starts_is_heard(prepare, start):
    run = prepare(**LONG)
    trainer = start(run)
    trainer.until(lambda _trainer: run.status.exists())
    trainer.process.send_signal(signal.SIGTERM)
    assert trainer.wait() == 128 + signal.SIGTERM
    assert read_status(run).state == "stopped"


def test_a_stop_in_a_pause_saves_too(prepare, start):
    run = prepare(**LONG)
    trainer = start(run)
    trainer.at_step(1)
    trainer.acknowledged(trainer.send("pause"))
    trainer.send("stop")
    assert trainer.wait() == 0
    assert choose_checkpoint(run.checkpoints, "latest")[0].step == read_status(run).step


def test_a_second_pause_and_a_resume_without_one_are_ignored_and_leave_nothing_behind(
    prepare, start
):
    run = prepare(**LONG)
    trainer = start(run)
    trainer.at_step(1)

    def answer(name):
        identity = trainer.send(name)
        trainer.acknowledged(identity)
        return next(e for e in trainer.events("command") if e["id"] == identity)

    assert answer("resume")["message"] == "it is not paused"
    assert answer("pause")["state"] == "done"
    again = answer("pause")
    assert (again["state"], again["message"]) == ("ignored", "it is paused already")
    assert answer("resume")["state"] == "done"
    trainer.at_step(read_status(run).step + 2)
    assert read_status(run).state == "running"
    trainer.send("stop")
    assert trainer.wait() == 0
    assert not list(run.control.iterdir())


def test_changed_settings_count_at_once_and_after_a_resume(prepare, start):
    run = prepare(validation_prompt="a rocket", **LONG)
    launched = run.config.read_bytes()
    trainer = start(run)
    trainer.at_step(1)

    def change(**arguments):
        identity = trainer.send("change", **arguments)
        trainer.acknowledged(identity)
        return next(e for e in trainer.events("command") if e["id"] == identity)

    for options, reason in (
        ({"checkpoint_step_interval": 0}, "checkpoint_step_interval: is 0, expected a whole"),
        ({"learning_rate": 1.0}, "learning_rate cannot be changed while the run goes on"),
    ):
        refused = change(options=options | {"validation_step_interval": 7})
        assert refused["state"] == "refused"
        assert reason in refused["message"]
    assert not run.changes.exists()

    done = change(
        options={"checkpoint_step_interval": 2, "validation_step_interval": 3},
        prompts={"new": "a lighthouse in a storm"},
    )
    assert done["state"] == "done"
    assert done["changes"] == [
        {"key": "checkpoint_step_interval", "old": 100_000, "new": 2},
        {"key": "validation_step_interval", "old": None, "new": 3},
        {"key": "validation_prompts.new", "old": None, "new": "a lighthouse in a storm"},
    ]
    drawn = {"new", "validation"}
    trainer.until(lambda t: {e["prompt"] for e in t.events("image")} == drawn)
    trainer.until(lambda t: [e["reason"] for e in t.events("checkpoint")].count("interval") >= 2)
    assert all(e["step"] % 2 == 0 for e in trainer.events("checkpoint"))
    assert all(e["step"] % 3 == 0 for e in trainer.events("image"))
    trainer.kill()

    before = len(trainer.events())
    resumed = start(run)
    resumed.until(lambda t: {e["prompt"] for e in t.events()[before:] if "prompt" in e} == drawn)
    [told] = [e for e in resumed.events()[before:] if e["kind"] == "changes"]
    assert told["options"] == {"checkpoint_step_interval": 2, "validation_step_interval": 3}
    assert run.config.read_bytes() == launched
