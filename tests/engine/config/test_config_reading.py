"""Wrong types, unknown keys, wrong ranges: each told, with what was given and what is expected."""

from __future__ import annotations

import pytest

from engine.config.fields import TrainingConfig
from engine.config.problems import Edit
from engine.config.reading import read_model
from engine.config.resolution import Resolution


def read(**values):
    return read_model(TrainingConfig, values)


def only(**values):
    _, [problem] = read(**values)
    assert problem.severity == "error"
    return problem


@pytest.mark.parametrize("value", [True, False])
def test_text_for_a_boolean_is_an_error_and_not_what_it_spells(value):
    problem = only(use_ema=str(value).lower())
    assert f'the text "{str(value).lower()}", expected true or false' in problem.message
    assert problem.edit == Edit("use_ema", value)


def test_text_for_a_number_is_an_error_with_the_number_as_its_edit():
    problem = only(learning_rate="1e-4")
    assert problem.message == 'is the text "1e-4", expected a number above 0 to 1'
    assert problem.edit == Edit("learning_rate", 1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lora_rank": True}, "is true, expected a whole number from 1 to 1024"),
        ({"lora_rank": 1.5}, "is 1.5, expected a whole number from 1 to 1024"),
        ({"lora_rank": None}, "is null, expected a whole number from 1 to 1024"),
        ({"lora_rank": [4]}, "is a list ([4]), expected a whole number from 1 to 1024"),
        ({"seed": 2**32}, "is 4294967296, expected a whole number from 0 below 4294967296"),
        ({"use_ema": 1}, "is 1, expected true or false"),
        ({"validation_prompt": 5}, "is 5, expected text (or nothing)"),
        ({"output_dir": 5}, "is 5, expected a path (text)"),
        ({"output_dir": " "}, "is empty, expected a path"),
        ({"output_dir": "a\0b"}, "holds a NUL character"),
        ({"model_type": "lorra"}, 'is the text "lorra", expected one of lora, full'),
        ({"learning_rate": float("nan")}, "is nan, expected a number above 0 to 1"),
        ({"lora_alpha": float("inf")}, "is inf, expected a number above 0 (or nothing)"),
        ({"report_to": ["wandb", "abacus"]}, '"abacus" is not possible here'),
        ({"validation_resolution": "wide"}, 'is the text "wide", expected a size in pixels'),
        ({"validation_resolution": 1.5}, "is 1.5, expected a size in pixels"),
        ({"validation_resolution": "0x64"}, 'is the text "0x64", expected a size in pixels'),
    ],
)
def test_a_wrong_value_is_told_with_what_was_given_and_what_is_expected(values, message):
    assert only(**values).message.startswith(message)


@pytest.mark.parametrize(
    ("values", "meant"),
    [
        ({"lora_rank": 0}, 1),
        ({"lora_rank": 4096}, 1024),
        ({"lora_rank": "8"}, 8),
        ({"lora_rank": "8.5"}, None),
        ({"learning_rate": 0}, None),
        ({"model_type": "lorra"}, "lora"),
        ({"model_family": "sdxl"}, "stable_cascade"),
        ({"model_flavour": "xyz"}, None),
    ],
)
def test_the_edit_is_what_was_most_likely_meant_and_is_itself_valid(values, meant):
    problem = only(**values)
    assert (problem.edit and problem.edit.value) == meant
    if meant is not None:
        assert read(**{problem.key: meant})[1] == []


def test_an_unknown_key_is_an_error_that_names_and_renames_to_the_nearest():
    problem = only(lerning_rate=2e-4)
    assert problem.message == "unknown option lerning_rate"
    assert problem.fix == "did you mean learning_rate?"
    assert problem.edit == Edit("learning_rate", 2e-4, renames="lerning_rate")


def test_a_misspelt_key_beside_the_right_one_is_not_renamed_over_it():
    problem = only(lerning_rate=2e-4, learning_rate=1e-4)
    assert "learning_rate is set already" in problem.message
    assert problem.edit is None


def test_a_key_like_no_other_is_to_be_removed():
    assert only(zzz=1).fix == "remove it"


def test_all_problems_of_all_fields_come_at_once_and_the_good_fields_stay():
    config, problems = read(lora_rank="x", use_ema=3, typo=1, learning_rate=2e-4, seed=7)
    assert {problem.key for problem in problems} == {"lora_rank", "use_ema", "typo"}
    assert (config.learning_rate, config.seed) == (2e-4, 7)
    assert (config.lora_rank, config.use_ema) == (16, False)


@pytest.mark.parametrize(
    "values",
    [
        {"base_model_precision": "int8-quanto"},
        {"optimizer": "soap"},
        {"optimizer": "ao-adamw8bit"},
        {"lr_scheduler": "wsd"},
        {"compile": True},
        {"scheduled_sampling_max_step_offset": 3},
        {"scheduled_sampling_probability": 0.5},
        {"diff2flow_enabled": True},
        {"diff2flow_loss": True},
        {"fsdp_enable": True},
    ],
)
def test_what_is_known_but_not_there_yet_says_so(values):
    assert "not supported yet" in only(**values).message


@pytest.mark.parametrize(
    "values",
    [
        {"compile": False},
        {"scheduled_sampling_max_step_offset": 0},
        {"diff2flow_enabled": False},
    ],
)
def test_switching_off_what_is_not_there_yet_is_no_error(values):
    assert read(**values)[1] == []


@pytest.mark.parametrize(
    ("values", "key", "expected"),
    [
        ({"report_to": "wandb"}, "report_to", ("wandb",)),
        ({"report_to": "wandb, tensorboard"}, "report_to", ("wandb", "tensorboard")),
        ({"report_to": ["none"]}, "report_to", ("none",)),
        ({"lora_alpha": 16}, "lora_alpha", 16.0),
        ({"resume_from_checkpoint": 300}, "resume_from_checkpoint", "300"),
        ({"validation_resolution": 1024}, "validation_resolution", Resolution(1024, 1024)),
        ({"validation_resolution": "1152x896"}, "validation_resolution", Resolution(1152, 896)),
        ({"init_lora": ""}, "init_lora", None),
        ({"revision": None}, "revision", None),
    ],
)
def test_other_spellings_of_a_value_are_that_value(values, key, expected):
    config, problems = read(**values)
    assert problems == []
    assert getattr(config, key) == expected
