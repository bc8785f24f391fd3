"""The Stable Cascade Stage C prior: text-conditioned noise prediction on 16-channel latents.

Parameter names are those of diffusers' ``StableCascadeUNet``; the arithmetic is that of the
original ``StageC`` (Stability-AI/StableCascade, modules/stage_c.py; Pernias et al. 2023,
arXiv:2306.00637). Inside, activations are token-major: x_BHWC, so that every linear layer and
norm reads contiguous memory and only the depthwise convolution looks at them as images.

Precision: weights in float32, computed as they are or under autocast to bfloat16 (weights kept in
bfloat16 need that autocast); the residual stream, the norms and the output stay float32, because
the stream grows through the last level until shorter formats lose what a layer adds to it. Whether
float32 products may use TF32 is the trainer's business: nothing here changes global switches.

Shapes: B batch; H, W the latent grid; C the width; S = 85 CLIP tokens (77 text, 4 pooled, 4 image).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.models.prior_config import PriorConfig

_NORM_EPS = 1e-6


class ChannelNorm(nn.Module):
    """Layer norm over the last axis, without affine parameters; at least float32 anywhere."""

    def forward(self, x_BHWC: Tensor) -> Tensor:
        return F.layer_norm(x_BHWC.to(_wide(x_BHWC)), x_BHWC.shape[-1:], eps=_NORM_EPS)


class GlobalResponseNorm(nn.Module):
    """ConvNeXt V2's GRN (arXiv:2301.00808): channels compete by their norm over the image."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, 1, dim))
        self.beta = nn.Parameter(torch.zeros(1, 1, 1, dim))

    def forward(self, x_BHWC: Tensor) -> Tensor:
        # A sum of squares over the image overflows or drowns in formats shorter than float32.
        norm = torch.linalg.vector_norm(x_BHWC, dim=(1, 2), keepdim=True, dtype=_wide(x_BHWC))
        share = norm / (norm.mean(dim=-1, keepdim=True) + 1e-6)
        # gamma * (x * share) + beta + x, in two passes over x instead of four
        return x_BHWC * (1 + self.gamma * share) + self.beta


class ResBlock(nn.Module):
    """Depthwise 3x3, norm, then an MLP with GRN over the channels; residual."""

    def __init__(self, width: int, skip_width: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            width, width, kernel_size, padding=kernel_size // 2, groups=width
        )
        self.norm = ChannelNorm()
        self.channelwise = nn.Sequential(
            nn.Linear(width + skip_width, width * 4),
            nn.GELU(),
            GlobalResponseNorm(width * 4),
            nn.Dropout(dropout),
            nn.Linear(width * 4, width),
        )

    def forward(self, x_BHWC: Tensor, skip_BHWC: Tensor | None = None) -> Tensor:
        y = self.norm(as_tokens(self.depthwise(as_image(x_BHWC))))
        if skip_BHWC is not None:
            y = torch.cat([y, skip_BHWC], dim=-1)
        return x_BHWC + self.channelwise(y)


class TimestepBlock(nn.Module):
    """Scale and shift by the timestep ratio, and by the constant sca and crp conditions."""

    def __init__(self, width: int, embedding_dim: int, conditions: tuple[str, ...]) -> None:
        super().__init__()
        self.conditions = conditions
        self.mapper = nn.Linear(embedding_dim, width * 2)
        for condition in conditions:
            setattr(self, f"mapper_{condition}", nn.Linear(embedding_dim, width * 2))

    def forward(self, x_BHWC: Tensor, r_embed: Tensor, zero_embed: Tensor) -> Tensor:
        mapped = self.mapper(r_embed)
        for condition in self.conditions:
            mapped = mapped + getattr(self, f"mapper_{condition}")(zero_embed)
        scale, shift = mapped[:, None, None, :].chunk(2, dim=-1)
        return x_BHWC * (1 + scale) + shift


class Attention(nn.Module):
    """Projections of an attention layer under diffusers' names."""

    def __init__(self, width: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.to_q = nn.Linear(width, width)
        self.to_k = nn.Linear(width, width)
        self.to_v = nn.Linear(width, width)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(self, query_BNC: Tensor, context_BMC: Tensor) -> Tensor:
        q, k, v = (
            projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projected in (self.to_q(query_BNC), self.to_k(context_BMC), self.to_v(context_BMC))
        )
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
        return self.to_out[0](attended.transpose(1, 2).flatten(2))


class AttnBlock(nn.Module):
    """Image tokens attend to themselves and to the CLIP tokens, padding included; residual."""

    def __init__(self, width: int, conditioning_dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.norm = ChannelNorm()
        self.attention = Attention(width, num_heads, dropout)
        self.kv_mapper = nn.Sequential(nn.SiLU(), nn.Linear(conditioning_dim, width))

    def forward(self, x_BHWC: Tensor, clip_BSD: Tensor) -> Tensor:
        tokens_BNC = self.norm(x_BHWC).flatten(1, 2)
        kv_BSC = self.kv_mapper(clip_BSD)
        context = torch.cat([tokens_BNC, kv_BSC.to(tokens_BNC.dtype)], dim=1)
        return x_BHWC + self.attention(tokens_BNC, context).view(x_BHWC.shape)


class Rescaler(nn.Module):
    """The 1x1 convolution between levels; Stage C keeps its resolution there."""

    def __init__(self, in_width: int, out_width: int, position: int) -> None:
        super().__init__()
        self.position = position
        blocks: list[nn.Module] = [nn.Identity(), nn.Identity()]
        blocks[position] = nn.Conv2d(in_width, out_width, kernel_size=1)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x_BHWC: Tensor) -> Tensor:
        return as_tokens(self.blocks[self.position](as_image(x_BHWC)))


class StableCascadePrior(nn.Module):
    """Stage C. ``gradient_checkpointing`` recomputes each Res-Timestep-Attn group in backward."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        self.gradient_checkpointing = False
        widths, clip_dim = config.block_out_channels, config.conditioning_dim
        self.clip_txt_mapper = nn.Linear(config.clip_text_in_channels, clip_dim)
        self.clip_txt_pooled_mapper = nn.Linear(
            config.clip_text_pooled_in_channels, clip_dim * config.clip_seq
        )
        self.clip_img_mapper = nn.Linear(config.clip_image_in_channels, clip_dim * config.clip_seq)
        self.clip_norm = ChannelNorm()
        self.embedding = nn.Sequential(
            nn.Identity(), nn.Conv2d(config.in_channels, widths[0], kernel_size=1)
        )
        self.embedding_norm = ChannelNorm()
        self._add_levels(config)
        self.clf = nn.Sequential(
            ChannelNorm(), nn.Conv2d(widths[0], config.out_channels, kernel_size=1)
        )

    def _add_levels(self, config: PriorConfig) -> None:
        widths, last = config.block_out_channels, len(config.block_out_channels) - 1
        self.down_blocks, self.down_downscalers = nn.ModuleList(), nn.ModuleList()
        self.up_blocks, self.up_upscalers = nn.ModuleList(), nn.ModuleList()
        for level in range(last + 1):
            self.down_downscalers.append(
                nn.Sequential(ChannelNorm(), Rescaler(widths[level - 1], widths[level], 0))
                if level > 0
                else nn.Identity()
            )
            self.down_blocks.append(self._level(level, config.down_num_layers_per_block[level]))
        for level in reversed(range(last + 1)):
            num_layers = config.up_num_layers_per_block[last - level]
            skip_width = widths[level] if level < last else 0
            self.up_blocks.append(self._level(level, num_layers, skip_width))
            self.up_upscalers.append(
                nn.Sequential(ChannelNorm(), Rescaler(widths[level], widths[level - 1], 1))
                if level > 0
                else nn.Identity()
            )

    def _level(self, level: int, num_layers: int, skip_width: int = 0) -> nn.ModuleList:
        config = self.config
        width, dropout = config.block_out_channels[level], config.dropout[level]
        blocks: list[nn.Module] = []
        for layer in range(num_layers):
            blocks += [
                ResBlock(width, skip_width if layer == 0 else 0, config.kernel_size, dropout),
                TimestepBlock(
                    width, config.timestep_ratio_embedding_dim, config.timestep_conditioning_type
                ),
                AttnBlock(
                    width, config.conditioning_dim, config.num_attention_heads[level], dropout
                ),
            ]
        return nn.ModuleList(blocks)

    def set_dropout(self, probability: float) -> None:
        """Set every dropout (after GRN, and on attention probabilities); active in train() only."""
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = probability
            elif isinstance(module, Attention):
                module.dropout = probability

    def forward(
        self,
        sample: Tensor,
        timestep_ratio: Tensor,
        clip_text: Tensor,
        clip_text_pooled: Tensor,
        clip_img: Tensor | None = None,
    ) -> Tensor:
        """Predict the noise in ``sample``.

        Args:
            sample: noised latents [B, 16, H, W].
            timestep_ratio: noise condition r [B], float32.
            clip_text: [B, 77, 1280], before the text encoder's final norm.
            clip_text_pooled: [B, 1, 1280].
            clip_img: CLIP image embed [B, 1, 768]; None is zeros, as in text-only training.

        Returns:
            The predicted noise [B, 16, H, W].
        """
        dim, dtype = self.config.timestep_ratio_embedding_dim, self.embedding[1].weight.dtype
        r_embed = timestep_embedding(timestep_ratio, dim).to(dtype)
        # One row for the whole batch: what sca and crp add is a constant vector per layer.
        zero_embed = timestep_embedding(torch.zeros_like(timestep_ratio[:1]), dim).to(dtype)
        clip_BSD = self.embed_clip(clip_text, clip_text_pooled, clip_img)
        x_BHWC = self.embedding_norm(as_tokens(self.embedding(sample)))
        skips: list[Tensor] = []
        for scaler, blocks in zip(self.down_downscalers, self.down_blocks, strict=True):
            x_BHWC = self._run_level(blocks, scaler(x_BHWC), None, r_embed, zero_embed, clip_BSD)
            skips.append(x_BHWC)
        skips.pop()
        for index, (blocks, scaler) in enumerate(
            zip(self.up_blocks, self.up_upscalers, strict=True)
        ):
            skip = skips.pop() if index > 0 else None
            x_BHWC = self._run_level(blocks, x_BHWC, skip, r_embed, zero_embed, clip_BSD)
            x_BHWC = scaler(x_BHWC)
        # The last layer in float32 also under autocast: it decides the loss.
        with torch.autocast(sample.device.type, enabled=False):
            norm, conv = self.clf
            y = as_image(norm(x_BHWC))
            return F.conv2d(y, conv.weight.to(y.dtype), conv.bias.to(y.dtype))

    def embed_clip(self, text: Tensor, pooled: Tensor, image: Tensor | None) -> Tensor:
        """Return the normalised CLIP tokens [B, 85, D] in the order text, pooled, image."""
        if image is None:
            image = pooled.new_zeros(pooled.shape[0], 1, self.config.clip_image_in_channels)
        batch, clip_seq = text.shape[0], self.config.clip_seq
        mapped = [
            self.clip_txt_mapper(text),
            self.clip_txt_pooled_mapper(pooled).view(batch, pooled.shape[1] * clip_seq, -1),
            self.clip_img_mapper(image).view(batch, image.shape[1] * clip_seq, -1),
        ]
        return self.clip_norm(torch.cat(mapped, dim=1))

    def _run_level(
        self,
        blocks: nn.ModuleList,
        x_BHWC: Tensor,
        skip_BHWC: Tensor | None,
        r_embed: Tensor,
        zero_embed: Tensor,
        clip_BSD: Tensor,
    ) -> Tensor:
        recompute = self.gradient_checkpointing and torch.is_grad_enabled()
        for start in range(0, len(blocks), 3):
            group = blocks[start], blocks[start + 1], blocks[start + 2]
            skip = skip_BHWC if start == 0 else None
            if recompute:
                x_BHWC = checkpoint(
                    _run_group, *group, x_BHWC, skip, r_embed, zero_embed, clip_BSD,
                    use_reentrant=False,
                )  # fmt: skip
            else:
                x_BHWC = _run_group(*group, x_BHWC, skip, r_embed, zero_embed, clip_BSD)
        return x_BHWC


def _run_group(
    res: ResBlock,
    timestep: TimestepBlock,
    attention: AttnBlock,
    x_BHWC: Tensor,
    skip_BHWC: Tensor | None,
    r_embed: Tensor,
    zero_embed: Tensor,
    clip_BSD: Tensor,
) -> Tensor:
    return attention(timestep(res(x_BHWC, skip_BHWC), r_embed, zero_embed), clip_BSD)


def timestep_embedding(ratio_B: Tensor, dim: int, max_positions: int = 10_000) -> Tensor:
    """Sinusoidal embedding [B, dim] of ratios in [0, 1], in float32.

    The phases reach 10 000: bfloat16 would scramble a third of the frequencies.
    """
    half = dim // 2
    exponents = torch.arange(half, device=ratio_B.device).float()
    frequencies = exponents.mul(-math.log(max_positions) / (half - 1)).exp()
    phases = (ratio_B.float() * max_positions)[:, None] * frequencies[None, :]
    return torch.cat([phases.sin(), phases.cos()], dim=1)


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def as_image(x_BHWC: Tensor) -> Tensor:
    """View token-major activations as [B, C, H, W] in channels-last memory; no copy."""
    return x_BHWC.permute(0, 3, 1, 2)


def as_tokens(x_BCHW: Tensor) -> Tensor:
    """View [B, C, H, W] as token-major; contiguous if the memory was channels-last."""
    return x_BCHW.permute(0, 2, 3, 1).contiguous()


@torch.no_grad()
def init_weights(prior: StableCascadePrior, generator: torch.Generator) -> None:
    """Initialise from scratch as the original does (StageC.__init__, modules/stage_c.py).

    Xavier for linear and convolution layers (over q, k and v as the one matrix they were there),
    0.02 of it for the input, N(0, 0.02) for the CLIP mappers, zero for the last layer and the
    timestep mappers; the last layer of each MLP is scaled by sqrt(1 / number of down layers).
    """
    depth = sum(prior.config.down_num_layers_per_block)
    for module in prior.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            nn.init.zeros_(module.bias)
        elif isinstance(module, GlobalResponseNorm):
            nn.init.zeros_(module.gamma)
            nn.init.zeros_(module.beta)
    prior.embedding[1].weight.mul_(0.02)
    for mapper in (prior.clip_txt_mapper, prior.clip_txt_pooled_mapper, prior.clip_img_mapper):
        nn.init.normal_(mapper.weight, std=0.02, generator=generator)
    nn.init.zeros_(prior.clf[1].weight)
    for module in prior.modules():
        if isinstance(module, ResBlock):
            module.channelwise[-1].weight.mul_(math.sqrt(1 / depth))
        elif isinstance(module, Attention):
            for linear in (module.to_q, module.to_k, module.to_v):
                # Xavier's bound for [3c, c] is sqrt(1/2) of that for [c, c].
                linear.weight.mul_(math.sqrt(1 / 2))
        elif isinstance(module, TimestepBlock):
            for linear in module.children():
                nn.init.zeros_(linear.weight)
