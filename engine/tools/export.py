"""``cascade-tui export``: a run's checkpoint in the formats that other tools load."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import torch

from engine.config.frozen import load_frozen
from engine.config.weight_files import locate_weights
from engine.models.weights import WeightsError, load_prior
from engine.run.paths import RunDirectory
from engine.tools import Request, run_tool
from engine.training.checkpoint import choose_checkpoint
from engine.training.exporting import FULL_FORMATS, formats_of, write_export
from engine.training.model import ModelError, make_trainable
from engine.training.publishing import create_repository, push


def export(request: Request) -> None:
    """Write checkpoint ``step`` (the newest without one) of ``run`` below ``target``; push it.

    Raises:
        ModelError, WeightsError, CheckpointError: nothing to export, or not in that format.
        PublishingError: the hub refused.
    """
    run = RunDirectory(Path(request["run"]))
    config = load_frozen(run.root).config
    loaded, passed_over = choose_checkpoint(run.checkpoints, request["step"] or "latest")
    for problem in passed_over:
        print(f"{problem}; an older checkpoint is used instead", file=sys.stderr)
    if loaded is None:
        raise ModelError(f"{run.root} has no checkpoint yet: `cascade-tui checkpoint` saves one")
    is_full = config.model_type == "full"
    formats = request["formats"] or formats_of(config)
    if request["push"]:
        changes = {"hub_model_id": request["hub_model_id"] or config.hub_model_id}
        config = config.model_copy(update=changes)
        create_repository(config)
    if not is_full and (wrong := set(formats) & set(FULL_FORMATS)):
        raise ModelError(
            f"{', '.join(sorted(wrong))}: this run trained an adapter. `cascade-tui merge` folds "
            "it into its base"
        )
    weights, missing = locate_weights(config, shlex.quote(str(run.config)))
    if weights is None:
        raise WeightsError(
            "; ".join(f"{problem.message}. Fix: {problem.fix}" for problem in missing)
        )
    # In the file's own type, mapped: an adapter's export reads next to nothing of it.
    dtype = torch.float32 if is_full else None
    prior = load_prior(weights.prior_config, weights.prior_weights, dtype=dtype)
    # What it began with, and a second copy to average in, are not needed to hold a checkpoint.
    model = make_trainable(prior, config.model_copy(update={"init_lora": None, "use_ema": False}))
    is_averaged = "ema" in loaded.tensors and not request["no_ema"]
    values = loaded.tensors["ema" if is_averaged else "trained"]
    with torch.no_grad():
        for name, parameter in model.parameters.items():
            parameter.copy_(values[name])
    base_hash = json.loads(run.meta.read_text()).get("weight_hashes", {}).get("prior", "")
    target = Path(request["target"] or run.export)
    for name in formats:
        path = write_export(prior, model.lora, target, name, loaded.step, base_hash)
        print(path, flush=True)
    if request["push"]:
        print(push(run, config, target, formats, loaded.step), flush=True)


if __name__ == "__main__":
    sys.exit(run_tool(export))
