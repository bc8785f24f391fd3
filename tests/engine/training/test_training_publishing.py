"""push_to_hub: what arrives at the hub, what the card says, and what a refusal costs."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from engine.config.fields import TrainingConfig
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from engine.training.publishing import PublishingError, last_pictures, model_card, push
from tests.cascade_tui.hub_stand_in import serving


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A finished run: an adapter in two formats, an old picture, a preview and its decoded one."""
    run = RunDirectory(tmp_path / "run")
    (run.export / "peft").mkdir(parents=True)
    (run.export / "peft" / "adapter_config.json").write_text("{}")
    (run.export / "peft" / "adapter_model.safetensors").write_bytes(b"weights" * 99)
    (run.export / "lora-comfyui.safetensors").write_bytes(b"the same" * 99)
    (run.export / "lora-kohya.safetensors").write_bytes(b"of another day")
    with EventWriter(run.events) as events:
        for step, name in ((10, "old"), (20, "preview"), (20, "decoded"), (30, "later")):
            path = run.root / f"{name}.png"
            Image.new("RGB", (8, 8)).save(path)
            events.emit(
                "image", step=step, prompt="fox", text=f"{name} fox", seed=1, path=path.name
            )
    content = run.events.read_bytes()
    torn = content.splitlines()[0][:60]  # by a crash
    run.events.write_bytes(torn + b"\n" + content)
    return run


@pytest.fixture
def hub(monkeypatch):
    with serving() as server:
        from huggingface_hub import constants

        monkeypatch.setattr(constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield server


CONFIG = TrainingConfig(hub_model_id="me/fox", push_to_hub=True)


def test_exports_card_and_last_pictures_arrive_in_a_private_repository(run, hub):
    address = push(run, CONFIG, run.export, ("peft", "comfyui"), 20)
    assert address == f"{hub.endpoint}/me/fox"
    assert [made["visibility"] for made in hub.created] == ["private"]
    assert hub.tokens == {"Bearer hf_secret"}
    assert set(hub.files) == {
        "README.md",
        "images/0.png",
        "lora-comfyui.safetensors",
        "peft/adapter_config.json",
        "peft/adapter_model.safetensors",
    }
    assert hub.files["lora-comfyui.safetensors"] == b"the same" * 99
    assert hub.files["images/0.png"] == (run.root / "decoded.png").read_bytes()
    assert b"decoded fox" in hub.files["README.md"]


def test_a_name_without_an_owner_is_the_person_s_own(run, hub):
    config = CONFIG.model_copy(update={"hub_model_id": "fox"})
    assert push(run, config, run.export, ("peft",), 20) == f"{hub.endpoint}/ada/fox"
    assert b'"ada/fox", subfolder="peft"' in hub.files["README.md"]


def test_a_refusal_is_one_message_with_the_way_out(run, hub):
    hub.refusal = ("/create", 403, "You don't have the rights to create a model here")
    with pytest.raises(PublishingError, match=r"me/fox cannot be pushed to: .*rights") as told:
        push(run, CONFIG, run.export, ("peft",), 20)
    assert "hf auth login" in str(told.value)
    assert "hf_secret" not in str(told.value)
    assert hub.files == {}


def test_the_card_says_what_hub_and_people_need_and_no_folder_of_this_machine(run, tmp_path):
    pictures = last_pictures(run, 20)
    card = model_card(CONFIG, "me/fox", ("peft", "comfyui"), 20, pictures)
    for told in (
        "base_model: stabilityai/stable-cascade-prior",
        "license_link: https://huggingface.co/stabilityai/stable-cascade/blob/main/LICENSE",
        "url: images/0.png",
        'subfolder="prior"',
        "lora-comfyui.safetensors",
        "| lora_rank | 16 |",
    ):
        assert told in card
    own = CONFIG.model_copy(update={"pretrained_model_name_or_path": str(tmp_path)})
    assert str(tmp_path) not in model_card(own, "me/fox", ("peft",), 20, pictures)
    full = CONFIG.model_copy(update={"model_type": "full", "model_flavour": "stage-c-lite"})
    told = model_card(full, "me/fox", ("hub",), 20)
    assert "A fine-tune of" in told
    assert "lora" not in told


@pytest.mark.slow
def test_a_run_asks_the_hub_before_it_begins_and_pushes_when_it_is_finished(
    hub, prepare, start, monkeypatch, tmp_path
):
    for name, value in (
        ("HF_ENDPOINT", hub.endpoint),
        ("HF_HUB_DISABLE_XET", "1"),
        ("HF_HUB_CACHE", str(tmp_path / "cache")),
    ):
        monkeypatch.setenv(name, value)
    run = prepare(max_train_steps=2, push_to_hub=True, hub_model_id="me/fox")
    hub.refusal = ("", 401, "Invalid username or password.")
    trainer = start(run)
    assert trainer.wait() == 2
    assert trainer.events("step") == []
    [exit_event] = trainer.events("exit")
    assert "me/fox cannot be pushed to" in exit_event["reason"]
    hub.refusal = None
    trainer = start(run)
    assert trainer.wait() == 0, trainer.console()
    [pushed] = trainer.events("push")
    assert pushed["address"] == f"{hub.endpoint}/me/fox"
    for path in run.export.rglob("*.safetensors"):
        assert hub.files[path.relative_to(run.export).as_posix()] == path.read_bytes()
    for file in (run.events, run.config, run.meta, run.console_log):
        assert "hf_secret" not in file.read_text()
    assert json.loads(run.status.read_text())["state"] == "finished"


def test_a_push_that_fails_at_the_end_loses_nothing_and_says_how_to_try_again(run, hub):
    hub.refusal = ("/commit/", 403, "no room")
    with pytest.raises(PublishingError, match=r"export .* --push` tries again"):
        push(run, CONFIG, run.export, ("peft",), 20)
    assert (run.export / "peft" / "adapter_model.safetensors").exists()
