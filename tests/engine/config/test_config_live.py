"""What may be changed in a run that goes on, and how a resume learns of it."""

import pytest

from engine.config.fields import TrainingConfig
from engine.config.frozen import FrozenConfig, FrozenConfigError, freeze
from engine.config.live import (
    LiveChange,
    apply_change,
    differences,
    load_current,
    parse_change,
    write_changes,
)
from engine.run.paths import RunDirectory

FROZEN = FrozenConfig(TrainingConfig(), (), {"portrait": "a sailor", "cup": "a cup"})


def test_assignments_become_a_change_that_names_what_it_changed():
    change, problems = parse_change(
        [
            "checkpoint_step_interval=250",
            "validation_prompts.portrait=an old sailor",
            "validation_prompts.cup=",
        ]
    )
    assert not problems
    after, problems = apply_change(FROZEN, change)
    assert not problems
    assert after.config.checkpoint_step_interval == 250
    assert after.prompts == {"portrait": "an old sailor"}
    assert list(map(str, differences(FROZEN, after))) == [
        "checkpoint_step_interval 500 → 250",
        "validation_prompts.portrait “a sailor” → “an old sailor”",
        "validation_prompts.cup “a cup” → nothing",
    ]


@pytest.mark.parametrize(
    ("change", "key", "message"),
    [
        (LiveChange({"lora_rank": 8}), "lora_rank", "cannot be changed while the run goes on"),
        (LiveChange({"checkpoint_step_interval": 1.5}), "checkpoint_step_interval", "is 1.5"),
        (LiveChange({"checkpoint_step_interval": None}), "checkpoint_step_interval", "is null"),
        (LiveChange({}, {"boat": None}), "validation_prompts.boat", "(there: portrait, cup)"),
        (LiveChange({}, {"cup": " "}), "validation_prompts[cup]", "the prompt cup is empty"),
        (LiveChange({}, {"c/p": "x", "c p": "y"}), "validation_prompts[c p]", "the same file"),
    ],
)
def test_a_change_that_may_not_be_is_refused_whole(change, key, message):
    also = LiveChange({"validation_step_interval": 3}).then(change)
    after, problems = apply_change(FROZEN, also)
    assert after is FROZEN
    assert [problem.key for problem in problems] == [key]
    assert message in problems[0].message


def test_a_resume_sees_the_changes_and_a_launch_of_a_config_forgets_them(files, tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.root.mkdir()
    freeze(files.load(validation_prompts={"a": "b"}), run.root)
    change = LiveChange({"checkpoint_step_interval": 3}).then(LiveChange({}, {"a": "c"}))
    write_changes(run, change)
    current, read = load_current(run.root)
    assert read == change
    assert (current.config.checkpoint_step_interval, current.prompts) == (3, {"a": "c"})

    run.changes.write_text('{"options": 3}')
    with pytest.raises(FrozenConfigError, match="a table of options"):
        load_current(run.root)
    freeze(files.load(), run.root)
    assert not load_current(run.root)[1]
