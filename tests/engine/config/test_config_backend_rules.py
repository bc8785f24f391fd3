"""Data backends: each on its own, and what they must satisfy together."""

from __future__ import annotations

import pytest

from engine.config.problems import Edit


def test_no_text_cache_is_a_warning_that_says_what_it_costs(files):
    files.backends.remove(files.text_backend)
    problem = files.problem("data_backend_config")
    assert problem.severity == "warning"
    assert "0.2 MB" in problem.message


def test_no_image_backend_is_an_error(files):
    files.backends.remove(files.image_backend)
    assert files.problem("data_backend_config").severity == "error"


def test_of_several_text_caches_exactly_one_is_the_default(files):
    second = {**files.text_backend, "id": "second", "cache_dir": str(files.root / "other")}
    files.backends.append(second)
    assert "2 of 2" in files.problem("data_backend[text].default").message
    second["default"] = False
    assert files.problems() == ()
    files.text_backend["default"] = False
    problem = files.problem("data_backend[text].default")
    assert problem.edit == Edit("data_backend[text].default", True)


def test_two_backends_of_one_id_are_an_error(files):
    files.backends.append(files.image_backend)
    assert "2 backends have this id" in files.problem("data_backend[primary].id").message


@pytest.mark.parametrize(
    ("key", "severity", "values"),
    [
        ("maximum_image_size", "error", {"maximum_image_size": 2048}),
        ("target_downsample_size", "warning", {"target_downsample_size": 512}),
        (
            "target_downsample_size",
            "error",
            {"maximum_image_size": 1024, "target_downsample_size": 2048},
        ),
        (
            "minimum_image_size",
            "error",
            {
                "maximum_image_size": 1024,
                "target_downsample_size": 1024,
                "minimum_image_size": 1500,
            },
        ),
        ("bucket_resolutions", "warning", {"bucket_resolutions": ["1024x1024", "832x1216"]}),
        ("bucket_resolutions", "hint", {"bucket_resolutions": ["1024x1024", "1024x1024"]}),
        ("resolution", "warning", {"resolution": "1000x1000"}),
        ("resolution", "warning", {"resolution": 256}),
        ("instance_prompt", "error", {"caption_strategy": "instanceprompt"}),
        ("instance_prompt", "error", {"prepend_instance_prompt": True}),
        ("instance_prompt", "warning", {"instance_prompt": "a barn"}),
        ("resolution", "error", {"resolution": "wide"}),
        ("crop", "error", {"crop": "true"}),
        ("bucket_resolutions", "error", {"bucket_resolutions": ["1024x1024", "x"]}),
        ("crop_style", "error", {"crop_style": "face"}),
        ("caption_strategy", "error", {"caption_strategy": "parquet"}),
        ("type", "error", {"type": "aws"}),
        ("repeats", "error", {"repeats": -1}),
        ("resoluton", "error", {"resoluton": 512}),
    ],
)
def test_a_fault_in_a_backend_is_told_at_its_option(files, key, severity, values):
    problem = files.backend_problem(key, **values)
    assert problem.severity == severity
    assert problem.where.startswith(f"{files.backends_path}:")


@pytest.mark.parametrize(
    "value",
    ["eval", "conditioning", "image_embeds", "video", "audio"],
)
def test_a_kind_of_dataset_that_is_not_there_yet_says_so(files, value):
    files.backends.append({"id": "other", "dataset_type": value})
    assert "not supported yet" in files.problem("data_backend[other].dataset_type").message


def test_the_older_name_image_is_the_same_as_images(files):
    files.image_backend["dataset_type"] = "image"
    assert files.problems() == ()


def test_a_misspelt_kind_of_dataset_is_told_with_the_nearest(files):
    problem = files.backend_problem("dataset_type", dataset_type="imagess")
    assert problem.edit == Edit("data_backend[primary].dataset_type", "images")


@pytest.mark.parametrize(
    ("missing", "key"), [("id", "data_backend[0].id"), ("instance_data_dir", None)]
)
def test_what_a_backend_must_have_is_told_when_missing(files, missing, key):
    del files.image_backend[missing]
    assert "is missing" in files.problem(key or f"data_backend[primary].{missing}").message


def test_a_backend_that_is_no_table_is_told_by_its_place(files):
    files.backends.append(5)
    assert "must be a table" in files.problem("data_backend[2]").message


def test_a_file_of_backends_that_is_no_list_is_told(files):
    files.backends = {"id": "primary"}
    assert "must hold a list of backends" in files.problem("data_backend_config").message
