"""`cascade-tui diff`: what differs by value, and exit codes like diff's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade_tui.cli import main
from engine.config.environment import Environment
from engine.config.frozen import freeze
from engine.config.live import LiveChange, write_changes
from engine.config.loading import load_project
from engine.config.presets import PRESETS
from engine.run.paths import RunDirectory

CONFIG = """
lora_rank = 8
learning_rate = 5e-5
output_dir = "run"
[validation_prompts]
fog = "a valley under fog"
[[data_backend]]
id = "mine"
instance_data_dir = "photographs"
repeats = 2
"""


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    """A config in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("a.toml").write_text(CONFIG)
    return Path("a.toml")


def differing(capsys, *arguments: str) -> tuple[int, dict[str, tuple[object, object]]]:
    """The exit code and the two values by key, "absent" for none."""
    code = main(["diff", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)["differences"]
    return code, {item["key"]: (item.get("a", "absent"), item.get("b", "absent")) for item in found}


def test_a_config_differs_from_the_defaults_in_what_it_sets_to_something_else(config, capsys):
    code, found = differing(capsys, "a.toml")
    assert code == 1
    assert found == {
        "lora_rank": (8, 16),
        "learning_rate": (5e-5, 1e-4),
        "output_dir": (str(Path("run").absolute()), str(Path("output/stable_cascade").absolute())),
        "validation_prompts[fog]": ("a valley under fog", "absent"),
        "data_backend[mine].instance_data_dir": (str(Path("photographs").absolute()), ""),
        "data_backend[mine].repeats": (2, 1),
    }


def test_a_frozen_run_has_the_values_of_the_config_it_was_launched_from(config, capsys):
    project = load_project(config, environment=Environment((), frozenset()), check=False)
    Path("run").mkdir()
    freeze(project, Path("run"))
    assert main(["diff", "a.toml", "run"]) == 0
    assert capsys.readouterr() == ("", "a.toml and run have the same values\n")


def test_a_run_has_the_values_it_goes_on_with_and_says_which_were_changed(config, capsys):
    project = load_project(config, environment=Environment((), frozenset()), check=False)
    Path("run").mkdir()
    freeze(project, Path("run"))
    change = LiveChange({"checkpoint_step_interval": 250}, {"fog": None, "cat": "a cat"})
    write_changes(RunDirectory(Path("run")), change)
    assert main(["diff", "run", "a.toml", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["differences"]
    assert found == [
        {
            "key": "checkpoint_step_interval",
            "a": 250,
            "b": 500,
            "changed_while_running": {"a": {"launched": 500}},
        },
        {
            "key": "validation_prompts[cat]",
            "a": "a cat",
            "changed_while_running": {"a": {"launched": None}},
        },
        {
            "key": "validation_prompts[fog]",
            "b": "a valley under fog",
            "changed_while_running": {"a": {"launched": "a valley under fog"}},
        },
    ]
    assert main(["diff", "a.toml", "run"]) == 1
    table = capsys.readouterr().out
    assert table.splitlines()[1].split()[1:] == ["500", "250", "(changed", "while", "running)"]
    RunDirectory(Path("run")).changes.write_text("{")
    assert main(["diff", "run"]) == 2
    assert "changes.json cannot be read" in capsys.readouterr().err


def test_two_configs_in_two_formats_differ_by_value_not_by_spelling(config, capsys):
    same = {"--lora_rank": 8, "learning_rate": 0.00005, "output_dir": "./run", "seed": 42}
    backend = {"id": "mine", "instance_data_dir": "photographs", "repeats": 3}
    Path("backends.json").write_text(json.dumps([backend]))
    content = {**same, "data_backend_config": "backends.json"}
    Path("b.json").write_text(json.dumps(content))
    code, found = differing(capsys, "a.toml", "b.json")
    assert code == 1
    assert found == {
        "data_backend[mine].repeats": (2, 3),
        "validation_prompts[fog]": ("a valley under fog", "absent"),
    }


def test_a_preset_s_own_values_are_no_difference_from_it(config, capsys):
    values = PRESETS["lora-12gb-lite"].values
    Path("p.json").write_text(json.dumps(dict(values) | {"seed": 7}))
    code, found = differing(capsys, "p.json", "--preset", "lora-12gb-lite")
    assert (code, found) == (1, {"seed": (7, 42)})


def test_the_table_has_a_line_a_difference_under_the_names(config, capsys):
    Path("b.toml").write_text(CONFIG.replace("lora_rank = 8\n", "") + "minimum_image_size = 512\n")
    assert main(["diff", "a.toml", "b.toml"]) == 1
    head, *lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert head == ["a.toml", "b.toml"]
    assert lines == [
        ["lora_rank", "8", "16"],
        ["data_backend[mine].minimum_image_size", "(empty)", "512"],
    ]


def test_trouble_is_2_and_says_what(config, capsys):
    Path("bad.toml").write_text("lora_rnk = 8\n")
    for arguments, told in [
        (["a.toml", "absent.toml"], "there is no config absent.toml"),
        (["bad.toml"], "unknown option lora_rnk"),
        (["a.toml", "--preset", "nope"], "there is no preset nope"),
        (["a.toml", "a.toml", "--preset", "full-80gb"], "not with both"),
    ]:
        assert main(["diff", *arguments]) == 2
        assert told in capsys.readouterr().err
