"""``cascade-tui merge``: adapters folded into the prior that they adapt."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

from engine.adapters.load import load_adapter
from engine.adapters.merge import merge_adapters
from engine.models.prior import StableCascadePrior
from engine.tools import Request, run_tool
from engine.tools.full_models import read_full_model, write_full_model


def merge(request: Request) -> None:
    """Write ``base`` with each (path, weight) of ``adapters`` folded in, as ``target``.

    Sums are computed in float32 and kept in the type of the base.

    Raises:
        AdapterError, WeightsError: something is not what it is said to be, or does not fit.
    """
    prior = Path(request["prior"]) if request["prior"] else None
    if prior is not None and prior.is_dir():
        prior = prior / "config.json"
    base = read_full_model(Path(request["base"]), prior)
    with torch.device("meta"):
        network = StableCascadePrior(base.config)
    adapters = [
        (load_adapter(Path(path), network), float(weight)) for path, weight in request["adapters"]
    ]
    merged = merge_adapters(base.tensors, adapters)
    fmt = request["format"] or ("single-file" if base.is_single_file else "hub")
    write_full_model(Path(request["target"]), replace(base, tensors=merged), fmt)


if __name__ == "__main__":
    sys.exit(run_tool(merge))
