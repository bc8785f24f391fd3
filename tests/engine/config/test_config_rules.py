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


@pytest.mark.parametrize("gpu", [RTX_4090, RTX_3060], ids=lambda gpu: gpu.name)
@pytest.mark.parametrize(
    "options",
    [
        {"model_type": "full", "checkpoints_total_limit": 1, "train_batch_size": 16},
        {"gradient_checkpointing": False, "train_batch_size": 8},
        {"base_model_precision": "int8-torchao", "gradient_checkpointing": False},
    ],
    ids=str,
)
def test_what_a_card_cannot_hold_is_a_warning_whose_fixes_make_it_fit(files, gpu, options):
    files.environment = Environment((gpu,), EVERYTHING)
    options, told = {"learning_rate": 1e-5, "optimizer": "adamw_bf16", **options}, 0
    while about := [p for p in files.problems(**options) if "training takes" in p.message]:
        [problem] = about
        assert problem.severity == "warning"
        assert f"{gpu.name} has {gpu.total_bytes / 1e9:.0f} GB" in problem.message
        assert problem.edit is not None
        assert problem.edit.key == problem.key
        options[problem.key] = problem.edit.value
        told += 1
        assert told < 10
    assert told


def test_a_base_in_fp32_on_a_small_card_is_a_warning_that_offers_int8(files):
    files.environment = Environment((RTX_3060,), EVERYTHING)
    options = {"gradient_checkpointing": True}
    problem = files.problem("base_model_precision", **options)
    assert problem.severity == "warning"
    assert problem.edit == Edit("base_model_precision", "int8-torchao")
    assert files.problems(base_model_precision="int8-torchao", **options) == ()


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


@pytest.mark.parametrize(
    "key",
    [
        "max_train_steps",
        "num_train_epochs",
        "checkpoint_step_interval",
        "validation_step_interval",
        "checkpoints_total_limit",
    ],
)
def test_a_number_beyond_all_runs_is_an_error_of_its_own(files, key):
    [problem] = [p for p in files.problems(**{key: 10**400}) if p.severity == "error"]
    assert problem.key == key


# -- prompts --------------------------------------------------------------------------------------


def test_prompts_that_would_be_drawn_into_one_file_are_an_error(files):
    library = files.root / "prompts.json"
    library.write_text(json.dumps({"a b": "x", "a/b": "y", "empty": " "}))
    found = files.problems(validation_prompt_library=str(library))
    assert [(p.key, p.severity) for p in found] == [
        ("validation_prompts[a/b]", "error"),
        ("validation_prompts[empty]", "warning"),
    ]
    assert "a_b" in found[0].message
    assert found[0].where.startswith(str(library))


def test_a_single_prompt_whose_name_the_library_takes_is_told(files):
    both = {"validation_prompt": "a cat", "validation_prompts": {"validation": "a dog"}}
    [problem] = files.problems(**both)
    assert (problem.key, problem.severity) == ("validation_prompt", "warning")


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
