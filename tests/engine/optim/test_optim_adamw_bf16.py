"""AdamWBF16 follows AdamW closely in half the memory, and loses no small updates."""

import torch

from engine.optim.adamw_bf16 import AdamWBF16, rounded_stochastically


def _train(optimizer_class, num_steps: int, **arguments) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(32, 32, generator=generator) / 6
    target = torch.randn(32, generator=generator)
    weight = torch.zeros(32, requires_grad=True)
    optimizer = optimizer_class([weight], lr=1e-2, **arguments)
    torch.manual_seed(1)
    for _ in range(num_steps):
        optimizer.zero_grad()
        (matrix @ weight - target).square().mean().backward()
        optimizer.step()
    return weight.detach()


def test_it_ends_where_adamw_in_float32_ends():
    ours, reference = _train(AdamWBF16, 300), _train(torch.optim.AdamW, 300)
    assert (ours - reference).norm() < 0.03 * reference.norm()


def test_moments_are_bfloat16():
    weight = torch.ones(8, requires_grad=True)
    optimizer = AdamWBF16([weight])
    weight.square().sum().backward()
    optimizer.step()
    assert optimizer.state[weight]["exp_avg"].dtype == torch.bfloat16
    assert optimizer.state[weight]["exp_avg_sq"].dtype == torch.bfloat16


def test_parameters_updated_together_end_where_each_alone_ends():
    def trained(together: bool) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        shapes = [(3, 5), (7,), (2, 2, 2), (1,)]
        weights = [torch.randn(s, generator=generator, requires_grad=True) for s in shapes]
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        groups = [weights] if together else [[weight] for weight in weights]
        for group in groups:
            AdamWBF16(group, lr=0.1).step()
        return weights

    for first, second in zip(trained(True), trained(False), strict=True):
        assert torch.equal(first, second)


def test_a_step_with_found_inf_changes_nothing():
    weight = torch.ones(8, requires_grad=True)
    optimizer = AdamWBF16([weight], lr=0.1)
    weight.square().sum().backward()
    optimizer.step()
    before = {key: value.clone() for key, value in optimizer.state[weight].items()}
    kept = weight.detach().clone()
    weight.grad.fill_(float("nan"))
    optimizer.found_inf = torch.ones(())
    torch.manual_seed(0)
    optimizer.step()
    assert torch.equal(weight, kept)
    assert torch.equal(optimizer.state[weight]["step"], before["step"])
    assert torch.equal(optimizer.state[weight]["exp_avg"], before["exp_avg"])
    assert torch.equal(optimizer.state[weight]["exp_avg_sq"], before["exp_avg_sq"])


def test_bfloat16_weights_move_under_updates_too_small_for_nearest_rounding():
    torch.manual_seed(0)
    weight = torch.ones(20_000, dtype=torch.bfloat16, requires_grad=True)
    optimizer = AdamWBF16([weight], lr=1e-4, weight_decay=0.0)
    for _ in range(20):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    moved = 1.0 - weight.detach().float().mean().item()
    assert abs(moved - 20 * 1e-4) < 2e-4  # nearest rounding moves none: half a ulp is 2e-3


def test_stochastic_rounding_is_unbiased_and_keeps_exact_values():
    torch.manual_seed(0)
    source = torch.full((100_000,), 1.0 + 2**-10)
    target = rounded_stochastically(source).to(torch.bfloat16)
    assert set(target.float().unique().tolist()) == {1.0, 1.0 + 2**-7}
    assert abs(target.float().mean().item() - source[0].item()) < 1e-4
    exact = torch.tensor([0.5, -3.0, 0.0, float("inf")])
    assert torch.equal(rounded_stochastically(exact), exact)
