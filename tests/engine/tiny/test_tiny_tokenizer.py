"""What the small CLIP tokenizer promises."""

from __future__ import annotations

import pytest
from transformers import CLIPTokenizer

from engine.tiny.layout import ENGLISH_NAME, SOURCE
from engine.tiny.tokenizer import END, START, learn_merges, vocabulary, write_tokenizer

ENGLISH = (SOURCE / ENGLISH_NAME).read_text()


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, ENGLISH, max_merges=1024)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def test_words_of_the_demo_are_one_token_each(tokenizer: CLIPTokenizer) -> None:
    assert tokenizer.tokenize("A Raccoon among green leaves") == [
        "a</w>", "raccoon</w>", "among</w>", "green</w>", "leaves</w>",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["naïve café", "東京の夜", "x²–7 😀"])
def test_any_text_is_spelled_in_bytes_and_read_back(tokenizer: CLIPTokenizer, text: str) -> None:
    ids = tokenizer(text)["input_ids"][1:-1]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids).replace(" ", "") == text.replace(" ", "")


def test_captions_are_framed_and_padded_with_the_end_of_text(tokenizer: CLIPTokenizer) -> None:
    ids = tokenizer("a cat", padding="max_length", truncation=True)["input_ids"]
    end = tokenizer.convert_tokens_to_ids(END)
    assert len(ids) == tokenizer.model_max_length == 77
    assert ids[0] == tokenizer.convert_tokens_to_ids(START)
    assert ids[3:] == [end] * 74


def test_the_vocabulary_has_clips_order() -> None:
    tokens = list(vocabulary(learn_merges("aa aa aa ab", 2)))
    assert len(tokens) == 256 + 256 + 2 + 2
    assert tokens[0] == "!"
    assert tokens[256] == "!</w>"
    assert tokens[512:] == ["aa</w>", "ab</w>", START, END]


def test_merges_are_the_same_every_time_and_the_frequent_ones_first() -> None:
    merges = learn_merges("low low lower lowest", 3)
    assert merges == learn_merges("low low lower lowest", 3)
    assert merges[0] == ("l", "o")
