"""Starting points in the form: what they change, which GPU they suit, applied as one edit."""

from __future__ import annotations

from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import CONFIG, write_project
from textual.widgets import OptionList, Static

from cascade_tui.draft import Draft
from cascade_tui.draft_presets import best_fit, changes_of, edits_of, example_preset, fit_of
from cascade_tui.screens.presets import PresetsScreen
from cascade_tui.shipped_files import example_configs
from engine.config.environment import Gpu
from engine.config.fields import OPTIONS
from engine.config.presets import PRESETS

_ALL = tuple(PRESETS.values())


def _card(name: str, mib: int) -> Gpu:
    return Gpu(name, mib << 20, mib << 20)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


async def test_p_applies_the_preset_that_suits_the_gpu_as_one_undoable_edit():
    path = write_project(Path())
    async with open_app(path).run_test(size=(120, 36)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PresetsScreen))
        screen = pilot.app.screen
        lines = screen.query_one(OptionList)
        await until(pilot, lambda: lines.highlighted is not None)
        await pilot.pause()
        about = str(screen.query_one("#about", Static).render())
        assert about.startswith("lora-80gb")  # the machine of these tests has an H100
        assert "fits NVIDIA H100" in about
        assert "max_train_steps" in about
        await pilot.press("enter")
        form = await checked_form(pilot)
        assert not form.problems
        assert form.draft.document.get("max_train_steps") == 3000
        assert "# Anna: 2e-4 burnt it" in form.draft.document.text()
        await pilot.press("u")
        assert form.draft.document.text() == CONFIG
        await pilot.press("p")
        await until(pilot, lambda: isinstance(pilot.app.screen, PresetsScreen))
        await pilot.press("escape")
        assert form.draft.document.text() == CONFIG


@pytest.mark.parametrize("preset", _ALL, ids=lambda preset: preset.name)
def test_applied_a_preset_leaves_nothing_more_to_change_and_no_error(preset):
    draft = Draft.open(write_project(Path()))
    draft.apply_all(edits_of(changes_of(preset, draft)))
    assert changes_of(preset, draft) == ()
    assert not [problem for problem in draft.read().problems if problem.severity == "error"]
    draft.undo()
    assert draft.document.text() == CONFIG


def test_examples_are_presets_without_their_folders_weights_and_prompts():
    for path in example_configs():
        preset = example_preset(path)
        assert preset.summary
        assert "output_dir" not in preset.values
        assert not any(OPTIONS[key].kind == "path" for key in preset.values)


@pytest.mark.parametrize(
    ("gpus", "best", "lora_24gb"),
    [
        ((), "lora-12gb-lite", "unknown"),
        ((_card("RTX 4070", 12282),), "lora-12gb-lite", "too small"),
        ((_card("RTX 4090", 24564),), "lora-24gb", "fits"),
        ((_card("A40", 46068), _card("RTX 4090", 24564)), "lora-24gb", "fits"),
        ((_card("H100", 81559),), "lora-80gb", "fits"),
    ],
)
def test_the_preset_to_begin_from_is_that_of_the_largest_card_that_fits(gpus, best, lora_24gb):
    assert _ALL[best_fit(_ALL, gpus, "lora")].name == best
    assert fit_of(PRESETS["lora-24gb"], gpus).kind == lora_24gb
    assert fit_of(PRESETS["quick-look"], gpus).kind == "any"
