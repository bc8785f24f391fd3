"""A run from its frozen config to its outcome: the parts are built here and handed to the loop."""

from __future__ import annotations

import json
import shlex

import torch

from engine import __version__
from engine.config.cache_folders import cache_root
from engine.config.frozen import FrozenConfig
from engine.config.live import LiveChange
from engine.config.weight_files import WeightFiles, locate_weights
from engine.models.previewer import load_previewer
from engine.models.weights import WeightsError, hash_weights
from engine.objective.loss import Loss
from engine.objective.weighting import build_weighting
from engine.optim.build import build_optimizer, build_schedule
from engine.run.files import atomic_write_json
from engine.training.caching import StoppedEarly
from engine.training.changes import LiveSettings
from engine.training.data import (
    TrainingData,
    check_ranks_agree,
    prepare_data,
)
from engine.training.exporting import export, formats_of
from engine.training.model import TrainedModel, build_model
from engine.training.painting import Painter, ValidationPrompt
from engine.training.publishing import PublishingError, create_repository, push
from engine.training.session import Session
from engine.training.step import Clipping, TrainStep
from engine.training.trainer import Outcome, Trainer
from engine.training.validation import NEGATIVE, Validator
from engine.training.validation_loss import HeldOutLoss


def train(session: Session, frozen: FrozenConfig, change: LiveChange) -> Outcome:
    """Prepare, train or continue, export; ``change`` is what of ``frozen`` was changed live.

    Raises:
        ValueError: a subclass of ours: data, weights or config are at fault.
    """
    session.reporter.phase("preparing", step=0)
    weights, missing = locate_weights(frozen.config, shlex.quote(str(session.run.config)))
    if weights is None:
        raise WeightsError("; ".join(f"{p.message}. Fix: {p.fix}" for p in missing))
    if frozen.config.push_to_hub and session.is_main:
        create_repository(frozen.config)  # a refusal is better told now than after the run
    try:
        data = prepare_data(session, frozen, weights)
    except StoppedEarly:
        return _stopped_before_training(session)
    check_ranks_agree(session, data)
    session.reporter.phase("preparing", step=0)
    model = build_model(frozen.config, weights, session.device)
    num_steps = _num_steps(session, data)
    trainer = _build_trainer(session, frozen, change, weights, data, model, num_steps)
    resumed_from = trainer.restore()
    base_hash = _describe(session, weights, data)
    session.reporter.emit(
        "start",
        version=__version__,
        world_size=session.world_size,
        device=str(session.device),
        num_images=len(data.samples),
        num_held_out=len(data.held_out),
        num_captions=len({key for sample in data.samples for key in sample.text_keys}),
        num_batches_per_epoch=data.order.batches_per_epoch,
        max_train_steps=num_steps,
        resumed_from=resumed_from,
        trainable_parameters=model.num_trainable,
    )
    trainer.settings.tell_changes()
    outcome = trainer.fit()
    export(session, model, outcome.step, base_hash)
    if outcome.state == "finished":
        _push(session, outcome.step)
    session.reporter.phase("done", step=outcome.step)
    return outcome


def _push(session: Session, step: int) -> None:
    """To the hub, if asked for. A failure loses nothing: it is told, and the run is finished."""
    config = session.config
    if not (config.push_to_hub and session.is_main):
        return
    session.reporter.phase("pushing", step=step)
    try:
        address = push(session.run, config, session.run.export, formats_of(config), step)
    except PublishingError as failure:
        session.reporter.problem("error", str(failure), key="push_to_hub")
    else:
        session.reporter.emit("push", step=step, repository=config.hub_model_id, address=address)


def _stopped_before_training(session: Session) -> Outcome:
    """Answer who asked; the caches keep what they have."""
    number = session.commands.agree().signal_number
    session.reporter.acknowledge(session.commands.take("stop"), "done", step=0)
    reason = "stopped before the first step; the caches keep what was made"
    return Outcome("stopped", session.reporter.status.step, reason, number)


def _num_steps(session: Session, data: TrainingData) -> int:
    config = session.config
    if config.max_train_steps is not None:
        return config.max_train_steps
    assert config.num_train_epochs is not None
    return config.num_train_epochs * data.order.batches_per_epoch


def build_step(session: Session, model: TrainedModel, num_steps: int) -> TrainStep:
    """Give the model its optimizer, and build the step that trains it as the config says."""
    config = session.config
    model.optimizer = build_optimizer(model.parameters, config)
    return TrainStep(
        session.accelerator,
        session.accelerator.prepare_model(model.prior),
        model.parameters,
        model.optimizer,
        build_schedule(config, num_steps),
        build_weighting(config.snr_weighting, session.device, min_snr_gamma=config.min_snr_gamma),
        loss=Loss(config.loss_type, config.huber_delta),
        clip=Clipping(config.max_grad_norm, config.max_grad_value),
        seed=config.seed,
    )


def _build_trainer(
    session: Session,
    frozen: FrozenConfig,
    change: LiveChange,
    weights: WeightFiles,
    data: TrainingData,
    model: TrainedModel,
    num_steps: int,
) -> Trainer:
    step = build_step(session, model, num_steps)
    config = session.config
    validator = Validator(
        session,
        Painter(
            config,
            weights,
            load_previewer(weights.previewer, device=session.device),
            ValidationPrompt(
                NEGATIVE,
                config.validation_negative_prompt,
                *data.embeds(config.validation_negative_prompt),
            ),
            device=session.device,
            autocast=session.accelerator.autocast,
            should_stop=session.commands.should_stop,
        ),
    )
    settings = LiveSettings(
        session, frozen, change, data=data, weights=weights, validator=validator
    )
    held_out = HeldOutLoss(session, data)
    return Trainer(session, data, model, step, validator, held_out, settings, num_steps)


def _describe(session: Session, weights: WeightFiles, data: TrainingData) -> str:
    """Add to meta.json what this run is made of; return the hash of the base weights."""
    memory = cache_root(session.config) / "weight-hashes.json"
    hashes = {
        "prior": hash_weights(weights.prior_weights, memory=memory),
        "effnet_encoder": hash_weights([weights.effnet_encoder], memory=memory),
        "previewer": hash_weights([weights.previewer], memory=memory),
    }
    if session.is_main:
        path = session.run.meta
        meta = json.loads(path.read_text()) if path.exists() else {}
        meta["weight_hashes"] = hashes
        meta["dataset_fingerprint"] = data.fingerprint
        meta["hardware"] = {
            "device": str(session.device),
            "name": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
            "world_size": session.world_size,
        }
        atomic_write_json(path, meta)
    return hashes["prior"]
