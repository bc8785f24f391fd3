"""AdamW with bfloat16 moments, and stochastic rounding where the weights are bfloat16 too."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor


def round_stochastically_(target: Tensor, source: Tensor) -> None:
    """Copy float32 ``source`` into bfloat16 ``target``, rounding up in proportion to the rest.

    Adding uniform noise to the 16 bits that bfloat16 drops and then cutting them off makes the
    expected value exact, so updates smaller than half a unit in the last place are not lost.
    """
    bits = source.view(torch.int32)
    noise = torch.randint_like(bits, 0, 1 << 16)
    rounded = bits.add(noise).bitwise_and_(-65536)
    # Inf and NaN have no mantissa to carry into.
    rounded = torch.where(torch.isfinite(source), rounded, bits)
    target.copy_(rounded.view(torch.float32))


class AdamWBF16(torch.optim.Optimizer):
    """AdamW (Loshchilov & Hutter 2019) that keeps both moments in bfloat16.

    Half the optimizer memory of float32 moments. The second moment is rounded stochastically:
    with ``beta2`` 0.999 its change per step is below what nearest rounding keeps.
    ``found_inf`` (a device tensor, 0 or 1), when set, skips the step without a host sync, as in
    torch's fused AdamW.
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
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)

    def _update(self, parameter: Tensor, group: dict) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            for name in ("exp_avg", "exp_avg_sq"):
                state[name] = torch.zeros_like(parameter, dtype=torch.bfloat16)
        keep = self.found_inf
        beta1, beta2 = group["betas"]
        step = state["step"] + 1
        gradient = parameter.grad.float()
        mean = state["exp_avg"].float().lerp_(gradient, 1 - beta1)
        square = (
            state["exp_avg_sq"].float().mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        )
        denominator = (square / (1 - beta2**step)).sqrt_().add_(group["eps"])
        updated = parameter.float() * (1 - group["lr"] * group["weight_decay"])
        updated -= group["lr"] * (mean / (1 - beta1**step)) / denominator
        if keep is not None:
            skipped = keep.bool()
            step = torch.where(skipped, state["step"], step)
            mean = torch.where(skipped, state["exp_avg"].float(), mean)
            square = torch.where(skipped, state["exp_avg_sq"].float(), square)
            updated = torch.where(skipped, parameter.float(), updated)
        state["step"].copy_(step)
        state["exp_avg"].copy_(mean)
        round_stochastically_(state["exp_avg_sq"], square)
        if parameter.dtype == torch.bfloat16:
            round_stochastically_(parameter, updated)
        else:
            parameter.copy_(updated)
