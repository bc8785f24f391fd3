"""Options of optimizer, schedule and loss that would have no effect, or a bad one, are told."""

from __future__ import annotations

import pytest
from config_project import H100

from engine.config.environment import Environment
from engine.config.loading import load_project

ADAFACTOR = {"optimizer": "adafactor", "learning_rate": 1e-2}
LION = {"optimizer": "lion", "adam_beta2": 0.99}
SCHEDULE_FREE = {"optimizer": "adamw-schedulefree", "lr_scheduler": "constant_with_warmup"}


@pytest.mark.parametrize(
    ("key", "severity", "options"),
    [
        ("lr_num_cycles", "warning", {"lr_num_cycles": 3}),
        ("lr_num_cycles", "warning", {"lr_scheduler": "cosine_with_restarts"}),
        ("lr_power", "warning", {"lr_power": 2.0}),
        ("max_grad_norm", "warning", {"max_grad_norm": 2.0, "max_grad_value": 0.1}),
        ("min_snr_gamma", "warning", {"min_snr_gamma": 1.0}),
        ("huber_delta", "warning", {"huber_delta": 0.2}),
        ("noise_offset", "warning", {"noise_offset": 0.9}),
        ("learning_rate", "warning", {"optimizer": "prodigy"}),
        ("learning_rate", "warning", {"optimizer": "adafactor"}),
        ("adam_beta1", "warning", {**ADAFACTOR, "adam_beta1": 0.5}),
        ("adam_epsilon", "warning", {**LION, "adam_epsilon": 1e-6}),
        ("adam_beta1", "warning", {"optimizer": "muon", "adam_beta1": 0.8}),
        ("adam_beta2", "hint", {"optimizer": "lion"}),
        ("lr_scheduler", "warning", {"optimizer": "adamw-schedulefree"}),
        ("use_ema", "error", {**SCHEDULE_FREE, "use_ema": True}),
        ("adam_beta1", "error", {**SCHEDULE_FREE, "adam_beta1": 0.0}),
    ],
)
def test_what_does_not_go_together_is_told_with_an_edit_that_mends_it(
    files, key, severity, options
):
    problem = files.problem(key, **options)
    assert problem.severity == severity
    assert problem.edit is not None
    files.options[problem.edit.key] = problem.edit.value
    if problem.edit.value is None:
        del files.options[problem.edit.key]
    assert files.problems() == ()


@pytest.mark.parametrize(
    "options",
    [
        {"lr_scheduler": "cosine_with_restarts", "lr_num_cycles": 3},
        {"lr_scheduler": "polynomial", "lr_power": 2.0, "lr_end": 1e-6},
        {"lr_scheduler": "sine"},
        {"max_grad_value": 0.1},
        {"snr_weighting": "min_snr", "min_snr_gamma": 1.0},
        {"loss_type": "huber", "huber_delta": 1.0},
        {"noise_offset": 0.1, "input_perturbation": 0.1},
        {**ADAFACTOR, "optimizer_config": "d=2, beta2_decay=-0.7"},
        {**LION, "adam_weight_decay": 0.1},
        SCHEDULE_FREE,
        {"optimizer": "prodigy", "learning_rate": 1.0, "optimizer_config": "d_coef=2"},
        {"optimizer": "muon", "adam_weight_decay": 0.1},
        {"optimizer": "bnb-adamw8bit"},
    ],
)
def test_what_goes_together_is_not_remarked_on(files, options):
    assert files.problems(**options) == ()


@pytest.mark.parametrize(
    ("name", "extra"),
    [("adamw-8bit", "quantization"), ("prodigy", "optimizers")],
)
def test_an_optimizer_whose_package_is_missing_is_an_error_with_the_command(files, name, extra):
    files.environment = Environment((H100,), frozenset({"torch", "torchvision"}))
    problem = files.problem(
        "optimizer", optimizer=name, learning_rate=1.0 if name == "prodigy" else 1e-4
    )
    assert problem.severity == "error"
    assert problem.fix == f"pip install 'cascade-tui[{extra}]'"


def test_an_unknown_argument_of_the_optimizer_is_an_error_that_names_those_there_are(files):
    problem = files.problem(
        "optimizer_config", optimizer="prodigy", learning_rate=1.0, optimizer_config="d_coeff=2"
    )
    assert problem.severity == "error"
    assert "did you mean d_coef?" in problem.message
    assert "safeguard_warmup" in problem.message


@pytest.mark.parametrize(
    "written",
    [
        "d_coef=2, use=1",
        ["d_coef=2", "use=1"],
        {"d_coef": 2, "use": 1},
        '{"d_coef": 2, "use": 1}',
    ],
)
def test_further_arguments_are_a_text_a_list_or_a_table(files, written):
    project = files.load(optimizer="prodigy", learning_rate=1.0, optimizer_config=written)
    assert project.config.optimizer_config == "d_coef=2, use=1"


def test_another_name_of_an_optimizer_is_read_as_ours(files):
    assert files.load(optimizer="adamw_schedulefree").config.optimizer == "adamw-schedulefree"


def test_further_arguments_may_be_a_table_of_a_toml_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("optimizer = 'prodigy'\n[optimizer_config]\nd_coef = 2.5\nuse_bias = 1\n")
    project = load_project(path)
    assert project.config.optimizer_config == "d_coef=2.5, use_bias=1"
    [problem] = [p for p in project.problems if p.key == "optimizer_config"]
    assert "use_bias" in problem.message
    assert problem.where.endswith(("config.toml:2", "config.toml:2:1"))
