"""Settings that are changed while the run goes on: checked, made on all ranks at one step, kept."""

from __future__ import annotations

import sys

from engine.config.frozen import FrozenConfig
from engine.config.live import LiveChange, apply_change, differences, write_changes
from engine.config.weight_files import WeightFiles
from engine.models.prior import StableCascadePrior
from engine.run.control import Command
from engine.training.caching import NoRoomError, cache_prompts
from engine.training.data import TrainingData
from engine.training.painting import ValidationPrompt
from engine.training.session import Session, log
from engine.training.validation import Validator


class LiveSettings:
    """The intervals and prompts that count now.

    Changes arrive as commands to rank 0, which alone draws prompts; all ranks share the intervals.
    """

    def __init__(
        self,
        session: Session,
        frozen: FrozenConfig,
        change: LiveChange,
        *,
        data: TrainingData,
        weights: WeightFiles,
        validator: Validator,
    ) -> None:
        """``frozen`` has ``change`` in it already: what was changed before a resume."""
        self.session = session
        self.data = data
        self.weights = weights
        self.validator = validator
        self._current = frozen
        self._change = change
        self._read_intervals()
        self.draw()

    def _read_intervals(self) -> None:
        config = self._current.config
        self.checkpoint_interval = config.checkpoint_step_interval
        self.validation_interval = config.validation_step_interval or self.checkpoint_interval

    def draw(self) -> None:
        """Have the validator draw the prompts that count now; their embeds are in the cache."""
        self.validator.draw(
            tuple(
                ValidationPrompt(name, text, *self.data.embeds(text))
                for name, text in self._current.validation_prompts.items()
            )
        )

    def tell_changes(self) -> None:
        """Say with which changes a resumed run goes on."""
        if self._change and self.session.is_main:
            self.session.reporter.emit("changes", **self._change.arguments())
            names = ", ".join([*self._change.options, *self._change.prompts])
            log.info("goes on with what was changed while it ran: %s", names)

    def obey(self, prior: StableCascadePrior, *, step: int) -> None:
        """Make the changes that were asked for, on all ranks; a collective."""
        for command in self.session.commands.take("change"):
            self._obey(command, prior, step)
        self._read_intervals()
        mine = [self.checkpoint_interval, self.validation_interval]
        # No step is as late as the largest number that the ranks can exchange.
        told = [min(every, sys.maxsize) for every in mine] if self.session.is_main else [0, 0]
        self.checkpoint_interval, self.validation_interval = self.session.agree(told)

    def _obey(self, command: Command, prior: StableCascadePrior, step: int) -> None:
        """Rank 0: make one change whole, or refuse it whole; either way say so."""
        try:
            change = LiveChange.of_arguments(command.arguments)
            after, problems = apply_change(self._current, change)
            reason = "; ".join(f"{p.key}: {p.message}" for p in problems)
            if not problems:
                self._keep(after, change, prior, step)
        except (NoRoomError, OSError, ValueError) as error:  # ours are subclasses of ValueError
            reason = str(error)
        if reason:
            self.session.reporter.acknowledge([command], "refused", step=step, message=reason)
            return
        changed = list(differences(self._current, after))
        self._current, self._change = after, self._change.then(change)
        self.draw()
        self.session.reporter.acknowledge(
            [command],
            "done",
            step=step,
            message="; ".join(map(str, changed)) or "it was so already",
            changes=[{"key": c.key, "old": c.old, "new": c.new} for c in changed],
        )

    def _keep(
        self, after: FrozenConfig, change: LiveChange, prior: StableCascadePrior, step: int
    ) -> None:
        """See to the embeds of new prompts, and write down what a resume has to know."""
        texts = sorted(set(after.validation_prompts.values()))
        cache_prompts(
            self.session,
            self.data.text_store,
            texts,
            self.weights,
            self.data.text_hash,
            prior=prior,
            step=step,
        )
        write_changes(self.session.run, self._change.then(change))
