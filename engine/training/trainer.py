"""The loop: step, report, obey, save, validate. LoRA and full fine-tune share it."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass

from engine.optim.state import OptimizerStateError
from engine.training.changes import LiveSettings
from engine.training.checkpoint import (
    CheckpointError,
    choose_checkpoint,
    retain,
    save_checkpoint,
    sweep,
)
from engine.training.commands import POLL_SECONDS, Request
from engine.training.data import TrainingData
from engine.training.meter import Meter, StepRecord
from engine.training.model import TrainedModel
from engine.training.session import Session
from engine.training.step import TrainStep
from engine.training.validation import Validator
from engine.training.validation_loss import HeldOutLoss, ValidationLoss

_MAX_SKIPPED_STEPS = 20


class DivergedError(RuntimeError):
    """Loss or gradient stayed non-finite for too many steps in a row."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: ``finished`` or ``stopped``, after ``step`` optimizer steps."""

    state: str
    step: int
    reason: str
    signal_number: int = 0


class Trainer:
    """Owns the position of the run and everything that a checkpoint holds."""

    def __init__(
        self,
        session: Session,
        data: TrainingData,
        model: TrainedModel,
        step: TrainStep,
        validator: Validator,
        held_out: HeldOutLoss,
        settings: LiveSettings,
        num_steps: int,
    ) -> None:
        self.session = session
        self.config = session.config
        self.reporter = session.reporter
        self.data = data
        self.model = model
        self.train_step = step
        self.validator = validator
        self.held_out = held_out
        self.settings = settings
        self.num_steps = num_steps
        self.step = 0
        self.saved_step = -1
        self.skipped_in_a_row = 0
        self.meter = Meter(images_per_step=session.global_batch_size)

    # -- the loop -----------------------------------------------------------------------------

    def fit(self) -> Outcome:
        """Train from the current position to the last step, or until told to stop."""
        self.reporter.begin(step=self.step, max_train_steps=self.num_steps)
        if self.step == 0 and (self.config.validation_on_start or self.held_out.samples):
            self.validate(draws=self.config.validation_on_start)
        self.enter_training()
        with self.data.loader(first_step=self.step, last_step=self.num_steps) as batches:
            while self.step < self.num_steps:
                result = self.train_step.run(
                    self.step, batches.micro_batches(self.step), batches.num_micro_batches
                )
                lr = self.train_step.schedule.at(self.step)
                self.step += 1
                self.model.update_ema(self.step)
                self.meter.add(self.step, result, lr=lr, loader_wait=batches.take_wait_seconds())
                self.reporter.progress(step=self.step)
                if self.meter.is_due or self.at_boundary:
                    self.report()
                request = self.session.commands.agree()
                if request.pause:
                    request = self.pause()
                elif request.resume:  # else the next pause would end at once
                    self.ignore("resume", "it is not paused")
                if request.stop:
                    return self.stop(request)
                if request.change:
                    self.change()
                    self.enter_training()
                self.obey(request)
        self.report()
        if self.saved_step != self.step:
            self.save("finished")
        return Outcome("finished", self.step, "all steps done")

    @property
    def at_boundary(self) -> bool:
        """Whether this step saves or validates, or is the last."""
        return self.saves_now or self.validates_now or self.step == self.num_steps

    @property
    def saves_now(self) -> bool:
        return self.step % self.settings.checkpoint_interval == 0 or self.step == self.num_steps

    @property
    def validates_now(self) -> bool:
        return self.step % self.settings.validation_interval == 0 or self.step == self.num_steps

    def enter_training(self) -> None:
        self.reporter.phase("training", step=self.step)
        self.meter.restart()

    def obey(self, request: Request) -> None:
        """Save and validate, as asked or as due."""
        save, validate = (
            request.checkpoint or self.saves_now,
            request.validate or self.validates_now,
        )
        if not (save or validate):
            return
        self.report()
        if save:
            asked = self.session.commands.take("checkpoint")
            done = self.save("command" if asked else "interval")
            self.reporter.acknowledge(asked, "done" if done else "failed", step=self.step)
        if validate:
            asked = self.session.commands.take("validate")
            self.validate()
            self.reporter.acknowledge(asked, "done", step=self.step)
        if self.step < self.num_steps:
            self.enter_training()

    def change(self) -> None:
        """Change settings as asked; new prompts may take the time to encode them."""
        self.report()
        self.settings.obey(self.model.prior, step=self.step)

    def pause(self) -> Request:
        """Wait, holding the weights, until resumed or stopped; obeys saves and validations."""
        commands = self.session.commands
        self.report()
        self.reporter.acknowledge(commands.take("pause"), "done", step=self.step)
        self.reporter.phase("paused", step=self.step)
        while True:
            time.sleep(POLL_SECONDS)
            request = commands.agree()
            if request.stop:
                return request
            if request.change:
                self.change()
                self.reporter.phase("paused", step=self.step)
            if request.checkpoint or request.validate:
                self.obey(request)
                self.reporter.phase("paused", step=self.step)
            if request.pause:  # else it would pause again as soon as it is resumed
                self.ignore("pause", "it is paused already")
            if request.resume:
                self.reporter.acknowledge(commands.take("resume"), "done", step=self.step)
                self.enter_training()
                return Request()

    def ignore(self, name: str, why: str) -> None:
        """Acknowledge commands that have nothing to do."""
        taken = self.session.commands.take(name)
        self.reporter.acknowledge(taken, "ignored", step=self.step, message=why)

    def stop(self, request: Request) -> Outcome:
        """Save and end the run where it stands."""
        self.report()
        asked = self.session.commands.take("stop")
        done = self.saved_step == self.step or self.save("stop")
        self.reporter.acknowledge(asked, "done" if done else "failed", step=self.step)
        if not done:
            raise CheckpointError(f"stopped at step {self.step}, but it could not be saved")
        return Outcome("stopped", self.step, "stopped on request; saved", request.signal_number)

    # -- reporting ----------------------------------------------------------------------------

    def report(self) -> None:
        """Write the steps since the last report; the only host sync of the loop."""
        for record in self.meter.flush():
            self._count_skips(record)
            if record.step % self.config.log_step_interval:
                continue
            fields = asdict(record)
            del fields["finite"]
            self.reporter.emit("step", epoch=self.data.order.epoch_of(record.step - 1), **fields)
            self.session.track(
                {"loss": record.loss, "lr": record.lr, "grad_norm": record.grad_norm},
                step=record.step,
            )
            self.session.log_progress(record, self.num_steps)

    def _count_skips(self, record: StepRecord) -> None:
        if record.finite:
            self.skipped_in_a_row = 0
            return
        self.skipped_in_a_row += 1
        samples = ", ".join(self.data.names_of(record.step - 1)[:4])
        self.reporter.problem(
            "warning",
            f"step {record.step}: loss {record.loss}, gradient norm {record.grad_norm}; "
            f"the update was skipped (samples: {samples})",
        )
        if self.skipped_in_a_row >= _MAX_SKIPPED_STEPS:
            raise DivergedError(
                f"{_MAX_SKIPPED_STEPS} steps in a row were not finite, the last is "
                f"{record.step}. The newest checkpoint is from before. Lower learning_rate, "
                "or look at the samples named above"
            )

    # -- saving and restoring -----------------------------------------------------------------

    def save(self, reason: str) -> bool:
        """Write a checkpoint; on failure keep training and say so. True when it is safe."""
        self.reporter.phase("saving", step=self.step)
        began = time.perf_counter()
        problem = ""
        if self.session.is_main:
            try:
                saved = save_checkpoint(
                    self.session.run.checkpoints, self.step, self._tensors(), self._state()
                )
                retain(self.session.run.checkpoints, self.config.checkpoints_total_limit)
            except CheckpointError as error:
                problem = str(error)
                self.reporter.problem("error", problem, key="output_dir")
            else:
                self.reporter.emit(
                    "checkpoint",
                    step=self.step,
                    path=saved.path.relative_to(self.session.run.root).as_posix(),
                    bytes=saved.size_bytes,
                    seconds=time.perf_counter() - began,
                    reason=reason,
                )
        [failed] = self.session.agree([int(bool(problem))])
        if not failed:
            self.saved_step = self.step
        return not failed

    def restore(self) -> int | None:
        """Continue from the checkpoint that the config asks for; None when starting anew.

        Raises:
            CheckpointError: the checkpoint asked for by number is not there or is damaged.
            OptimizerStateError: it was trained with another optimizer.
        """
        sweep(self.session.run.checkpoints)
        loaded, passed_over = choose_checkpoint(
            self.session.run.checkpoints, self.config.resume_from_checkpoint
        )
        for problem in passed_over:
            self.reporter.problem("warning", f"{problem}; an older checkpoint is used instead")
        if loaded is None:
            return None
        saved_with = loaded.state.get("optimizer", self.config.optimizer)
        if saved_with != self.config.optimizer:
            raise OptimizerStateError(
                f"the checkpoint was trained with optimizer {saved_with}, the config says "
                f"{self.config.optimizer}: put it back, or choose a new output_dir"
            )
        self.model.load(loaded.tensors, loaded.state)
        self.train_step.weighting.load_state(loaded.state["weighting"])
        if loaded.state["dataset_fingerprint"] != self.data.fingerprint:
            self.reporter.problem(
                "warning",
                "the photographs, captions, batch size or seed changed since the checkpoint: the "
                "order of samples differs from what an uninterrupted run would have seen",
            )
        self.step = self.saved_step = loaded.step
        self.reporter.emit("rewind", step=loaded.step)
        return loaded.step

    def _tensors(self) -> dict:
        return self.model.tensors()

    def _state(self) -> dict:
        return {
            "step": self.step,
            "optimizer": self.config.optimizer,
            "ema_updates": self.model.ema_updates,
            "weighting": self.train_step.weighting.state(),
            "dataset_fingerprint": self.data.fingerprint,
            "adapter": self.model.description,
        }

    def validate(self, *, draws: bool = True) -> None:
        """Measure the held-out photographs and sample the prompts, with the weights as they are."""
        self.reporter.phase("validating", step=self.step)
        if self.session.is_main:
            with self.model.for_validation() as prior:
                self._report_loss(self.held_out.measure(prior, is_first=self.step == 0))
                if draws:
                    self.validator.run(prior, self.step)
        self.session.wait_for_everyone()

    def _report_loss(self, measured: ValidationLoss | None) -> None:
        if measured is None:
            return
        self.reporter.emit("validation", step=self.step, **asdict(measured))
        self.session.track({"validation_loss": measured.loss}, step=self.step)
