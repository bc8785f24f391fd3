"""Every preset is a whole, valid starting point."""

from __future__ import annotations

import pytest

from engine.config.environment import Environment, Gpu
from engine.config.fields import OPTIONS
from engine.config.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_no_problem_on_the_card_it_is_for(files, name):
    packages = files.environment.packages
    files.environment = Environment(
        (Gpu("a card", (PRESETS[name].card_gb or 24) << 30, 0),), packages
    )
    values = dict(PRESETS[name].values)
    if name == "quick-look":
        # It leaves the model as it is.
        values |= {"base_model_precision": "int8-torchao", "gradient_checkpointing": True}
    problems = [p for p in files.problems(**values) if p.key != "output_dir"]
    assert [p for p in problems if p.severity != "hint"] == []


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_options_that_exist_and_says_what_it_is_for(name):
    preset = PRESETS[name]
    assert set(preset.values) <= set(OPTIONS)
    assert preset.summary.endswith((".", "?"))
