"""How a run learns: the options of model, data, adapter, training, optimizer and precision.

Their declarations are read together with those of :mod:`engine.config.fields`, which see.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from engine.config.optimizers import ALIASES, OPTIMIZERS
from engine.config.options import MOST_STEPS, option


def _not_yet(option_name: str, names: str, instead: str) -> dict[str, str]:
    """Well-known values that nothing here implements yet, each with what to say about it."""
    return {
        name: f"{option_name} {name} is not supported yet; {instead} work" for name in names.split()
    }


_PRECISIONS = _not_yet(
    "base_model_precision",
    "fp4-bnb int8-quanto int4-quanto int2-quanto fp8-quanto",
    "no_change, bf16, int8-torchao, fp8-torchao, int4-torchao and nf4-bnb",
)
_OPTIMIZERS = _not_yet(
    "optimizer",
    "ao-adamw8bit came dadaptation sgd soap",
    f"{', '.join(OPTIMIZERS)}",
)
_SCHEDULERS = _not_yet(
    "lr_scheduler",
    "rex inverse_sqrt wsd",
    "constant, constant_with_warmup, linear, cosine, cosine_with_restarts, polynomial and sine",
)


class LearningConfig(BaseModel):
    """The part of a training config that decides what is learned, and how."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    # -- model ---------------------------------------------------------------------------------
    model_family: Literal["stable_cascade"] = option(
        "stable_cascade", group="model", help="The model family; this trainer knows one."
    )
    model_flavour: Literal["stage-c", "stage-c-lite", "stage-c-tiny"] = option(
        "stage-c",
        group="model",
        help="stage-c has 3.6B parameters, stage-c-lite 1B (for cards of about 18 GB or less), "
        "stage-c-tiny is this project's own small model for the demo and tests.",
    )
    model_type: Literal["lora", "full"] = option(
        "lora",
        group="model",
        help="lora trains an adapter; full trains every weight and wants 48 GB or more.",
    )
    pretrained_model_name_or_path: str = option(
        "stabilityai/stable-cascade-prior",
        group="model",
        help="Hub repository or folder with the prior, its text encoder and tokenizer.",
    )
    pretrained_vae_model_name_or_path: str = option(
        "stabilityai/stable-cascade",
        group="model",
        help="Hub repository or folder with effnet_encoder.safetensors and previewer.safetensors.",
    )
    revision: str | None = option(
        None,
        group="model",
        help="Revision of the hub repositories in the local hub cache; empty is main.",
    )
    # -- data ----------------------------------------------------------------------------------
    data_backend_config: str | None = option(
        None,
        group="data",
        kind="path",
        help="JSON file with the list of data backends; a TOML config may hold them itself as "
        "[[data_backend]].",
    )
    caption_dropout_probability: float = option(
        0.05,
        group="data",
        ge=0,
        le=1,
        help="Share of samples trained with the empty caption, which guidance needs (0 to 1).",
    )
    cache_dir: str | None = option(
        None,
        group="data",
        kind="path",
        help="Folder of the latent cache, and of the text cache when no text_embeds backend is "
        "configured; empty is <output_dir>/cache.",
    )
    vae_batch_size: int = option(
        1,
        group="data",
        ge=1,
        le=1024,
        unit="images",
        help="Images per forward of the image encoder.",
    )
    text_encoder_batch_size: int = option(
        16,
        group="data",
        ge=1,
        le=4096,
        unit="captions",
        help="Captions per forward of the text encoder.",
    )
    dataloader_prefetch: int = option(
        2,
        group="data",
        ge=1,
        le=64,
        unit="steps",
        help="Steps that are read ahead of the training.",
    )
    # -- adapter -------------------------------------------------------------------------------
    lora_type: Literal["standard", "lycoris"] = option(
        "standard",
        group="adapter",
        help="standard is LoRA through peft; lycoris is LoKr or LoHa (see lycoris_algorithm).",
    )
    lora_rank: int = option(
        16, group="adapter", ge=1, le=1024, help="Rank of the adapter; 8 to 32 is usual."
    )
    lora_alpha: float | None = option(
        None,
        group="adapter",
        gt=0,
        help="The adapter is scaled by alpha / rank; empty is equal to the rank.",
    )
    lora_target: Literal["attention", "attention+mlp", "all-linear", "patterns"] = option(
        "attention",
        group="adapter",
        help="Which linear layers of the prior get an adapter; patterns are those of "
        "lora_target_patterns.",
    )
    lora_target_patterns: tuple[str, ...] = option(
        (),
        group="adapter",
        help="Layers that get an adapter when lora_target is patterns: regular expressions for "
        "the end of a layer's path, such as to_q or up_blocks\\..*channelwise\\.0.",
    )
    lora_rank_pattern: tuple[str, ...] = option(
        (),
        group="adapter",
        help="Ranks of layers that differ from lora_rank, as pattern=rank, such as to_v=32; "
        "their alpha grows with it, so alpha / rank stays. The first match counts.",
    )
    lora_dropout: float = option(
        0.0, group="adapter", ge=0, lt=1, help="Dropout on the adapter's input (0 to 1)."
    )
    lora_rslora: bool = option(
        False,
        group="adapter",
        help="Scale the adapter by alpha / sqrt(rank) (rsLoRA): steadier at large ranks.",
    )
    init_lora: str | None = option(
        None,
        group="adapter",
        kind="path",
        help="Adapter to start from: a PEFT folder, or a ComfyUI, kohya, OneTrainer or LyCORIS "
        "file.",
    )
    use_dora: bool = option(
        False,
        group="adapter",
        help="Train the magnitude and the direction of weights apart (DoRA).",
    )
    lycoris_algorithm: Literal["lokr", "loha"] = option(
        "lokr",
        group="adapter",
        help="With lora_type lycoris: lokr is a Kronecker product, loha a product of two "
        "low-rank matrices, element by element.",
    )
    lycoris_factor: int = option(
        -1,
        group="adapter",
        ge=-1,
        le=1024,
        help="Size of LoKr's small matrix: less makes a larger adapter; -1 is as square as it "
        "goes.",
    )
    # -- training ------------------------------------------------------------------------------
    output_dir: str = option(
        "output/stable_cascade",
        group="training",
        kind="path",
        help="The run's folder: checkpoints, pictures, log and everything else of it.",
    )
    max_train_steps: int | None = option(
        None,
        group="training",
        ge=1,
        le=MOST_STEPS,
        unit="steps",
        help="Optimizer steps of the whole run; wins over num_train_epochs.",
    )
    num_train_epochs: int | None = option(
        None,
        group="training",
        ge=1,
        le=MOST_STEPS,
        unit="epochs",
        help="Passes over the data, when max_train_steps is empty.",
    )
    train_batch_size: int = option(
        4, group="training", ge=1, le=4096, unit="images", help="Images per forward on each GPU."
    )
    gradient_accumulation_steps: int = option(
        1,
        group="training",
        ge=1,
        le=4096,
        help="Forwards per optimizer step; the batch grows by this factor without more VRAM.",
    )
    gradient_checkpointing: bool = option(
        False,
        group="training",
        help="Recompute activations in the backward pass: less VRAM, about a third slower.",
    )
    seed: int = option(
        42,
        group="training",
        ge=0,
        lt=2**32,
        help="Seed of order, noise, crops and initial weights.",
    )
    snr_weighting: Literal["p2", "adaptive", "constant", "min_snr"] = option(
        "p2",
        group="training",
        help="How noise levels count in the loss: p2 is the published recipe for LoRA, adaptive "
        "the one for full fine-tuning; min_snr is min(SNR, gamma) / SNR.",
    )
    min_snr_gamma: float = option(
        5.0,
        group="training",
        gt=0,
        le=10_000,
        help="SNR from which min_snr counts cleaner noise levels less; 5 is usual.",
    )
    loss_type: Literal["l2", "huber"] = option(
        "l2",
        group="training",
        help="How an error d of the predicted noise counts: l2 is d^2, the published one; huber is "
        "d^2 up to huber_delta and goes on straight.",
    )
    huber_delta: float = option(
        0.1,
        group="training",
        gt=0,
        le=100,
        help="Error from which huber counts delta * (2 |d| - delta) instead of d^2.",
    )
    noise_offset: float = option(
        0.0,
        group="training",
        ge=0,
        le=1,
        help="Share of noise that is the same over a whole channel, for very dark and bright "
        "pictures; 0.05 to 0.1 is usual, 0 is off.",
    )
    input_perturbation: float = option(
        0.0,
        group="training",
        ge=0,
        le=1,
        help="Share of further noise in what the network sees but not in its target, against "
        "exposure bias; 0.1 is usual, 0 is off.",
    )
    use_ema: bool = option(
        False,
        group="training",
        help="Keep a moving average of the trained weights; validation and export use it.",
    )
    ema_decay: float = option(
        0.999, group="training", ge=0, lt=1, help="Decay of the moving average per update."
    )
    ema_update_interval: int = option(
        1, group="training", ge=1, unit="steps", help="Steps between updates of the average."
    )
    # -- optimizer -----------------------------------------------------------------------------
    optimizer: Literal[
        "adamw_bf16",
        "torch-adamw",
        "adamw-8bit",
        "lion",
        "lion-8bit",
        "adafactor",
        "prodigy",
        "adamw-schedulefree",
        "stableadamw",
        "muon",
    ] = option(
        "adamw_bf16",
        group="optimizer",
        help="adamw_bf16 keeps its moments in bf16, torch-adamw in fp32, adamw-8bit in 8 bits; "
        "prodigy and adamw-schedulefree set step size or schedule themselves.",
        unsupported=_OPTIMIZERS,
        aliases=ALIASES,
    )
    optimizer_config: str | None = option(
        None,
        group="optimizer",
        help="Further arguments of the optimizer, as key=value, key=value; a list or table of "
        "them in a file.",
    )
    learning_rate: float = option(
        1e-4, group="optimizer", gt=0, le=1, help="Peak learning rate; 5e-5 to 2e-4 suits a LoRA."
    )
    lr_scheduler: Literal[
        "constant",
        "constant_with_warmup",
        "linear",
        "cosine",
        "cosine_with_restarts",
        "polynomial",
        "sine",
    ] = option(
        "cosine",
        group="optimizer",
        help="Course of the learning rate over the run.",
        unsupported=_SCHEDULERS,
    )
    lr_warmup_steps: int = option(
        0, group="optimizer", ge=0, unit="steps", help="Steps of linear rise to the peak."
    )
    lr_end: float = option(
        0.0, group="optimizer", ge=0, help="Learning rate at the end, or the lowest, of the course."
    )
    lr_num_cycles: int = option(
        1,
        group="optimizer",
        ge=1,
        le=10_000,
        help="Falls of cosine_with_restarts, or waves of sine, over the run.",
    )
    lr_power: float = option(
        1.0,
        group="optimizer",
        gt=0,
        le=100,
        help="Power of polynomial: 1 is linear, more falls faster at first.",
    )
    adam_beta1: float = option(
        0.9, group="optimizer", ge=0, lt=1, help="Decay of the first moment."
    )
    adam_beta2: float = option(
        0.999, group="optimizer", ge=0, lt=1, help="Decay of the second moment."
    )
    adam_epsilon: float = option(1e-8, group="optimizer", gt=0, help="Added to the denominator.")
    adam_weight_decay: float = option(0.01, group="optimizer", ge=0, help="Decoupled weight decay.")
    max_grad_norm: float = option(
        1.0, group="optimizer", gt=0, help="Gradients are scaled down to this norm."
    )
    max_grad_value: float | None = option(
        None,
        group="optimizer",
        gt=0,
        help="Each number of the gradients is cut to this size, instead of scaling them by norm.",
    )
    # -- precision -----------------------------------------------------------------------------
    mixed_precision: Literal["no", "bf16", "fp16"] = option(
        "no",
        group="precision",
        help="Stage C requires no: fp32 weights and residual stream (matrix products in TF32).",
    )
    i_know_what_i_am_doing: bool = option(
        False, group="precision", help="Turns the mixed_precision error into a warning."
    )
    base_model_precision: Literal[
        "no_change", "bf16", "int8-torchao", "fp8-torchao", "int4-torchao", "nf4-bnb"
    ] = option(
        "no_change",
        group="precision",
        help="How the frozen base under a LoRA is stored (it computes in the activations' type): "
        "bf16 takes half the VRAM, int8-torchao and fp8-torchao a quarter, int4-torchao and "
        "nf4-bnb about a seventh.",
        unsupported=_PRECISIONS,
    )
    disable_tf32: bool = option(
        False, group="precision", help="Compute matrix products in full fp32; several times slower."
    )
    compile: bool = option(
        False,
        group="precision",
        help="Compile the network with torch.compile.",
        unsupported="compile is not supported yet",
    )
