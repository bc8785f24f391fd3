"""A CLIP tokenizer with a small vocabulary, learned from a page of English.

The layout is OpenAI CLIP's (simple_tokenizer.py): 256 byte symbols, the same with ``</w>`` at the
end of a word, one symbol a merge, then start and end of text. Byte-pair merges as in Sennrich et
al. 2016 (arXiv:1508.07909).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77
_WORDS = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d|[^\W\d_]+|\d|[^\s\w]+")

Pair = tuple[str, str]


def byte_symbols() -> dict[int, str]:
    """Map each byte to a printable character, in the order of CLIP's (and GPT-2's) vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {
        byte: chr(256 + index) for index, byte in enumerate(others)
    }


def learn_merges(text: str, max_merges: int) -> list[Pair]:
    """Return byte-pair merges, the most frequent pair first; ties go by the alphabet."""
    symbols = byte_symbols()
    words: Counter[tuple[str, ...]] = Counter()
    for word in _WORDS.findall(text.lower()):
        letters = [symbols[byte] for byte in word.encode()]
        words[(*letters[:-1], letters[-1] + END_OF_WORD)] += 1
    merges: list[Pair] = []
    while len(merges) < max_merges:
        pairs: Counter[Pair] = Counter()
        for word, count in words.items():
            for pair in pairwise(word):
                pairs[pair] += count
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({_merge(word, best): count for word, count in words.items()})
    return merges


def vocabulary(merges: list[Pair]) -> dict[str, int]:
    """Return token -> id in CLIP's order; start and end of text are the last two."""
    letters = list(byte_symbols().values())
    tokens = [*letters, *(letter + END_OF_WORD for letter in letters)]
    tokens += ["".join(pair) for pair in merges]
    tokens += [START, END]
    return {token: index for index, token in enumerate(dict.fromkeys(tokens))}


def write_tokenizer(folder: Path, text: str, *, max_merges: int) -> int:
    """Write a published ``tokenizer/`` folder learned from ``text``; return its vocabulary size."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    merges = learn_merges(text, max_merges)
    tokens = vocabulary(merges)
    tokenizer = CLIPTokenizer(vocab=tokens, merges=merges, model_max_length=MAX_TOKENS)
    tokenizer.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(tokens, ensure_ascii=False))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n")
    _write_json(folder / "special_tokens_map.json", {
        "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END,
    })  # fmt: skip
    _write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": MAX_TOKENS,
        "do_lower_case": True,
        "add_prefix_space": False,
        "errors": "replace",
        "bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END,
    })  # fmt: skip
    return len(tokens)


def _merge(word: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    merged: list[str] = []
    index = 0
    while index < len(word):
        if word[index : index + 2] == pair:
            merged.append("".join(pair))
            index += 2
        else:
            merged.append(word[index])
            index += 1
    return tuple(merged)


def _write_json(path: Path, values: dict[str, object]) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n")
