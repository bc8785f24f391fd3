"""Time one LoRA training step of a full-size prior with random weights.

    python tests/benchmarks/prior_step.py --size 3.6b --batch 4 --device cuda

Eager mode, rank 16 on the attention layers, AdamW: precision "no" (float32 weights, TF32 products)
and bf16 autocast, with and without gradient checkpointing; beside them diffusers' network under
the same adapter where diffusers is installed. Prints milliseconds a step (median), peak memory, and
how many times as long diffusers takes.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from engine.adapters.lora import LoraSettings, attach_lora
from engine.fullsize.__main__ import build_random, random_prior
from engine.fullsize.layout import PRIORS
from engine.models.prior import StableCascadePrior
from engine.models.prior_config import PriorConfig
from engine.objective.schedule import diffuse, training_t

TINY = PriorConfig(  # to try this file itself, on any machine
    conditioning_dim=128,
    block_out_channels=(128, 128),
    num_attention_heads=(2, 2),
    down_num_layers_per_block=(1, 2),
    up_num_layers_per_block=(2, 1),
)
SIZES = {"3.6b": PRIORS["stage-c"], "1b": PRIORS["stage-c-lite"], "tiny": TINY}


def build_ours(size: str, device: torch.device) -> nn.Module:
    """Build this repository's network, its dropout off as in every LoRA run."""
    prior = random_prior(SIZES[size], device=device, dtype=torch.float32)
    prior.set_dropout(0.0)
    return prior


def build_diffusers(size: str, device: torch.device) -> nn.Module | None:
    """Build diffusers' network of the same shape, or None where diffusers is not installed."""
    try:
        from diffusers.models.unets.unet_stable_cascade import StableCascadeUNet
    except ModuleNotFoundError as error:
        if error.name != "diffusers":
            raise
        return None
    config = SIZES[size].to_dict() | {"dropout": [0.0, 0.0]}
    return build_random(
        lambda: StableCascadeUNet.from_config(config), device=device, dtype=torch.float32
    )


class Step:
    """Forward, backward and update over one fixed batch."""

    def __init__(self, network: nn.Module, batch: int, grid: tuple[int, int]) -> None:
        self.network = network.train()
        settings = LoraSettings(rank=16, alpha=16)
        trained = attach_lora(network, settings, generator=torch.Generator().manual_seed(0))
        self.parameters = list(trained.values())
        self.device = self.parameters[0].device
        on_cuda = self.device.type == "cuda"
        self.optimizer = torch.optim.AdamW(self.parameters, lr=1e-4, fused=on_cuda)
        draw = torch.Generator(self.device).manual_seed(1)
        options = {"generator": draw, "device": self.device}
        self.noise = torch.randn(batch, 16, *grid, **options)
        latents = torch.randn(batch, 16, *grid, **options)
        times = training_t(torch.rand(batch, **options))
        self.x_t, self.r_B, self.abar_B = diffuse(latents, self.noise, times)
        self.clip_text = torch.randn(batch, 77, 1280, **options)
        self.pooled = torch.randn(batch, 1, 1280, **options)

    def run(self, bf16: bool) -> None:
        """Take one step."""
        with self._autocast(bf16):
            prediction = self._predict()
        raw_B = (prediction.float() - self.noise).square().mean(dim=(1, 2, 3))
        ((1 - self.abar_B) * raw_B).mean().backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _predict(self) -> Tensor:
        output = self.network(
            sample=self.x_t,
            timestep_ratio=self.r_B,
            clip_text=self.clip_text,
            clip_text_pooled=self.pooled,
            clip_img=self.pooled.new_zeros(len(self.pooled), 1, 768),
        )
        return output if isinstance(output, Tensor) else output.sample

    def _autocast(self, bf16: bool) -> AbstractContextManager[None]:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)


def measure(step: Step, *, bf16: bool, num_steps: int) -> tuple[float, float]:
    """Return (median milliseconds a step, peak GiB allocated; 0 without CUDA)."""
    cuda = step.device.type == "cuda"
    for _ in range(3):
        step.run(bf16)
    if cuda:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(num_steps):
        start = time.perf_counter()
        step.run(bf16)
        if cuda:
            torch.cuda.synchronize()
        times.append((time.perf_counter() - start) * 1e3)
    peak = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
    return statistics.median(times), peak


def set_recomputing(network: nn.Module, recompute: bool) -> None:
    """Switch gradient checkpointing, in our network or in diffusers'."""
    if isinstance(network, StableCascadePrior):
        network.gradient_checkpointing = recompute
    elif recompute:
        network.enable_gradient_checkpointing()
    else:
        network.disable_gradient_checkpointing()


def main() -> None:
    """Measure every case that fits and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="3.6b")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--grid", type=int, nargs=2, default=(24, 24), metavar=("H", "W"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--no-diffusers", action="store_true", help="time this network only")
    options = parser.parse_args()
    # The trainer's choice, made here in its place.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    device = torch.device(options.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    grid = tuple(options.grid)
    print(f"{options.size}, batch {options.batch}, grid {grid[0]}x{grid[1]}, {name}")
    print(f"torch {torch.__version__}, eager, LoRA r16 attention, median of {options.steps} steps")
    builders = {"ours": build_ours} | (
        {} if options.no_diffusers else {"diffusers": build_diffusers}
    )
    ours: dict[tuple[bool, bool], float] = {}
    for label, build in builders.items():
        network = build(options.size, device)
        if network is None:
            print("diffusers is not installed: nothing to compare with")
            continue
        step = Step(network, options.batch, grid)
        for bf16, recompute in ((False, False), (False, True), (True, False), (True, True)):
            set_recomputing(network, recompute)
            case = f"{label:9} {'bf16' if bf16 else 'no':4} {'recompute' if recompute else '':9}"
            try:
                milliseconds, peak = measure(step, bf16=bf16, num_steps=options.steps)
            except torch.OutOfMemoryError:
                print(f"{case}  out of memory", flush=True)
                step.optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
                continue
            if label == "ours":
                ours[bf16, recompute] = milliseconds
            against = ours.get((bf16, recompute))
            times = f"  {milliseconds / against:5.2f} x ours" if label != "ours" and against else ""
            print(f"{case} {milliseconds:9.1f} ms  {peak:6.2f} GiB{times}", flush=True)
        del step, network
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
