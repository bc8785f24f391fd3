"""The network as it is trained: base weights, adapter, EMA, and what a checkpoint keeps of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.adapters.adapter import Adapter, with_dora_norm
from engine.adapters.load import load_adapter
from engine.adapters.lora import LoraSettings, attach_lora, base_weights, load_adapter_state
from engine.adapters.quantize import quantize_base
from engine.config.adapter_rules import parse_rank_pattern
from engine.config.fields import TrainingConfig
from engine.config.weight_files import WeightFiles
from engine.models.prior import StableCascadePrior
from engine.models.weights import load_prior
from engine.optim.ema import Ema
from engine.optim.state import averaged, load_optimizer_tensors, optimizer_tensors


class ModelError(ValueError):
    """What is asked of the model does not fit it; the message says what would."""


class TrainedModel:
    """A prior, its named trainable parameters (all of them, or an adapter's), and their EMA."""

    def __init__(
        self,
        prior: StableCascadePrior,
        config: TrainingConfig,
        *,
        lora: LoraSettings | None,
    ) -> None:
        self.prior = prior
        self.lora = lora
        self.parameters: dict[str, nn.Parameter] = {
            name: parameter
            for name, parameter in prior.named_parameters()
            if parameter.requires_grad
        }
        self.optimizer: torch.optim.Optimizer | None = None
        self.ema = (
            Ema(
                self.parameters,
                decay=config.ema_decay,
                update_interval=config.ema_update_interval,
            )
            if config.use_ema
            else None
        )

    @property
    def num_trainable(self) -> int:
        """How many numbers are trained."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    @property
    def description(self) -> dict:
        """What the trained parameters are, as a checkpoint records it."""
        return (
            {"model_type": "lora", **self.lora.describe()} if self.lora else {"model_type": "full"}
        )

    @property
    def ema_updates(self) -> int:
        return self.ema.num_updates if self.ema else 0

    def update_ema(self, step: int) -> None:
        """Fold the parameters after optimizer step ``step`` (1-based) into the averages."""
        if self.ema:
            self.ema.update(step)

    @contextmanager
    def for_validation(self) -> Iterator[StableCascadePrior]:
        """The network in eval mode, with the averages of EMA or schedule-free if there are any."""
        self.prior.eval()
        try:
            with self.ema.applied() if self.ema else averaged(self.optimizer), torch.no_grad():
                yield self.prior
        finally:
            self.prior.train()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Everything a checkpoint keeps, by file stem."""
        assert self.optimizer is not None
        kept = {
            "trained": {name: value.detach().cpu() for name, value in self.parameters.items()},
            "optimizer": optimizer_tensors(self.optimizer, self.parameters),
        }
        if self.ema:
            kept["ema"] = self.ema.tensors()
        return kept

    def load(self, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping) -> None:
        """Restore a checkpoint.

        Raises:
            ModelError: it belongs to another model type, adapter shape or EMA setting.
        """
        assert self.optimizer is not None
        if state["adapter"] != self.description:
            raise ModelError(
                f"the checkpoint holds {state['adapter']}, the config asks for {self.description}. "
                "Put the old settings back, or choose a new output_dir"
            )
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors["trained"][name])
        load_optimizer_tensors(self.optimizer, self.parameters, tensors["optimizer"])
        if self.ema and "ema" in tensors:
            self.ema.load(tensors["ema"], state["ema_updates"])
        elif self.ema:
            raise ModelError(
                "use_ema is on, but the checkpoint has no averages: it was trained without. "
                "Set use_ema to false, or choose a new output_dir"
            )


def build_model(config: TrainingConfig, weights: WeightFiles, device: torch.device) -> TrainedModel:
    """Load the prior strictly and make it trainable as the config says.

    Raises:
        WeightsError: a key is missing, unexpected or misshapen.
        ModelError: the adapter does not fit the network.
    """
    packs = config.model_type == "lora" and config.base_model_precision != "no_change"
    # Layers that are packed leave the mapped file one at a time, in the type it has.
    prior = load_prior(
        weights.prior_config,
        weights.prior_weights,
        device="cpu" if packs else device,
        dtype=None if packs else torch.float32,
    )
    if packs:
        quantize_base(prior.requires_grad_(False), config.base_model_precision, device=device)
    return make_trainable(prior, config)


def make_trainable(prior: StableCascadePrior, config: TrainingConfig) -> TrainedModel:
    """Attach the adapter that the config asks for, or set the whole prior free.

    Raises:
        AdapterError, ModelError: the adapter does not fit the network.
    """
    prior.gradient_checkpointing = config.gradient_checkpointing
    lora = None
    if config.model_type == "lora":
        lora = adapter_settings(config)
        prior.requires_grad_(False)
        # The original trains LoRA with the network's dropout off, and a full fine-tune with it on.
        prior.set_dropout(0.0)
        generator = torch.Generator().manual_seed(config.seed)
        attach_lora(prior, lora, generator=generator)
        if config.init_lora:
            _load_initial_adapter(prior, lora, Path(config.init_lora))
    else:
        prior.requires_grad_(True)
    prior.train()
    return TrainedModel(prior, config, lora=lora)


def adapter_settings(config: TrainingConfig) -> LoraSettings:
    """The adapter that a config asks for."""
    is_lycoris = config.lora_type == "lycoris"
    return LoraSettings(
        rank=config.lora_rank,
        alpha=config.lora_alpha or config.lora_rank,
        target=config.lora_target,
        dropout=config.lora_dropout,
        use_dora=config.use_dora,
        use_rslora=config.lora_rslora,
        patterns=config.lora_target_patterns,
        rank_pattern=tuple(parse_rank_pattern(text) for text in config.lora_rank_pattern),
        algorithm=config.lycoris_algorithm if is_lycoris else "lora",
        factor=config.lycoris_factor,
    )


def _load_initial_adapter(prior: StableCascadePrior, lora: LoraSettings, path: Path) -> None:
    adapter = load_adapter(path, prior)
    wanted = Adapter(adapter.state, lora.alphas(adapter.modules)).scales
    for module, scale in adapter.scales.items():
        if not math.isclose(scale, wanted[module], rel_tol=1e-6):  # alphas are float32 in files
            raise ModelError(
                f"init_lora: {path} has alpha/rank {scale:g} at {module}, the config "
                f"{wanted[module]:g}: set lora_rank and lora_alpha to those of the adapter"
            )
    base = base_weights(prior, adapter.modules) if adapter.kind == "dora" else None
    load_adapter_state(prior, with_dora_norm(adapter, "merged", base).state)
