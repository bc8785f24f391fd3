"""The resolved config in a run directory: complete, absolute, and the same when read back."""

from __future__ import annotations

import json
import tomllib

import pytest
from config_project import ONE_GPU

from engine.config.fields import OPTIONS
from engine.config.frozen import FrozenConfigError, freeze, load_frozen
from engine.config.loading import load_project


def test_what_is_frozen_is_read_back_the_same(files, tmp_path):
    project = files.load(
        lora_rank=8,
        adam_epsilon=1e-9,
        validation_resolution="1152x896",
        report_to=["wandb", "tensorboard"],
        validation_prompts={"night": 'a "red" barn\nat night 🌙'},
    )
    assert project.is_valid
    run = tmp_path / "run"
    run.mkdir()
    freeze(project, run)
    frozen = load_frozen(run)
    assert project.config is not None
    changed = {"data_backend_config": str(run / "data_backends.json")}
    assert frozen.config == project.config.model_copy(update=changed)
    assert frozen.backends == project.backends
    assert frozen.prompts == dict(project.prompts)


def test_every_option_is_spelt_out_or_said_not_to_be_set(files, tmp_path):
    freeze(files.load(), tmp_path)
    text = (tmp_path / "config.toml").read_text()
    written = tomllib.loads(text)
    for key in OPTIONS:
        assert (key in written) != (f"# {key} is not set\n" in text)


def test_relative_paths_become_absolute_and_hub_names_stay(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files.image_backend["instance_data_dir"] = "photographs"
    files.text_backend["cache_dir"] = "cache"
    project = files.load(
        output_dir="out", pretrained_vae_model_name_or_path="weights", cache_dir="c"
    )
    assert project.is_valid, project.problems
    freeze(project, tmp_path)
    frozen = load_frozen(tmp_path)
    assert frozen.config.output_dir == str(tmp_path / "out")
    assert frozen.config.cache_dir == str(tmp_path / "c")
    assert frozen.config.pretrained_vae_model_name_or_path == str(tmp_path / "weights")
    assert frozen.backends[0].instance_data_dir == str(files.images)
    assert frozen.backends[1].cache_dir == str(tmp_path / "cache")
    unchanged = load_project(files.write(), ["pretrained_model_name_or_path=a/b"], check=False)
    freeze(unchanged, tmp_path)
    assert load_frozen(tmp_path).config.pretrained_model_name_or_path == "a/b"


def test_a_frozen_config_is_itself_a_config_that_can_be_checked(files, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    freeze(files.load(validation_prompts={"a": "b"}), run)
    monkeypatch.chdir("/")
    again = load_project(run / "config.toml", environment=ONE_GPU)
    assert again.problems == ()
    assert len(again.backends) == 2
    assert again.prompts == {"a": "b"}


def test_no_secret_of_the_environment_is_written(files, tmp_path, monkeypatch):
    for name in ("WANDB_API_KEY", "HF_TOKEN"):
        monkeypatch.setenv(name, "a-secret-value")
    freeze(files.load(), tmp_path)
    for name in ("config.toml", "data_backends.json"):
        assert "a-secret-value" not in (tmp_path / name).read_text()


@pytest.mark.parametrize("damage", ["absent", "malformed", "another version"])
def test_a_damaged_frozen_config_is_refused(files, tmp_path, damage):
    freeze(files.load(), tmp_path)
    config = tmp_path / "config.toml"
    if damage == "absent":
        (tmp_path / "data_backends.json").unlink()
    elif damage == "malformed":
        config.write_text("seed =")
    else:
        config.write_text("an_option_of_tomorrow = 1\n" + config.read_text())
    with pytest.raises(FrozenConfigError):
        load_frozen(tmp_path)


def test_backends_are_frozen_as_json_with_their_defaults(files, tmp_path):
    freeze(files.load(), tmp_path)
    images, text = json.loads((tmp_path / "data_backends.json").read_text())
    assert images["resolution"] == "1024x1024"
    assert text["default"] is True
