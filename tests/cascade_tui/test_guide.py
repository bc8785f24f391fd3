"""The guide's answers become a config that the validator has nothing against but the weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest
from form_project import ENVIRONMENT

from cascade_tui.guide import (
    CARDS_GB,
    PURPOSES,
    Answers,
    FolderCount,
    GuideError,
    Length,
    Purpose,
    guide,
    parse_length,
)
from engine.config.documents import Document
from engine.config.environment import Environment, Gpu
from engine.config.loading import check_document

_LENGTHS = (Length(steps=1), Length(steps=3000), Length(seconds=60.0), Length(seconds=7200.0))
_PACKAGES = (frozenset({"torchao", "bitsandbytes"}), frozenset[str]())


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _folder(root: Path, *, with_captions: bool) -> Path:
    folder = root / 'my "best" \\ pictures'
    folder.mkdir()
    (folder / "a red barn.jpg").write_bytes(b"not looked into")
    if with_captions:
        (folder / "a red barn.txt").write_text("a red barn")
    return folder


@pytest.mark.parametrize("with_captions", [True, False])
@pytest.mark.parametrize("packages", _PACKAGES)
def test_every_combination_of_answers_is_valid_but_for_the_weights(
    tmp_path: Path, packages: frozenset[str], with_captions: bool
):
    folder = _folder(tmp_path, with_captions=with_captions)
    count = FolderCount(1, int(with_captions))
    for purpose, card, length in itertools.product(PURPOSES, (8, *CARDS_GB, 85), _LENGTHS):
        made = guide(Answers(folder, count, purpose, card, length, packages))
        environment = Environment(
            (Gpu("card", card * 10**9, card * 10**9),),
            (ENVIRONMENT.packages - {"torchao", "bitsandbytes"}) | packages,
        )
        document = Document(Path("new.toml"), made.text, "toml")
        problems = check_document(document, environment=environment).problems
        errors = [problem for problem in problems if problem.severity == "error"]
        assert all("pretrained" in problem.key for problem in errors), (purpose, card, errors)
        assert document.get("data_backend[photographs].instance_data_dir") == str(folder)
        assert made.reasons


def test_the_text_tells_the_reasons_and_a_card_too_small_for_a_full_tune_gets_a_lora(
    tmp_path: Path,
):
    answers = Answers(tmp_path, FolderCount(100, 100), "full", 16, Length(steps=400))
    made = guide(answers)
    assert 'model_type = "lora"' in made.text
    assert all(f"#   {reason}" in made.text for reason in made.reasons)
    assert 'model_type = "full"' in guide(replace(answers, card_gb=80)).text


@pytest.mark.parametrize(
    ("purpose", "card", "steps", "told"),
    [
        # 7200 s; the arithmetic of 8 pictures in two micro-batches, on a quarter of an H100
        ("style", 24, 2170, "3.3 s each. This is an estimate, measured on an H100, a card of 24"),
        ("style", 80, 11574, "0.62 s each. This is an estimate, measured on an H100; Monitor"),
        ("full", 24, 863, "a card of 24 GB taken for 0.25 of one"),
    ],
)
def test_hours_become_steps_by_what_was_measured_and_it_is_called_an_estimate(
    tmp_path: Path, purpose: Purpose, card: int, steps: int, told: str
):
    answers = Answers(tmp_path, FolderCount(100, 100), purpose, card, Length(seconds=7200.0))
    made = guide(answers)
    assert made.steps == steps
    assert any(told in reason for reason in made.reasons)


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("3000", Length(steps=3000)),
        ("1 step", Length(steps=1)),
        ("90min", Length(seconds=5400.0)),
        (" 1,5 H ", Length(seconds=5400.0)),
    ],
)
def test_a_length_is_read_as_people_write_it(text: str, length: Length):
    assert parse_length(text) == length


@pytest.mark.parametrize("text", ["", "soon", "0", "1.5 steps", "0.1 min", "2 hounds", "1e9"])
def test_what_is_no_length_is_refused_with_an_example(text: str):
    with pytest.raises(GuideError, match="give"):
        parse_length(text)


def test_a_folder_without_pictures_is_refused(tmp_path: Path):
    with pytest.raises(GuideError, match="no pictures"):
        guide(Answers(tmp_path, FolderCount(0, 0), "style", 24, Length(steps=100)))
