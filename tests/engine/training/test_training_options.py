"""Options of optimizer, clipping, schedule, loss and noise reach the training, each in its way."""

import pytest
import torch
from accelerate import Accelerator

from engine.config.frozen import load_frozen
from engine.config.weight_files import locate_weights
from engine.training.commands import Commands, StopSignals
from engine.training.data import prepare_data
from engine.training.model import build_model
from engine.training.reporter import Reporter
from engine.training.session import Session
from engine.training.setup import build_step

VARIANTS = [
    {},
    {"snr_weighting": "constant"},
    {"snr_weighting": "min_snr"},
    {"snr_weighting": "min_snr", "min_snr_gamma": 0.5},
    {"loss_type": "huber"},
    {"loss_type": "huber", "huber_delta": 0.5},
    {"noise_offset": 0.1},
    {"input_perturbation": 0.1},
    {"max_grad_norm": 1e-3, "adam_epsilon": 1e-3},
    {"adam_epsilon": 1e-3},
    {"max_grad_value": 1e-4},
    {"lr_scheduler": "sine"},
    {"lr_scheduler": "polynomial", "lr_power": 2.0},
    {"lr_scheduler": "polynomial", "lr_power": 3.0},
    {"optimizer": "torch-adamw"},
    {"optimizer": "adamw-8bit"},
    {"optimizer": "lion"},
    {"optimizer": "muon"},
]


@pytest.mark.slow
def test_every_variant_of_a_run_trains_other_weights_and_the_same_one_the_same(prepare):
    run = prepare(train_batch_size=2)
    frozen = load_frozen(run.root)
    session = Session(
        run=run,
        config=frozen.config,
        accelerator=Accelerator(cpu=True),
        reporter=Reporter(run, is_main=True),
        commands=Commands(run, StopSignals(), rank=0, agree=lambda flags: flags),
        agree=lambda flags: flags,
    )
    weights, _ = locate_weights(frozen.config)
    data = prepare_data(session, frozen, weights)
    found: dict[bytes, dict] = {}
    for variant in VARIANTS:
        session.config = frozen.config.model_copy(update=variant)
        trained = _train(session, weights, data)
        assert found.setdefault(trained, variant) == variant
    session.config = frozen.config
    assert found[_train(session, weights, data)] == {}


def _train(session, weights, data) -> bytes:
    """The trained weights after the first steps of a run."""
    model = build_model(session.config, weights, torch.device("cpu"))
    step = build_step(session, model, 3)
    with data.loader(first_step=0, last_step=3) as batches:
        for number in range(3):
            result = step.run(number, batches.micro_batches(number), 1)
            assert result.finite
    return b"".join(value.detach().numpy().tobytes() for value in model.parameters.values())
