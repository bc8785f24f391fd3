"""The dataset editor: backends come and go as undoable edits, and buckets are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from form_pilot import checked_form, open_app, until
from form_project import CONFIG, write_json_project, write_project
from PIL import Image
from textual.widgets import Static

from cascade_tui.bucket_preview import preview_buckets
from cascade_tui.draft import Draft
from cascade_tui.draft_backends import backends_of
from cascade_tui.screens.datasets import DatasetsScreen
from cascade_tui.widgets.field_list import FieldList
from engine.config.backends import ImageBackend


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


def _ids(draft: Draft) -> list[str]:
    return [identity for identity, _ in backends_of(draft)]


async def test_backends_are_added_copied_removed_and_each_is_one_undo():
    path = write_project(Path())
    Image.new("RGB", (300, 200)).save("photographs/wide.png")
    async with open_app(path).run_test(size=(80, 24)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(pilot.app.screen, DatasetsScreen))
        screen = pilot.app.screen
        assert isinstance(screen, DatasetsScreen)
        await pilot.press("c")
        assert _ids(form.draft) == ["barns", "text", "barns-copy"]
        await pilot.press("x")
        assert _ids(form.draft) == ["barns", "text"]
        await pilot.press("a", "A")
        assert _ids(form.draft) == ["barns", "text", "photographs", "text-cache"]
        assert form.draft.document.get("data_backend[text-cache].default") is False
        await pilot.press("u", "u", "u", "u")
        assert form.draft.document.text() == CONFIG
        await pilot.press("U")
        assert _ids(form.draft) == ["barns", "text", "barns-copy"]
        await pilot.press("u", "k", "k", "k")
        await until(pilot, lambda: screen.identity == "barns")
        await pilot.press("b")
        told = screen.query_one("#buckets", Static)
        await until(pilot, lambda: "to train on" in str(told.render()))
        assert "1280x768" in str(told.render())
        assert "1 left out: unreadable or damaged" in str(told.render())
        await pilot.press("enter")
        await until(pilot, lambda: pilot.app.screen is form)
        field = form.query_one(FieldList).field
        assert field is not None
        assert field.key == "data_backend[barns].instance_data_dir"


def test_reasons_are_told_by_kind_and_the_folder_is_left_as_it_was(tmp_path: Path):
    for place, size in enumerate(((64, 64), (400, 400), (80, 2000))):
        Image.new("RGB", size).save(tmp_path / f"{'abc'[place]}.png")
    (tmp_path / "b.txt").write_text("a square")
    (tmp_path / "c.txt").write_text("a stripe")
    Image.new("RGB", (400, 400)).save(tmp_path / "d.png")
    backend = ImageBackend(
        id="x", instance_data_dir=str(tmp_path), minimum_image_size=70, caption_strategy="textfile"
    )
    before = sorted(tmp_path.iterdir())
    made = preview_buckets(backend, on_progress=lambda *_: None, should_stop=lambda: False)
    assert made.buckets == (((1024, 1024), 1),)
    assert dict(made.left_out) == {
        "too small (minimum_image_size 70)": 1,
        "too long: more than 4:1": 1,
        "no caption file its .txt beside it": 1,
    }
    assert sorted(tmp_path.iterdir()) == before


async def test_a_separate_file_of_backends_is_the_one_that_changes():
    path = write_json_project(Path())
    config = path.read_text()
    async with open_app(path).run_test(size=(120, 36)) as pilot:
        form = await checked_form(pilot)
        await pilot.press("B")
        await until(pilot, lambda: isinstance(pilot.app.screen, DatasetsScreen))
        await pilot.press("a", "b")  # there is no folder yet: nothing is scanned
        assert "b sorts" in str(pilot.app.screen.query_one("#buckets", Static).render())
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is form)
        assert form.save()
        assert path.read_text() == config
        saved = json.loads(Path("backends.json").read_text())
        assert [entry["id"] for entry in saved] == ["barns", "text", "photographs"]
