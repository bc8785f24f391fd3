"""One declaration per option: complete, frozen, and the source of everything else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.config.backends import BACKEND_OPTIONS
from engine.config.environment import IMAGE_SUFFIXES
from engine.config.fields import GROUPS, OPTIONS, TrainingConfig
from engine.config.schema import backends_schema, json_schema
from engine.data.scan import EXTENSIONS

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden" / "options.txt"
SHIPPED = ROOT / "config" / "stable_cascade"
EVERY_OPTION = {
    **{f"config.{key}": option for key, option in OPTIONS.items()},
    **{
        f"{kind}.{key}": option
        for kind, options in BACKEND_OPTIONS.items()
        for key, option in options.items()
    },
}


def test_the_names_of_options_do_not_change_unnoticed():
    names = "\n".join(EVERY_OPTION) + "\n"
    assert names == GOLDEN.read_text(), f"if this is meant, write to {GOLDEN}:\n{names}"


@pytest.mark.parametrize("name", EVERY_OPTION)
def test_an_option_has_a_group_and_a_sentence_of_help(name):
    option = EVERY_OPTION[name]
    assert option.group in GROUPS
    assert option.help.endswith(".")
    assert len(option.help.split()) > 2


@pytest.mark.parametrize("name", EVERY_OPTION)
def test_a_count_says_what_it_counts_or_its_unit(name):
    option = EVERY_OPTION[name]
    if option.key.endswith(("_steps", "_interval", "_size", "_resolution", "_resolutions")):
        assert option.unit or "batch grows" in option.help or option.key.startswith("gradient")


@pytest.mark.parametrize("name", EVERY_OPTION)
def test_choices_leave_out_what_is_not_supported_yet(name):
    option = EVERY_OPTION[name]
    refused = option.unsupported if isinstance(option.unsupported, dict) else {}
    assert not set(option.choices) & set(refused)
    assert all("is not supported yet" in reason for reason in refused.values())


def test_every_key_of_the_quickstart_is_an_option():
    config = json.loads((SHIPPED / "config.json").read_text())
    assert set(config) <= set(OPTIONS)
    for backend in json.loads((SHIPPED / "multidatabackend.json").read_text()):
        assert set(backend) <= set(BACKEND_OPTIONS[backend["dataset_type"]])


def test_the_schema_knows_every_option_and_what_a_file_may_hold_inline():
    schema = json_schema()
    assert schema["additionalProperties"] is False
    inline = {"data_backend", "validation_prompts", "$schema"}
    assert set(schema["properties"]) == {*OPTIONS, *inline}
    for key, option in OPTIONS.items():
        unit = f" Unit: {option.unit}." if option.unit else ""
        assert schema["properties"][key]["description"] == option.help + unit
        assert "x-option" not in schema["properties"][key]
    json.dumps(schema, allow_nan=False)
    references = [item["$ref"] for item in backends_schema()["items"]["anyOf"]]
    assert references == ["#/$defs/ImageBackend", "#/$defs/TextEmbedBackend"]


def test_the_schema_takes_every_spelling_that_is_read():
    properties = json_schema()["properties"]
    assert {"adamw-8bit", "bnb-adamw8bit"} <= set(properties["optimizer"]["enum"])
    assert properties["optimizer_config"]["type"] == ["string", "null", "array", "object"]


def test_the_defaults_are_a_config_by_themselves():
    config = TrainingConfig()
    assert {key: getattr(config, key) for key in OPTIONS} == {
        key: option.default for key, option in OPTIONS.items()
    }


def test_pictures_are_the_same_files_to_the_check_and_to_the_scan():
    assert IMAGE_SUFFIXES == EXTENSIONS
