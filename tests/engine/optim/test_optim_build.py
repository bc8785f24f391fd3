"""Every optimizer that can be chosen trains, takes its options, and resumes bit for bit."""

from __future__ import annotations

import inspect

import pytest
import torch
from safetensors.torch import load, save

from engine.config.fields import OPTIONS, TrainingConfig
from engine.config.optimizers import ALIASES, OPTIMIZERS, OptimizerConfigError
from engine.optim.build import OptimizerError, build_optimizer
from engine.optim.state import (
    OptimizerStateError,
    averaged,
    load_optimizer_tensors,
    optimizer_tensors,
)

NAMES = OPTIONS["optimizer"].choices
RATES = {"prodigy": 1.0, "adafactor": 1e-2}


def _model() -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(  # a matrix above bitsandbytes' 8-bit limit, one below, a kernel
        torch.nn.Conv1d(1, 8, 3, padding=1),
        torch.nn.Flatten(),
        torch.nn.Linear(128, 64),
        torch.nn.Tanh(),
        torch.nn.Linear(64, 4),
    )


def _optimizer(model: torch.nn.Module, name: str, **options):
    config = TrainingConfig(optimizer=name, **{"learning_rate": RATES.get(name, 1e-3)} | options)
    return build_optimizer(dict(model.named_parameters()), config)


def _train(model, optimizer, first: int, last: int) -> float:
    for step in range(first, last):
        torch.manual_seed(step)  # the position keys every draw, stochastic rounding's too
        x = torch.randn(16, 1, 16)
        loss = (model(x) - x[:, 0, :4]).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_optimizer_goes_on_bit_for_bit(name):
    whole = _model()
    _train(whole, _optimizer(whole, name), 0, 8)

    first = _model()
    optimizer = _optimizer(first, name)
    _train(first, optimizer, 0, 4)
    file = save(optimizer_tensors(optimizer, dict(first.named_parameters())))
    second = _model()
    second.load_state_dict(first.state_dict())
    resumed = _optimizer(second, name)
    load_optimizer_tensors(resumed, dict(second.named_parameters()), load(file))
    _train(second, resumed, 4, 8)

    for key, value in whole.state_dict().items():
        assert torch.equal(second.state_dict()[key], value), key
    again = optimizer_tensors(resumed, dict(second.named_parameters()))
    assert again.keys() == load(file).keys()


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name):
    model = _model()
    optimizer = _optimizer(model, name)
    before = _train(model, optimizer, 0, 1)
    assert _train(model, optimizer, 1, 60) < 0.9 * before


@pytest.mark.parametrize("name", NAMES)
def test_what_the_config_checks_is_what_the_class_takes(name):
    parameters = inspect.signature(type(_optimizer(_model(), name)).__init__).parameters
    assert OPTIMIZERS[name].arguments.keys() <= parameters.keys()
    takes = {"adam_weight_decay": "weight_decay", "adam_epsilon": "eps", "adam_beta1": "betas"}
    if name == "muon":
        takes |= {"adam_epsilon": "adamw_eps", "adam_beta1": "adamw_betas"}
    for option, argument in takes.items():
        is_own = argument in OPTIMIZERS[name].arguments  # adafactor's eps are another two
        is_used = option in OPTIMIZERS[name].options
        assert is_used == (argument in parameters and not is_own), (option, argument)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        (name, option, value)
        for name in NAMES
        for option, value in {
            "adam_beta1": 0.5, "adam_beta2": 0.6, "adam_epsilon": 1e-2, "adam_weight_decay": 5.0,
            "learning_rate": 7e-3,
        }.items()
        if option in OPTIMIZERS[name].options | {"learning_rate"}
    ],
)  # fmt: skip
def test_an_option_that_an_optimizer_uses_has_an_effect(name, option, value):
    models = []
    for options in ({}, {option: value}):
        models.append(_model())
        _train(models[-1], _optimizer(models[-1], name, **options), 0, 4)
    plain, changed = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert not torch.equal(plain, changed)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("prodigy", "d_coef=2, safeguard_warmup=true", "safeguard_warmup", True),
        ("prodigy", "d_coef=2, safeguard_warmup=true", "d_coef", 2.0),
        ("adafactor", "eps=(1e-30, 1e-2), d=2", "eps", (1e-30, 1e-2)),
        ("muon", "momentum=0.8", "momentum", 0.8),
        ("torch-adamw", "amsgrad=True", "amsgrad", True),
    ],
)
def test_further_arguments_reach_the_optimizer(name, text, key, value):
    assert _optimizer(_model(), name, optimizer_config=text).param_groups[0][key] == value


@pytest.mark.parametrize(
    "text", ["d_coeff=2", "d_coef", "d_coef=two", "d_coef=1, d_coef=2", "lr=1"]
)
def test_further_arguments_that_it_does_not_take_are_refused(text):
    with pytest.raises(OptimizerConfigError, match="d_coef"):
        _optimizer(_model(), "prodigy", optimizer_config=text)


def test_a_value_that_the_optimizer_refuses_is_the_configs_fault():
    with pytest.raises(OptimizerError, match="adafactor"):
        _optimizer(_model(), "adafactor", optimizer_config="d=0.5")


def test_state_of_other_parameters_is_refused():
    model = _model()
    optimizer = _optimizer(model, "prodigy")
    _train(model, optimizer, 0, 1)
    tensors = optimizer_tensors(optimizer, dict(model.named_parameters()))
    other = {f"other.{name}": value for name, value in model.named_parameters()}
    with pytest.raises(OptimizerStateError, match="does not fit"):
        load_optimizer_tensors(optimizer, other, tensors)


def test_the_schedule_free_average_is_another_model_and_leaves_the_trained_one_as_it_was():
    model = _model()
    optimizer = _optimizer(model, "adamw-schedulefree")
    _train(model, optimizer, 0, 4)
    trained = [value.detach().clone() for value in model.parameters()]
    with averaged(optimizer):
        inside = [value.detach().clone() for value in model.parameters()]
    assert not any(torch.equal(*pair) for pair in zip(inside, trained, strict=True))
    assert all(torch.equal(*pair) for pair in zip(model.parameters(), trained, strict=True))
    assert all(group["train_mode"] for group in optimizer.param_groups)


def test_muon_is_for_matrices_and_adamw_for_the_rest():
    muon, adamw = _optimizer(_model(), "muon").param_groups
    assert (muon["use_muon"], adamw["use_muon"]) == (True, False)
    assert {value.dim() for value in muon["params"]} == {2}
    assert {value.dim() for value in adamw["params"]} == {1, 3}


def test_other_names_are_names_of_what_there_is():
    assert set(ALIASES.values()) <= set(NAMES) == set(OPTIMIZERS)
    assert not set(ALIASES) & set(NAMES)


@pytest.mark.parametrize("name", ["adamw-8bit", "lion-8bit"])
def test_moments_of_large_weights_are_in_8_bits(name):
    model = _model()
    optimizer = _optimizer(model, name)
    _train(model, optimizer, 0, 1)
    assert optimizer.state[model[2].weight]["state1"].dtype == torch.uint8
    assert optimizer.state[model[4].weight]["state1"].dtype == torch.float32


@pytest.mark.parametrize("name", NAMES)
def test_the_state_is_as_large_as_the_check_of_the_disk_says(name):
    model = torch.nn.Linear(256, 256, bias=False)
    optimizer = _optimizer(model, name)
    model(torch.randn(1, 256)).sum().backward()
    optimizer.step()
    tensors = optimizer_tensors(optimizer, dict(model.named_parameters())).values()
    size = sum(value.numel() * value.element_size() for value in tensors)
    assert size / 256**2 == pytest.approx(OPTIMIZERS[name].state_bytes, abs=0.2)
