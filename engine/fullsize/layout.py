"""The shapes that are published, as their config files say them.

Sources: the hub's stabilityai/stable-cascade-prior and stabilityai/stable-cascade, by way of
diffusers' scripts/convert_stable_cascade.py and convert_stable_cascade_lite.py.
"""

from __future__ import annotations

from typing import Any, Literal

from engine.models.prior_config import PriorConfig

Flavour = Literal["stage-c", "stage-c-lite"]

PRIORS: dict[Flavour, PriorConfig] = {
    "stage-c": PriorConfig(
        conditioning_dim=2048,
        block_out_channels=(2048, 2048),
        num_attention_heads=(32, 32),
        down_num_layers_per_block=(8, 24),
        up_num_layers_per_block=(24, 8),
    ),
    "stage-c-lite": PriorConfig(
        conditioning_dim=1536,
        block_out_channels=(1536, 1536),
        num_attention_heads=(24, 24),
        down_num_layers_per_block=(4, 12),
        up_num_layers_per_block=(12, 4),
    ),
}
PRIOR_FOLDERS: dict[Flavour, str] = {"stage-c": "prior", "stage-c-lite": "prior_lite"}
DECODER_FOLDERS: dict[Flavour, str] = {"stage-c": "decoder", "stage-c-lite": "decoder_lite"}
SINGLE_FILES: dict[Flavour, str] = {"stage-c": "stage_c", "stage-c-lite": "stage_c_lite"}

_RES = ["SDCascadeResBlock", "SDCascadeTimestepBlock"]
_ATTN = [*_RES, "SDCascadeAttnBlock"]
_DECODER: dict[str, Any] = {
    "_class_name": "StableCascadeUNet",
    "clip_image_in_channels": None,
    "clip_seq": 4,
    "clip_text_in_channels": None,
    "clip_text_pooled_in_channels": 1280,
    "conditioning_dim": 1280,
    "down_blocks_repeat_mappers": [1, 1, 1, 1],
    "effnet_in_channels": 16,
    "in_channels": 4,
    "kernel_size": 3,
    "out_channels": 4,
    "patch_size": 2,
    "pixel_mapper_in_channels": 3,
    "self_attn": True,
    "switch_level": None,
    "timestep_conditioning_type": ["sca"],
    "timestep_ratio_embedding_dim": 64,
}
DECODERS: dict[Flavour, dict[str, Any]] = {
    "stage-c": _DECODER
    | {
        "block_out_channels": [320, 640, 1280, 1280],
        "block_types_per_layer": [_RES, _RES, _ATTN, _ATTN],
        "down_num_layers_per_block": [2, 6, 28, 6],
        "dropout": [0, 0, 0.1, 0.1],
        "num_attention_heads": [0, 0, 20, 20],
        "up_blocks_repeat_mappers": [3, 3, 2, 2],
        "up_num_layers_per_block": [6, 28, 6, 2],
    },
    "stage-c-lite": _DECODER
    | {
        "block_out_channels": [320, 576, 1152, 1152],
        "block_types_per_layer": [_RES, _RES, _ATTN, _ATTN],
        "down_num_layers_per_block": [2, 4, 14, 4],
        "dropout": [0, 0, 0.1, 0.1],
        "num_attention_heads": [0, 9, 18, 18],
        "up_blocks_repeat_mappers": [2, 2, 2, 2],
        "up_num_layers_per_block": [4, 14, 4, 2],
    },
}
VQGAN: dict[str, Any] = {
    "_class_name": "PaellaVQModel",
    "bottleneck_blocks": 12,
    "embed_dim": 384,
    "in_channels": 3,
    "latent_channels": 4,
    "levels": 2,
    "num_vq_embeddings": 8192,
    "out_channels": 3,
    "scale_factor": 0.3764,
    "up_down_scale_factor": 2,
}
# CLIP ViT-bigG/14's text half; bos_token_id and eos_token_id are the tokenizer's.
TEXT_ENCODER: dict[str, Any] = {
    "architectures": ["CLIPTextModelWithProjection"],
    "model_type": "clip_text_model",
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 77,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "pad_token_id": 1,
    "projection_dim": 1280,
    "vocab_size": 49408,
}
