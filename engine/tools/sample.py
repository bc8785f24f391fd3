"""``cascade-tui sample``: pictures of any prompt from a run, outside training."""

from __future__ import annotations

import shlex
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch

from engine.config.fields import TrainingConfig
from engine.config.frozen import load_frozen
from engine.config.resolution import Resolution
from engine.config.weight_files import WeightFiles, locate_weights
from engine.models.previewer import load_previewer
from engine.models.prior import StableCascadePrior
from engine.models.text import TextEncoder
from engine.models.weights import WeightsError
from engine.run.paths import RunDirectory
from engine.tools import Request, run_tool
from engine.training.caching import TEXT_DTYPE
from engine.training.checkpoint import choose_checkpoint
from engine.training.model import ModelError, build_model
from engine.training.painting import Draw, Painter, ValidationPrompt, save_png
from engine.training.session import choose_tf32

# What a request may change of the run's own validation settings.
_CHANGES = {
    "negative": "validation_negative_prompt",
    "steps": "stable_cascade_validation_prior_num_inference_steps",
    "guidance": "stable_cascade_validation_prior_guidance_scale",
    "decoder": "stable_cascade_use_decoder_for_validation",
}


def sample(request: Request) -> None:
    """Draw ``prompts`` with a run's checkpoint, or with its base, and print where they lie.

    Raises:
        ModelError, WeightsError, CheckpointError: the run has nothing to draw with.
    """
    run = RunDirectory(Path(request["run"]))
    config = _config(load_frozen(run.root).config, request)
    weights, missing = locate_weights(config, shlex.quote(str(run.config)))
    if weights is None:
        raise WeightsError("; ".join(f"{p.message}. Fix: {p.fix}" for p in missing))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    choose_tf32(config)
    negative, *prompts = _encoded(
        [config.validation_negative_prompt, *request["prompts"]], weights, device
    )
    prior, step = _prior(run, config, weights, device, request)
    is_bf16 = config.mixed_precision == "bf16"
    autocast = partial(torch.autocast, device.type, dtype=torch.bfloat16)
    previewer = load_previewer(weights.previewer, device=device)
    painter = Painter(
        config,
        weights,
        previewer,
        negative,
        device=device,
        autocast=autocast if is_bf16 else nullcontext,
    )
    folder = Path(request["target"] or run.root / "samples" / f"step-{step:09d}")
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(request["seed"], request["seed"] + request["num_seeds"])
    last = "decoded" if config.stable_cascade_use_decoder_for_validation else "preview"

    def show(draw: Draw, image, kind: str) -> None:
        path = folder / f"{draw.file_stem}{'' if kind == last else '-preview'}.png"
        save_png(image, path, painter.metadata(draw, step, kind))
        print(path, flush=True)

    painter.paint(prior, [Draw(prompt, seed) for prompt in prompts for seed in seeds], show)


def _config(config: TrainingConfig, request: Request) -> TrainingConfig:
    changes = {option: request[key] for key, option in _CHANGES.items() if request[key] is not None}
    if request["resolution"]:
        changes["validation_resolution"] = Resolution.parse(request["resolution"])
    return config.model_copy(update=changes | {"init_lora": None, "use_ema": False})


def _encoded(
    texts: list[str], weights: WeightFiles, device: torch.device
) -> list[ValidationPrompt]:
    encoder = TextEncoder.load(weights.text_encoder, weights.tokenizer, device=device)
    embeds = encoder.encode(texts)
    # As they come out of the cache.
    clip_text, pooled = embeds.clip_text.to(TEXT_DTYPE), embeds.clip_text_pooled.to(TEXT_DTYPE)
    return [
        ValidationPrompt(text, text, *each)
        for text, *each in zip(texts, clip_text, pooled, strict=True)
    ]


def _prior(
    run: RunDirectory,
    config: TrainingConfig,
    weights: WeightFiles,
    device: torch.device,
    request: Request,
) -> tuple[StableCascadePrior, int]:
    """The network with the checkpoint's weights (averaged where it has them), and its step."""
    model = build_model(config, weights, device)
    step = 0
    if not request["base"]:
        loaded, passed_over = choose_checkpoint(run.checkpoints, request["step"] or "latest")
        for problem in passed_over:
            print(f"{problem}; an older checkpoint is used instead", file=sys.stderr)
        if loaded is None:
            raise ModelError(f"{run.root} has no checkpoint yet: --base draws with the base")
        step = loaded.step
        values = loaded.tensors["ema" if "ema" in loaded.tensors else "trained"]
        with torch.no_grad():
            for name, parameter in model.parameters.items():
                parameter.copy_(values[name])
    return model.prior.eval(), step


if __name__ == "__main__":
    sys.exit(run_tool(sample))
