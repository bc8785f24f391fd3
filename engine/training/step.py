"""One optimizer step of the published recipe.

    t  ~ clamp((1 - U[0, 1)) + 0.001, 0.001, 1)
    x_t = sqrt(abar) x0 + sqrt(1 - abar) eps        abar = cosine schedule at t
    loss = mean_B( w(t) * mean_CHW((prior(x_t, r) - eps)^2) )      or a Huber loss for the square

With input perturbation (Ning et al. 2023, arXiv:2301.11706) x_t is made with eps + gamma eps', and
eps stays the target.

Shapes: B samples of a micro-batch; C=16, H, W of the latent grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from engine.data.loader import Batch
from engine.objective.loss import Loss
from engine.objective.schedule import diffuse, log_snr_of, training_t
from engine.objective.weighting import Weighting
from engine.optim.schedules import Schedule
from engine.optim.state import takes_found_inf


@dataclass(frozen=True, slots=True)
class StepResult:
    """Device scalars of one optimizer step; reading them is a host sync, so they are kept."""

    loss: Tensor
    grad_norm: Tensor
    finite: Tensor


@dataclass(frozen=True, slots=True)
class Clipping:
    """How large gradients are kept in bounds: by value where ``max_value`` is set, else by norm."""

    max_norm: float
    max_value: float | None = None

    def __call__(self, parameters: Sequence[Tensor]) -> Tensor:
        """Clip the gradients in place and return their norm from before, a device scalar."""
        if self.max_value is None:
            return torch.nn.utils.clip_grad_norm_(parameters, self.max_norm)
        gradients = [value.grad for value in parameters if value.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        torch.nn.utils.clip_grad_value_(parameters, self.max_value)
        return norm


def micro_batch_loss(
    prior: nn.Module, batch: Batch, weighting: Weighting, loss: Loss
) -> tuple[Tensor, Tensor, Tensor]:
    """Return (weighted loss [B], unweighted loss [B], logSNR [B]) of one micro-batch."""
    noise = batch.noise if batch.input_noise is None else batch.input_noise
    x_t, r_B, abar_B = diffuse(batch.latents, noise, training_t(batch.u))
    prediction = prior(x_t, r_B, batch.clip_text, batch.clip_text_pooled)
    raw_B = loss(prediction, batch.noise)
    log_snr_B = log_snr_of(abar_B)
    return weighting(abar_B, log_snr_B) * raw_B, raw_B, log_snr_B


class TrainStep:
    """Forward, backward and update of the trained parameters over one global batch."""

    def __init__(
        self,
        accelerator: Accelerator,
        prior: nn.Module,
        parameters: Mapping[str, Tensor],
        optimizer: torch.optim.Optimizer,
        schedule: Schedule,
        weighting: Weighting,
        *,
        loss: Loss,
        clip: Clipping,
        seed: int,
    ) -> None:
        self.accelerator = accelerator
        self.prior = prior
        self.parameters = list(parameters.values())
        self.optimizer = optimizer
        self.takes_found_inf = takes_found_inf(optimizer)
        self.schedule = schedule
        self.weighting = weighting
        self.loss = loss
        self.clip = clip
        self.seed = seed

    def run(self, step: int, micro_batches: Iterable[Batch], num_micro_batches: int) -> StepResult:
        """Take optimizer step ``step`` (0-based) and return its device scalars.

        A step whose loss or gradient is not finite changes nothing: the optimizer is told so on
        the device (``found_inf``), without a host sync, where it knows that; else it is not asked.
        """
        losses, raws, log_snrs = [], [], []
        for index, batch in enumerate(micro_batches):
            # Dropout is the only draw left to torch; keyed by position, it resumes exactly.
            torch.manual_seed(self._dropout_seed(step, index))
            last = index + 1 == num_micro_batches
            with nullcontext() if last else self.accelerator.no_sync(self.prior):
                loss_B, raw_B, log_snr_B = micro_batch_loss(
                    self.prior, batch, self.weighting, self.loss
                )
                self.accelerator.backward(loss_B.mean() / num_micro_batches)
            losses.append(loss_B.detach().mean())
            raws.append(raw_B.detach())
            log_snrs.append(log_snr_B)
        loss = self.accelerator.reduce(torch.stack(losses).mean(), "mean")
        grad_norm = self.clip(self.parameters)
        finite = torch.isfinite(loss) & torch.isfinite(grad_norm)
        self._update(step, finite)
        self._observe(torch.cat(log_snrs), torch.cat(raws))
        return StepResult(loss, grad_norm, finite)

    def _update(self, step: int, finite: Tensor) -> None:
        # Stochastic rounding must fall alike on every rank.
        torch.manual_seed((self.seed * 1_000_003 + step) % (1 << 63))
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.at(step)
        if self.takes_found_inf:
            self.optimizer.grad_scale = None
            self.optimizer.found_inf = (~finite).float()
            self.optimizer.step()
        elif finite.item():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _observe(self, log_snr_B: Tensor, raw_B: Tensor) -> None:
        if self.weighting.observes:
            self.weighting.observe(
                self.accelerator.gather(log_snr_B), self.accelerator.gather(raw_B)
            )

    def _dropout_seed(self, step: int, index: int) -> int:
        position = (step * 4096 + index) * 4096 + self.accelerator.process_index
        return (self.seed * 1_000_003 + position) % (1 << 63)
