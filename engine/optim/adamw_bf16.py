"""AdamW with bfloat16 moments, and stochastic rounding where the weights are bfloat16 too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

_BUCKET = 1 << 24
"""Elements that are updated together; a dozen float32 vectors of them exist for a moment."""


def rounded_stochastically(source: Tensor) -> Tensor:
    """Round float32 ``source`` to values that bfloat16 holds, up in proportion to the rest.

    Adding uniform noise to the 16 bits that bfloat16 drops and then cutting them off makes the
    expected value exact, so updates smaller than half a unit in the last place are not lost.
    """
    bits = source.view(torch.int32)
    noise = torch.randint_like(bits, 0, 1 << 16)
    rounded = bits.add(noise).bitwise_and_(-65536)
    # Inf and NaN have no mantissa to carry into.
    return torch.where(torch.isfinite(source), rounded, bits).view(torch.float32)


class AdamWBF16(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019) that keeps both moments in bfloat16.

    Half the optimizer memory of float32 moments. The second moment is rounded stochastically:
    with ``beta2`` 0.999 its change per step is below what nearest rounding keeps.
    ``found_inf`` (a device tensor, 0 or 1), when set, skips the step without a host sync, as in
    torch's fused AdamW. All parameters of a bucket have taken equally many steps.
    """

    found_inf: Tensor | None = None

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        assert closure is None, "AdamWBF16 takes no closure"
        for group in self.param_groups:
            for bucket in _buckets(group["params"]):
                self._update(bucket, group)

    def _update(self, parameters: list[Tensor], group: dict) -> None:
        """Update some parameters as one flat vector: launching kernels costs more than the sums."""
        states = [self._state_of(parameter) for parameter in parameters]
        keep = self.found_inf
        beta1, beta2 = group["betas"]
        counted = states[0]["step"]
        step = counted + 1
        gradient = _flat([parameter.grad for parameter in parameters])
        old = _flat(parameters)
        old_mean = _flat([state["exp_avg"] for state in states])
        old_square = _flat([state["exp_avg_sq"] for state in states])
        mean = old_mean.lerp(gradient, 1 - beta1)
        square = (old_square * beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        updated = old * (1 - group["lr"] * group["weight_decay"])
        updated -= group["lr"] * (mean / (1 - beta1**step)) / denominator
        if keep is not None:
            skipped = keep.bool()
            step = torch.where(skipped, counted, step)
            mean = torch.where(skipped, old_mean, mean)
            square = torch.where(skipped, old_square, square)
            updated = torch.where(skipped, old, updated)
        _scatter(mean, [state["exp_avg"] for state in states])
        _scatter(rounded_stochastically(square), [state["exp_avg_sq"] for state in states])
        if parameters[0].dtype == torch.bfloat16:
            updated = rounded_stochastically(updated)
        _scatter(updated, parameters)
        torch._foreach_copy_([state["step"] for state in states], [step] * len(states))

    def _state_of(self, parameter: Tensor) -> dict:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter, dtype=torch.bfloat16)
        return state


def _buckets(parameters: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """Parameters with a gradient in order, as many together as have :data:`_BUCKET` elements."""
    bucket: list[Tensor] = []
    size = 0
    for parameter in parameters:
        if parameter.grad is None:
            continue
        size += parameter.numel()
        if bucket and (size > _BUCKET or parameter.dtype != bucket[0].dtype):
            yield bucket
            bucket, size = [], parameter.numel()
        bucket.append(parameter)
    if bucket:
        yield bucket


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.reshape(-1) for tensor in tensors]).float()


def _scatter(flat: Tensor, targets: Sequence[Tensor]) -> None:
    parts = flat.split([target.numel() for target in targets])
    shaped = [part.view_as(target) for part, target in zip(parts, targets, strict=True)]
    torch._foreach_copy_(list(targets), shaped)
