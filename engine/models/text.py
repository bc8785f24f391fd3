"""The CLIP-G text encoder, as Stage C was conditioned on it.

``clip_text`` is the last layer's output *before* the final norm, padding included;
``clip_text_pooled`` the projected embed of the first end-of-text token.
Source: Stability-AI/StableCascade, train/base.py (get_conditions).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.models.weights import (
    WeightsError,
    hash_weights,
    load_strictly,
    read_tensors,
    shard_paths,
)

MAX_TOKENS = 77
# Buffers that older exports carry and the network computes by itself.
_DERIVED = ("text_model.embeddings.position_ids",)


@dataclass(frozen=True, slots=True)
class TextEmbeds:
    """Embeds of n captions: clip_text [n, 77, D], clip_text_pooled [n, 1, D].

    ``token_counts`` are the captions' lengths before padding and cutting, start and end included.
    """

    clip_text: Tensor
    clip_text_pooled: Tensor
    token_counts: tuple[int, ...]

    @property
    def truncated(self) -> tuple[int, ...]:
        """Indices of the captions that lost words: they have more than 77 tokens."""
        return tuple(i for i, count in enumerate(self.token_counts) if count > MAX_TOKENS)

    @property
    def num_truncated(self) -> int:
        """How many captions lost words."""
        return len(self.truncated)


class TextEncoder:
    """Tokenizer and network together."""

    def __init__(
        self,
        tokenizer: Any,
        network: nn.Module,
        device: torch.device | str,
        *,
        folders: tuple[Path, Path] | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.network = network
        self.device = device
        self._folders = folders
        self._check_hidden_state()

    @classmethod
    def load(
        cls,
        text_encoder: Path,
        tokenizer: Path,
        *,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> TextEncoder:
        """Load from the published folders, strictly.

        Raises:
            WeightsError: a file is absent or damaged, or a key is missing, unexpected or misshapen.
        """
        from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

        try:
            values = json.loads((text_encoder / "config.json").read_text())
            words = CLIPTokenizer.from_pretrained(tokenizer, local_files_only=True)
        except (OSError, ValueError) as error:
            raise WeightsError(f"the text encoder's folders cannot be read: {error}") from error
        with torch.device("meta"):
            network = CLIPTextModelWithProjection(CLIPTextConfig(**values))
        tensors = read_tensors(shard_paths(text_encoder, "model"), device=device, dtype=dtype)
        for name in _DERIVED:
            tensors.pop(name, None)
        load_strictly(network, tensors, str(text_encoder))
        _restore_position_ids(network, device)
        network.eval().requires_grad_(False)
        return cls(words, network, device, folders=(text_encoder, tokenizer))

    @cached_property
    def weights_hash(self) -> str:
        """The identity of the folders it was loaded from, see :func:`hash_text_encoder`."""
        assert self._folders is not None, "built from parts, not loaded"
        return hash_text_encoder(*self._folders)

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> TextEmbeds:
        """Encode captions, padded and cut to 77 tokens."""
        tokens = self.tokenizer(
            list(captions),
            padding="max_length",
            max_length=MAX_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        uncut = self.tokenizer(list(captions), padding=False, truncation=False, verbose=False)
        output = self.network(
            tokens["input_ids"].to(self.device),
            attention_mask=tokens["attention_mask"].to(self.device),
            output_hidden_states=True,
        )
        return TextEmbeds(
            output.hidden_states[-1],
            output.text_embeds.unsqueeze(1),
            tuple(len(ids) for ids in uncut["input_ids"]),
        )

    @torch.no_grad()
    def _check_hidden_state(self) -> None:
        """Some versions of transformers return the last hidden state after the final norm."""
        ids = torch.tensor([[self.tokenizer.bos_token_id, self.tokenizer.eos_token_id]])
        output = self.network(ids.to(self.device), output_hidden_states=True)
        hidden = output.hidden_states[-1]
        normed = self.network.text_model.final_layer_norm(hidden)
        if not torch.allclose(normed, output.last_hidden_state, rtol=1e-3, atol=1e-3):
            raise RuntimeError(
                "this version of transformers returns hidden_states[-1] after the final layer "
                "norm, on which Stage C was not trained; install another version"
            )


def hash_text_encoder(text_encoder: Path, tokenizer: Path, *, memory: Path | None = None) -> str:
    """The identity of encoder and tokenizer: everything that determines an embed.

    ``memory`` as for :func:`hash_weights`.
    """
    files = [text_encoder / "config.json", *shard_paths(text_encoder, "model")]
    files += sorted(path for path in tokenizer.iterdir() if path.is_file())
    return hash_weights(files, memory=memory)


def _restore_position_ids(network: nn.Module, device: torch.device | str) -> None:
    """Non-persistent buffers were made on the meta device: make them again."""
    for module in network.modules():
        ids = module._buffers.get("position_ids")
        if ids is not None and ids.is_meta:
            module._buffers["position_ids"] = torch.arange(ids.shape[-1], device=device)[None]
    left = [name for name, buffer in network.named_buffers() if buffer.is_meta]
    assert not left, f"buffers without values: {left}"
