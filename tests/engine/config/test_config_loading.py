"""A config with everything it refers to: files beside it, overrides, lines, what is inline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from config_project import ONE_GPU, write_weights

from engine.config.environment import Environment
from engine.config.loading import check_document, check_values, load_project

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config" / "stable_cascade"
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))


def keys(problems, *severities):
    return [problem.key for problem in problems if problem.severity in severities]


# -- the quickstart -------------------------------------------------------------------------------


@pytest.mark.parametrize("working_directory", ["repository", "elsewhere"])
def test_the_quickstart_as_it_is_lacks_its_weights_and_data_and_nothing_else(
    working_directory, tmp_path, monkeypatch, files
):
    """Wherever it lies and from wherever it is checked."""
    folder = SHIPPED
    monkeypatch.chdir(ROOT)
    if working_directory == "elsewhere":
        folder = Path(shutil.copytree(SHIPPED, tmp_path / "copy"))
        monkeypatch.chdir(tmp_path)
    project = load_project(folder / "config.json", environment=ONE_GPU)
    assert keys(project.problems, "error", "warning") == [
        "pretrained_model_name_or_path",
        "pretrained_vae_model_name_or_path",
        "data_backend[primary].instance_data_dir",
    ]
    assert keys(project.problems, "hint") == ["hub_model_id"]


def test_the_quickstart_with_its_data_and_weights_is_ready(tmp_path, files):
    weights, options = write_weights(tmp_path / "all"), []
    for key in ("pretrained_model", "pretrained_vae_model", "stable_cascade_decoder_model"):
        options.append(f"{key}_name_or_path={weights}")
    options.append(f"data_backend.primary.instance_data_dir={files.images}")
    options.append(f"data_backend.stable-cascade-text-cache.cache_dir={tmp_path / 'text'}")
    project = load_project(SHIPPED / "config.json", options, environment=ONE_GPU)
    assert keys(project.problems, "error", "warning") == []
    assert project.is_valid
    assert project.weights is not None
    assert project.weights.decoder == weights / "decoder_lite"
    assert project.config is not None
    assert (project.config.learning_rate, project.config.lora_alpha) == (1e-4, 16.0)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_lacks_its_weights_and_data_and_nothing_else(path, files, monkeypatch):
    monkeypatch.chdir(files.root)
    project = load_project(path, environment=ONE_GPU)
    wrong = keys(project.problems, "error", "warning", "hint")
    assert len(wrong) == 3
    assert wrong[:2] == ["pretrained_model_name_or_path", "pretrained_vae_model_name_or_path"]
    assert wrong[2].endswith(".instance_data_dir")
    assert project.prompts


# -- what a config refers to ----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["backends.json", "config/elsewhere/backends.json"])
def test_a_named_file_is_found_beside_the_config(files, name, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("somewhere"))
    assert files.problems(data_backend_config=name) == ()


def test_a_named_file_is_looked_for_from_here_first(files, tmp_path_factory, monkeypatch):
    here = tmp_path_factory.mktemp("here")
    (here / "backends.json").write_text("[]")
    monkeypatch.chdir(here)
    project = files.load(data_backend_config="backends.json")
    assert project.backends == ()


def test_a_named_file_that_is_nowhere_is_one_error(files):
    assert "does not exist" in files.problem("data_backend_config", data_backend_config="x").message


def test_a_malformed_file_of_backends_is_told_with_its_own_line_and_column(files):
    path = files.write()
    files.backends_path.write_text("[\n  {,}\n]")
    project = load_project(path, environment=ONE_GPU)
    [problem] = project.problems
    assert (problem.key, problem.where) == ("data_backend_config", f"{files.backends_path}:2:4")


def test_prompts_come_from_a_file_or_from_the_config_itself(files):
    library = ROOT / "config" / "stable_cascade" / "prompt_library.json"
    names = set(json.loads(library.read_text()))
    assert set(files.load(validation_prompt_library=str(library)).prompts) == names
    inline = files.load(validation_prompt_library={"a": "b"})
    assert (dict(inline.prompts), inline.problems) == ({"a": "b"}, ())
    del files.options["validation_prompt_library"]
    assert files.load(validation_prompts={"c": "d"}).prompts == {"c": "d"}


@pytest.mark.parametrize("bad", [{"validation_prompts": 3}, {"validation_prompts": {"a": 1}}])
def test_prompts_that_are_no_text_are_told(files, bad):
    assert files.problem("validation_prompts", **bad).severity == "error"


def test_what_is_both_inline_and_named_is_an_error_for_one_would_be_ignored(files):
    assert "ignored" in files.problem("data_backend_config", data_backend=[]).message


def test_toml_may_hold_everything(files, tmp_path):
    files.write()
    options = "\n".join(
        f"{key} = {json.dumps(value)}"
        for key, value in files.options.items()
        if key != "data_backend_config"
    )
    path = tmp_path / "whole.toml"
    path.write_text(
        f'{options}\n[validation_prompts]\nbarn = "a barn"\n'
        f'[[data_backend]]\nid = "primary"\ninstance_data_dir = "{files.images}"\ncrop = 3\n'
        f'[[data_backend]]\nid = "text"\ndataset_type = "text_embeds"\ncache_dir = "{tmp_path}/c"\n'
    )
    project = load_project(path, environment=ONE_GPU)
    [problem] = project.problems
    assert problem.key == "data_backend[primary].crop"
    assert problem.where == f"{path}:{len(files.options) + 5}"
    assert project.prompts == {"barn": "a barn"}
    path.write_text("data_backend = 3\nmax_train_steps = 3\n")
    assert "data_backend" in keys(load_project(path, environment=ONE_GPU).problems, "error")


def test_a_list_of_backends_is_no_config(files):
    files.write()
    [first, *_] = load_project(files.backends_path, environment=ONE_GPU).problems
    assert "a list of data backends, not a config" in first.message


def test_a_malformed_config_is_one_problem_and_no_config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"seed": }')
    project = load_project(path, environment=ONE_GPU)
    [problem] = project.problems
    assert (problem.where, project.config) == (f"{path}:1:10", None)
    assert not project.is_valid


def test_a_problem_says_in_which_line_its_value_stands(files):
    files.options = {"lora_rank": "x", **files.options, "use_ema": 3}
    problems = files.problems()
    assert [problem.where for problem in problems] == [
        f"{files.config_path}:2",
        f"{files.config_path}:{len(files.options) + 1}",
    ]


def test_errors_come_before_warnings_and_hints(files):
    found = files.problems(hub_model_id="x", learning_rate=0.5, lora_rank="x")
    assert [problem.severity for problem in found] == ["error", "warning", "hint"]


# -- overrides ------------------------------------------------------------------------------------


def test_an_override_replaces_a_value_and_is_named_as_the_place_of_its_problem(files):
    project = files.load("lora_rank=8", "--learning_rate=5e-5", lora_rank="x")
    assert project.problems == ()
    assert project.config is not None
    assert (project.config.lora_rank, project.config.learning_rate) == (8, 5e-5)
    [problem] = files.load("lora_rank=0").problems
    assert problem.where == "--set lora_rank"
    assert '"lora_rank": "x"' in files.config_path.read_text()


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("validation_prompt=123", "validation_prompt", "123"),
        ("validation_prompt=a = b", "validation_prompt", "a = b"),
        ('validation_prompt="quoted"', "validation_prompt", "quoted"),
        ("mixed_precision=no", "mixed_precision", "no"),
        ("report_to=wandb,tensorboard", "report_to", ("wandb", "tensorboard")),
        ('report_to=["wandb"]', "report_to", ("wandb",)),
        ("use_ema=true", "use_ema", True),
        ("validation_seed=null", "validation_seed", None),
        ("resume_from_checkpoint=300", "resume_from_checkpoint", "300"),
    ],
)
def test_an_override_is_read_as_its_option_s_kind(files, override, key, value):
    project = files.load(override)
    assert project.problems == ()
    assert getattr(project.config, key) == value


def test_overrides_reach_backends_and_prompts(files):
    project = files.load(
        "data_backend.primary.repeats=3",
        "data_backend.primary.resolution=512x768",
        "validation_prompts.night=a barn at night",
    )
    assert project.problems == ()
    backend = project.backends[0]
    assert (backend.repeats, str(backend.resolution)) == (3, "512x768")
    assert project.prompts == {"night": "a barn at night"}


@pytest.mark.parametrize(
    ("override", "key"),
    [
        ("lora_rank", ""),
        ("=3", ""),
        ("data_backend.crop=true", ""),
        ("data_backend.nobody.crop=true", "data_backend[nobody].crop"),
        ("data_backend.primary.crp=true", "data_backend[primary].crp"),
        ("lora_rnk=3", "lora_rnk"),
    ],
)
def test_an_override_of_nothing_is_an_error(files, override, key):
    [problem] = files.load(override).problems
    assert (problem.key, problem.severity) == (key, "error")


def test_the_backends_file_may_be_another_by_override(files, tmp_path):
    other = tmp_path / "other.json"
    other.write_text("[]")
    assert keys(files.load(f"data_backend_config={other}").problems, "error") == [
        "data_backend_config"
    ]


# -- without a file -------------------------------------------------------------------------------


def test_values_can_be_checked_as_they_are_typed(files):
    files.write()
    values = {key: v for key, v in files.options.items() if key != "data_backend_config"}
    good = check_values(values, files.backends, {}, ONE_GPU)
    assert good.problems == ()
    bad = check_values({**values, "validation_resolution": "1000x999"}, files.backends, {}, ONE_GPU)
    assert [problem.key for problem in bad.problems] == ["validation_resolution"]


def test_unsaved_edits_of_both_documents_count(files):
    project = files.load()
    assert project.document is not None
    assert project.backends_document is not None
    project.document.set("lora_rank", 0)
    project.backends_document.set("data_backend[primary].crop", "x")
    checked = check_document(
        project.document, environment=ONE_GPU, backends_document=project.backends_document
    )
    assert [p.key for p in checked.problems] == ["lora_rank", "data_backend[primary].crop"]
    for problem, document in zip(
        checked.problems, (project.document, project.backends_document), strict=True
    ):
        if problem.edit:
            document.apply(problem.edit)
    assert project.document.get("lora_rank") == 1


def test_without_check_only_the_values_are_looked_at(files):
    files.images.joinpath("a red barn.jpg").unlink()
    files.options |= {"mixed_precision": "bf16", "lora_rank": "x"}
    project = load_project(files.write(), environment=Environment((), frozenset()), check=False)
    assert [problem.key for problem in project.problems] == ["lora_rank"]
