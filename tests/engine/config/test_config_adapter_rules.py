"""What the adapter's options must satisfy together, and how their lists are read."""

import pytest
from config_project import EVERYTHING

from engine.config.adapter_rules import parse_rank_pattern
from engine.config.environment import Environment

LOKR = {"lora_type": "lycoris", "export_formats": ["comfyui"]}


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True, "lora_rslora": True},
        {"use_dora": True, "base_model_precision": "int8-torchao"},
        {"lora_target": "patterns", "lora_target_patterns": ["to_q", r"up_blocks\..*mapper"]},
        {"lora_rank_pattern": ["to_v=32", r"up_blocks\.1\..*to_q=8"]},
        {"lora_rank_pattern": "to_v=32, to_q=8"},
        {"lora_rank_pattern": ""},
        {"export_formats": ["peft", "comfyui", "kohya"]},
        LOKR,
        LOKR | {"lycoris_factor": 8},
        LOKR | {"lycoris_algorithm": "loha", "lora_rank_pattern": ["to_v=32"]},
    ],
)
def test_adapters_of_every_kind_have_no_problem(files, options):
    assert files.problems(**options) == ()


@pytest.mark.parametrize(
    ("key", "severity", "options"),
    [
        ("lora_target_patterns", "error", {"lora_target": "patterns"}),
        ("lora_target_patterns", "error", {"lora_target_patterns": ["to_q"]}),
        (
            "lora_target_patterns",
            "error",
            {"lora_target": "patterns", "lora_target_patterns": ["to_(q"]},
        ),
        ("lora_rank_pattern", "error", {"lora_rank_pattern": ["to_q"]}),
        ("lora_rank_pattern", "error", {"lora_rank_pattern": ["to_q=0"]}),
        ("lora_rank_pattern", "error", {"lora_rank_pattern": ["to_(q=4"]}),
        ("lora_rank_pattern", "error", {"lora_rank_pattern": [4]}),
        ("use_dora", "error", LOKR | {"use_dora": True}),
        ("lora_rslora", "error", LOKR | {"lora_rslora": True}),
        ("export_formats", "error", {"lora_type": "lycoris"}),
        ("lycoris_factor", "error", LOKR | {"lycoris_algorithm": "loha", "lycoris_factor": 8}),
        ("lycoris_factor", "error", LOKR | {"lycoris_factor": 0}),
        ("lycoris_factor", "warning", {"lycoris_factor": 8}),
        ("lycoris_algorithm", "warning", {"lycoris_algorithm": "loha"}),
    ],
)
def test_adapter_options_that_do_not_go_together_are_told_with_the_fix(
    files, key, severity, options
):
    problem = files.problem(key, **options)
    assert problem.severity == severity
    assert problem.fix
    if problem.edit is not None:
        files.options.pop(problem.edit.key, None)
        if problem.edit.value is not None:
            files.options[problem.edit.key] = problem.edit.value
        assert not [p for p in files.load().problems if p.severity == "error"]


@pytest.mark.parametrize("key", ["use_dora", "lora_rslora", "lora_type"])
def test_an_adapters_option_in_a_full_fine_tune_is_an_error(files, key):
    options = {"model_type": "full", "checkpoints_total_limit": 1, "learning_rate": 1e-5}
    value = "lycoris" if key == "lora_type" else True
    assert files.problem(key, **options, **{key: value}).severity == "error"


def test_lycoris_without_its_package_is_an_error_that_says_how_to_install_it(files):
    files.environment = Environment((), EVERYTHING - {"lycoris"})
    assert files.problems() == ()
    problem = files.problem("lora_type", **LOKR)
    assert problem.fix == "pip install 'cascade-tui[lycoris]'"


def test_a_rank_pattern_is_split_at_its_last_equals_sign():
    assert parse_rank_pattern("to_v=32") == ("to_v", 32)
    assert parse_rank_pattern("(?=up).*to_v=8") == ("(?=up).*to_v", 8)
    with pytest.raises(ValueError, match="is not pattern=rank"):
        parse_rank_pattern("to_v=many")
