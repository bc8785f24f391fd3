"""Folders that a config names, on the machine where it is checked."""

from __future__ import annotations

from engine.config.problems import Edit


def test_an_output_dir_under_a_file_is_an_error(files):
    blocked = files.images / "a red barn.jpg" / "x" / "y"
    problem = files.problem("output_dir", output_dir=str(blocked))
    assert problem.severity == "error"
    assert "is a file, not a folder" in problem.message


def test_a_text_cache_that_cannot_be_made_is_an_error(files):
    files.text_backend["cache_dir"] = str(files.images / "a red barn.jpg" / "cache")
    problem = files.problem("data_backend[text].cache_dir")
    assert problem.severity == "error"


def test_a_data_folder_that_is_missing_a_file_or_empty_is_an_error(files):
    empty = files.root / "empty"
    empty.mkdir()
    (empty / "notes.md").write_text("no pictures")
    for place, why in [
        (files.root / "nowhere", "does not exist"),
        (files.images / "a red barn.jpg", "is a file, not a folder"),
        (empty, "holds no pictures"),
    ]:
        problem = files.backend_problem("instance_data_dir", instance_data_dir=str(place))
        assert problem.severity == "error"
        assert why in problem.message


def test_a_data_folder_that_is_misspelt_or_an_example_s_has_a_fix_where_there_is_no_doubt(
    files, monkeypatch
):
    (files.root / "empty").mkdir()
    monkeypatch.chdir(files.root / "empty")
    misspelt = str(files.root / "photografs")
    problem = files.backend_problem("instance_data_dir", instance_data_dir=misspelt)
    assert problem.edit == Edit(problem.key, str(files.images))
    assert problem.fix == f"did you mean {files.images}?"
    example = {"instance_data_dir": "/data/of/somebody"}
    problem = files.backend_problem("instance_data_dir", **example)
    assert problem.edit is None
    monkeypatch.chdir(files.root)  # which holds one folder of pictures
    problem = files.backend_problem("instance_data_dir", **example)
    assert problem.edit == Edit(problem.key, "photographs/")
    problem = files.backend_problem("instance_data_dir", instance_data_dir="Photograph")
    assert problem.edit == Edit(problem.key, "photographs")


def test_pictures_in_subfolders_and_behind_links_are_found_hidden_folders_are_not(files):
    outer, hidden = files.root / "outer", files.root / "hidden"
    outer.mkdir()
    (outer / "link").symlink_to(files.images)
    (hidden / ".trash").mkdir(parents=True)
    (hidden / ".trash" / "old.jpg").write_bytes(b"")
    files.image_backend["instance_data_dir"] = str(outer)
    assert files.problems() == ()
    assert (
        "holds no pictures"
        in files.backend_problem("instance_data_dir", instance_data_dir=str(hidden)).message
    )


def test_missing_caption_files_are_counted(files):
    (files.images / "second.png").write_bytes(b"")
    strategy = {"caption_strategy": "textfile"}
    problem = files.backend_problem("caption_strategy", **strategy)
    assert (problem.severity, problem.message.split(":")[0]) == (
        "error",
        "2 of 2 pictures have no .txt beside them",
    )
    (files.images / "second.txt").write_text("a barn")
    problem = files.backend_problem("caption_strategy", **strategy)
    assert problem.severity == "warning"
    assert "1 of 2" in problem.message
