"""The shape of ``stage-c-tiny``: the published config files with small numbers in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SEED = 1
NUM_MERGES = 1024
NUM_CALIBRATION_CROPS = 24

# What the encoder sees of a 384-pixel bucket: 0.75 of it, for a 9 x 9 latent grid.
ENCODED_SIDE_PX = 288

# Photographs, English text and trained weights, in a checkout; an installed package has them
# elsewhere, and whoever calls says where.
SOURCE = Path(__file__).parents[2] / "config" / "demo"
PHOTOGRAPHS_NAME = "photographs"
ENGLISH_NAME = "english.txt"

WIDTH = 128
TEXT_WIDTH = 128
PREVIEWER_WIDTH = 64

# Trained weights, keyed prior.* and previewer.*; made by engine.tiny.pretrain.
PRETRAINED_NAME = "stage-c-tiny.safetensors"

MODEL_INDEX: dict[str, Any] = {
    "_class_name": "StableCascadePriorPipeline",
    "prior": ["diffusers", "StableCascadeUNet"],
    "scheduler": ["diffusers", "DDPMWuerstchenScheduler"],
    "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "image_encoder": [None, None],
    "feature_extractor": [None, None],
}

SCHEDULER: dict[str, Any] = {"_class_name": "DDPMWuerstchenScheduler", "s": 0.008, "scaler": 1.0}

# bos_token_id, eos_token_id and vocab_size follow from the tokenizer; pad_token_id is 1 and no
# padding token, as in the published file.
TEXT_ENCODER: dict[str, Any] = {
    "architectures": ["CLIPTextModelWithProjection"],
    "model_type": "clip_text_model",
    "hidden_act": "gelu",
    "hidden_size": TEXT_WIDTH,
    "intermediate_size": TEXT_WIDTH * 4,
    "layer_norm_eps": 1e-5,
    "max_position_embeddings": 77,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "pad_token_id": 1,
    "projection_dim": TEXT_WIDTH,
}

_BLOCK = ["SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"]

PRIOR: dict[str, Any] = {
    "_class_name": "StableCascadeUNet",
    "block_out_channels": [WIDTH, WIDTH],
    "block_types_per_layer": [_BLOCK, _BLOCK],
    "clip_image_in_channels": 32,
    "clip_seq": 4,
    "clip_text_in_channels": TEXT_WIDTH,
    "clip_text_pooled_in_channels": TEXT_WIDTH,
    "conditioning_dim": WIDTH,
    "down_blocks_repeat_mappers": [1, 1],
    "down_num_layers_per_block": [1, 2],
    "dropout": [0.1, 0.1],
    "effnet_in_channels": None,
    "in_channels": 16,
    "kernel_size": 3,
    "num_attention_heads": [2, 2],
    "out_channels": 16,
    "patch_size": 1,
    "pixel_mapper_in_channels": None,
    "self_attn": True,
    "switch_level": [False],
    "timestep_conditioning_type": ["sca", "crp"],
    "timestep_ratio_embedding_dim": 64,
    "up_blocks_repeat_mappers": [1, 1],
    "up_num_layers_per_block": [2, 1],
}

# Stage B: four levels, attention in the two coarse ones, told of Stage C's latent by `effnet`.
DECODER: dict[str, Any] = {
    "_class_name": "StableCascadeUNet",
    "block_out_channels": [16, 32, 32, 32],
    "block_types_per_layer": [_BLOCK[:2], _BLOCK[:2], _BLOCK, _BLOCK],
    "clip_image_in_channels": None,
    "clip_seq": 4,
    "clip_text_in_channels": None,
    "clip_text_pooled_in_channels": TEXT_WIDTH,
    "conditioning_dim": 32,
    "down_blocks_repeat_mappers": [1, 1, 1, 1],
    "down_num_layers_per_block": [1, 1, 1, 1],
    "dropout": [0, 0, 0.1, 0.1],
    "effnet_in_channels": 16,
    "in_channels": 4,
    "kernel_size": 3,
    "num_attention_heads": [0, 0, 2, 2],
    "out_channels": 4,
    "patch_size": 2,
    "pixel_mapper_in_channels": 3,
    "self_attn": True,
    "switch_level": None,
    "timestep_conditioning_type": ["sca"],
    "timestep_ratio_embedding_dim": 64,
    "up_blocks_repeat_mappers": [3, 3, 2, 2],
    "up_num_layers_per_block": [1, 1, 1, 1],
}

VQGAN: dict[str, Any] = {
    "_class_name": "PaellaVQModel",
    "bottleneck_blocks": 1,
    "embed_dim": 16,
    "in_channels": 3,
    "latent_channels": 4,
    "levels": 2,
    "num_vq_embeddings": 64,
    "out_channels": 3,
    "scale_factor": 0.3764,
    "up_down_scale_factor": 2,
}
