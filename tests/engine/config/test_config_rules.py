"""What the options must satisfy together: each rule speaks where it should, and only there."""

from __future__ import annotations

import json

import pytest
from config_project import EVERYTHING, H100

from engine.config.environment import Environment, Gpu
from engine.config.problems import Edit

RTX_4090 = Gpu("NVIDIA GeForce RTX 4090", 25_757_220_864, 25_000_000_000)
RTX_3060 = Gpu("NVIDIA GeForce RTX 3060", 12_884_901_888, 12_000_000_000)


def test_a_good_project_has_no_problem_at_all(files):
    project = files.load()
    assert project.problems == ()
    assert project.is_valid


# -- precision ------------------------------------------------------------------------------------


def test_mixed_precision_other_than_no_is_an_error_in_the_quickstart_s_words(files):
    problem = files.problem("mixed_precision", mixed_precision="bf16")
    assert problem.severity == "error"
    assert problem.message == "Stable Cascade Stage C requires --mixed_precision=no"
    assert problem.edit == Edit("mixed_precision", "no")


def test_bf16_of_someone_who_knows_is_a_warning_about_nans(files):
    problem = files.problem("mixed_precision", mixed_precision="bf16", i_know_what_i_am_doing=True)
    assert problem.severity == "warning"
    assert "NaN" in problem.message


@pytest.mark.parametrize("knows", [True, False])
def test_fp16_is_always_an_error_for_it_overflows(files, knows):
    problem = files.problem("mixed_precision", mixed_precision="fp16", i_know_what_i_am_doing=knows)
    assert problem.severity == "error"
    assert "overflows" in problem.message


def test_a_quantized_base_cannot_be_trained_in_full(files):
    problem = files.problem(
        "base_model_precision",
        model_type="full",
        base_model_precision="int8-torchao",
        checkpoints_total_limit=1,
        model_flavour="stage-c-tiny",
    )
    assert problem.severity == "error"


# -- sizes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "nearest"),
    [("1000x999", "1024x1024"), ("1024x1000", "1024x1024"), ("900x1100", "896x1152")],
)
def test_a_validation_resolution_off_the_grid_is_an_error_with_the_nearest_on_it(
    files, given, nearest
):
    problem = files.problem("validation_resolution", validation_resolution=given)
    assert problem.severity == "error"
    assert problem.edit == Edit("validation_resolution", nearest)


@pytest.mark.parametrize("size", ["384x512", "2048x1024"])
def test_a_size_outside_the_trained_range_is_a_warning(files, size):
    problem = files.problem("validation_resolution", validation_resolution=size)
    assert problem.severity == "warning"
    assert "512 to 1536" in problem.message


def test_a_size_beyond_two_to_one_is_a_warning(files):
    problem = files.problem("validation_resolution", validation_resolution="1536x640")
    assert problem.severity == "warning"
    assert "2:1" in problem.message


def test_the_tiny_model_may_draw_small_pictures(files):
    files.image_backend["resolution"] = 256
    assert files.problems(model_flavour="stage-c-tiny", validation_resolution=256) == ()


# -- decoder, weights -----------------------------------------------------------------------------


def test_a_decoder_that_does_not_exist_is_an_error_with_the_nearest_that_does(files):
    problem = files.problem(
        "stable_cascade_decoder_subfolder",
        stable_cascade_use_decoder_for_validation=True,
        stable_cascade_decoder_model_name_or_path="stabilityai/stable-cascade",
        stable_cascade_decoder_subfolder="decoder_light",
    )
    assert problem.severity == "error"
    assert "decoder and decoder_lite" in problem.message
    assert problem.edit == Edit("stable_cascade_decoder_subfolder", "decoder_lite")


# -- the course of a run --------------------------------------------------------------------------


def test_a_run_without_a_length_is_an_error(files):
    assert files.problem("max_train_steps", max_train_steps=None).severity == "error"


def test_a_length_in_epochs_is_enough(files):
    assert files.problems(max_train_steps=None, num_train_epochs=3) == ()


@pytest.mark.parametrize(
    ("key", "severity", "options"),
    [
        ("num_train_epochs", "warning", {"num_train_epochs": 2}),
        ("lr_warmup_steps", "error", {"lr_warmup_steps": 100}),
        ("lr_warmup_steps", "warning", {"lr_warmup_steps": 5, "lr_scheduler": "constant"}),
        ("lr_end", "warning", {"lr_end": 1e-6, "lr_scheduler": "constant_with_warmup"}),
        ("lr_end", "error", {"lr_end": 1e-3}),
        ("learning_rate", "warning", {"learning_rate": 0.1}),
        ("resume_from_checkpoint", "error", {"resume_from_checkpoint": "newest"}),
        ("resume_from_checkpoint", "error", {"resume_from_checkpoint": "-5"}),
        ("lora_alpha", "hint", {"lora_alpha": 1}),
        ("ema_update_interval", "warning", {"use_ema": True, "ema_update_interval": 500}),
        ("hub_model_id", "hint", {"hub_model_id": "me/it"}),
        ("hub_model_id", "error", {"hub_model_id": "me/my/it"}),
        ("hub_private", "hint", {"hub_private": False}),
        ("report_to", "error", {"report_to": ["none", "wandb"]}),
        ("validation_prompt", "hint", {"validation_prompt": None}),
        ("num_processes", "error", {"num_processes": 2}),
        ("init_lora", "error", {"init_lora": "/not/there"}),
    ],
)
def test_options_that_do_not_go_together_are_told(files, key, severity, options):
    problem = files.problem(key, **options)
    assert problem.severity == severity
    if problem.edit is not None:
        files.options.pop(key)
        if problem.edit.value is not None:
            files.options[problem.edit.key] = problem.edit.value
        assert files.load().is_valid


@pytest.mark.parametrize(
    ("key", "environment", "name"),
    [
        ("hub_model_id", {"has_hub_token": True}, None),
        ("push_to_hub", {}, "me/it"),
        ("push_to_hub", {"has_hub_token": True, "is_offline": True}, "me/it"),
    ],
)
def test_pushing_needs_a_name_a_token_and_leave_to_connect(files, key, environment, name):
    files.environment = Environment((H100,), EVERYTHING, **environment)
    assert files.problem(key, push_to_hub=True, hub_model_id=name).severity == "error"
    files.environment = Environment((H100,), EVERYTHING, has_hub_token=True)
    assert files.problems(hub_model_id="me/it") == ()


# -- this machine ---------------------------------------------------------------------------------


def test_a_full_fine_tune_without_48_gb_is_a_warning(files):
    files.environment = Environment((RTX_4090,), EVERYTHING)
    found = files.problems(model_type="full", learning_rate=1e-5, checkpoints_total_limit=1)
    [problem] = [problem for problem in found if problem.key == "model_type"]
    assert problem.severity == "warning"
    assert "48 GB" in problem.message
    assert "26 GB" in problem.message


def test_a_base_in_fp32_on_a_small_card_is_a_warning_that_offers_int8(files):
    files.environment = Environment((RTX_3060,), EVERYTHING)
    problem = files.problem("base_model_precision")
    assert problem.severity == "warning"
    assert problem.edit == Edit("base_model_precision", "int8-torchao")
    assert files.problems(base_model_precision="int8-torchao") == ()


@pytest.mark.parametrize(
    ("package", "options", "key", "fix"),
    [
        ("torchvision", {}, "", "pip install torchvision"),
        (
            "torchao",
            {"base_model_precision": "int8-torchao"},
            "base_model_precision",
            "pip install 'cascade-tui[quantization]'",
        ),
        (
            "bitsandbytes",
            {"base_model_precision": "nf4-bnb"},
            "base_model_precision",
            "pip install 'cascade-tui[quantization]'",
        ),
        ("wandb", {"report_to": "wandb"}, "report_to", "pip install 'cascade-tui[wandb]'"),
        (
            "tensorboard",
            {"report_to": ["tensorboard"]},
            "report_to",
            "pip install 'cascade-tui[tensorboard]'",
        ),
    ],
)
def test_a_package_that_is_missing_is_an_error_only_if_it_is_needed(
    files, package, options, key, fix
):
    files.environment = Environment((), EVERYTHING - {package})
    if key:
        assert files.problems() == ()
    problem = files.problem(key, **options)
    assert problem.severity == "error"
    assert package in problem.message
    assert problem.fix == fix


def test_a_broken_torchvision_is_an_error_that_says_why(files):
    files.environment = Environment((), EVERYTHING, {"torchvision": "made for torch 2.1"})
    assert "made for torch 2.1" in files.problem("").message


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_an_accelerate_file_that_shards_is_not_supported_yet(files, kind):
    path = files.root / "accelerate.yaml"
    path.write_text(f"compute_environment: LOCAL_MACHINE\ndistributed_type: {kind}\n")
    problem = files.problem("accelerate_config_file", accelerate_config_file=str(path))
    assert "not supported yet" in problem.message


def test_the_default_accelerate_file_counts_too(files):
    default = files.root / "hf" / "accelerate" / "default_config.yaml"
    default.parent.mkdir(parents=True)
    default.write_text("distributed_type: FSDP\n")
    assert str(default) in files.problem("accelerate_config_file").message
    default.write_text("distributed_type: MULTI_GPU\n")
    assert files.problems() == ()


def test_a_full_disk_is_told_before_the_run(files):
    found = files.problems(
        model_type="full", learning_rate=1e-5, max_train_steps=10**9, checkpoint_step_interval=1
    )
    assert any("checkpoint" in problem.message and " GB " in problem.message for problem in found)


# -- folders --------------------------------------------------------------------------------------


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


# -- backends -------------------------------------------------------------------------------------


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


# -- prompts --------------------------------------------------------------------------------------


def test_prompts_that_would_be_drawn_into_one_file_are_an_error(files):
    library = files.root / "prompts.json"
    library.write_text(json.dumps({"a b": "x", "a/b": "y", "empty": " "}))
    found = files.problems(validation_prompt_library=str(library))
    assert [(p.key, p.severity) for p in found] == [
        ("validation_prompt_library", "error"),
        ("validation_prompt_library", "warning"),
    ]
    assert "a_b" in found[0].message


# -- all at once ----------------------------------------------------------------------------------


def test_everything_that_is_wrong_comes_at_once_and_no_field_is_told_twice(files):
    files.image_backend |= {"crop": "maybe", "instance_data_dir": str(files.root / "nowhere")}
    files.text_backend["wrte_batch"] = 3
    problems = files.problems(
        lora_rank="x",
        lerning_rate=1,
        mixed_precision="bf16",
        validation_resolution="1000x999",
        output_dir=str(files.images / "a red barn.jpg" / "x"),
        pretrained_model_name_or_path=str(files.root / "absent"),
        optimizer="soap",
        max_train_steps=None,
    )
    keys = [problem.key for problem in problems]
    assert sorted(keys) == sorted(
        [
            "lora_rank",
            "lerning_rate",
            "mixed_precision",
            "validation_resolution",
            "output_dir",
            "pretrained_model_name_or_path",
            "optimizer",
            "max_train_steps",
            "data_backend[primary].crop",
            "data_backend[primary].instance_data_dir",
            "data_backend[text].wrte_batch",
        ]
    )


def test_a_rule_keeps_silent_about_a_field_that_is_itself_in_error(files):
    assert files.problem("max_train_steps", max_train_steps="many").message.startswith(
        "is the text"
    )
