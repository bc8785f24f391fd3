"""GPU memory: the peak of each phase, and room for what is loaded for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def take_peak_bytes() -> int | None:
    """The most that torch had allocated since this was last asked; None without a GPU in use."""
    if not (torch.cuda.is_available() and torch.cuda.is_initialized()):
        return None
    peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    return peak


@contextmanager
def room_on(device: torch.device, needed_bytes: int, network: nn.Module) -> Iterator[bool]:
    """See to it that ``needed_bytes`` are free, if need be by moving ``network`` to the host.

    It comes back as it was, bit for bit, and the caches that the block filled are given back.
    Yields whether it had to move.
    """
    if device.type != "cuda":
        yield False
        return
    torch.cuda.empty_cache()
    moves = torch.cuda.mem_get_info(device)[0] < needed_bytes
    if moves:
        network.to("cpu")
        torch.cuda.empty_cache()
    try:
        yield moves
    finally:
        torch.cuda.empty_cache()
        if moves:
            network.to(device)
