"""`cascade-tui validate` as a real process: what it prints, and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "config" / "stable_cascade" / "config.json"


def validate(*arguments: object, cwd: Path = ROOT, hub: Path | None = None):
    """Run the command without a terminal, with an empty hub cache."""
    argv = [sys.executable, "-m", "cascade_tui", "validate", *map(str, arguments)]
    variables = {"HF_HOME": str(hub or cwd / "no-hub"), "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def config(tmp_path):
    """A config with three faults in known lines."""
    path = tmp_path / "config.json"
    path.write_text('{\n  "lora_rnk": 8,\n  "mixed_precision": "bf16",\n  "use_ema": "true"\n}\n')
    return path


def test_the_quickstart_as_it_is_lacks_its_weights_and_data_and_nothing_else():
    result = validate("--json", QUICKSTART)
    assert result.returncode == 2
    [file] = json.loads(result.stdout)["files"]
    told = [(p["severity"], p["key"]) for p in file["problems"] if p["severity"] != "hint"]
    assert told == [
        ("error", "pretrained_model_name_or_path"),
        ("error", "pretrained_vae_model_name_or_path"),
        ("error", "data_backend[primary].instance_data_dir"),
    ]


def test_each_problem_is_printed_with_severity_key_line_and_fix_and_a_verdict_last(config):
    result = validate(config)
    assert (result.returncode, result.stderr) == (2, "")
    assert f"error: lora_rnk: unknown option lora_rnk  ({config}:2)" in result.stdout
    assert "fix: did you mean lora_rank?" in result.stdout
    assert "Stable Cascade Stage C requires --mixed_precision=no" in result.stdout
    assert f"({config}:3)" in result.stdout
    assert f"({config}:4)" in result.stdout
    verdict = result.stdout.splitlines()[-1]
    assert verdict.startswith(f"{config}: ")
    assert "errors" in verdict
    assert verdict.endswith("not ready")


def test_json_is_one_object_with_the_same_problems_and_their_edits(config):
    result = validate("--json", config)
    assert result.returncode == 2
    content = json.loads(result.stdout)
    assert content["valid"] is False
    problems = {problem["key"]: problem for problem in content["files"][0]["problems"]}
    assert problems["use_ema"]["edit"] == {"key": "use_ema", "value": True}
    assert problems["lora_rnk"]["edit"] == {"key": "lora_rank", "value": 8, "renames": "lora_rnk"}
    assert problems["mixed_precision"]["where"] == f"{config}:3"


def test_a_good_config_is_ready_and_exits_with_0(tmp_path):
    sys.path.insert(0, str(ROOT / "tests" / "engine" / "config"))
    try:
        from config_project import ProjectFiles
    finally:
        sys.path.pop(0)
    path = ProjectFiles(tmp_path).write()
    result = validate(path, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    *forecast, verdict = result.stdout.splitlines()
    assert verdict == f"{path}: no problems; ready to launch"
    assert [line.partition(":")[0] for line in forecast] == ["GPU memory", "training", "caches"]
    [file] = json.loads(validate(path, "--json", cwd=tmp_path).stdout)["files"]
    assert file["forecast"]["num_steps"] == 100
    assert file["forecast"]["card_bytes"] > 1e9
    assert file["forecast"]["train_seconds"] is None
    result = validate(path, "--set", "lora_rank=0", "--set", "validation_prompt=7", cwd=tmp_path)
    assert result.returncode == 2
    assert "error: lora_rank: is 0" in result.stdout
    assert "1 error; not ready" in result.stdout


def test_several_files_are_told_one_after_the_other(config, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("seed =\n")
    result = validate(config, broken)
    assert result.returncode == 2
    lines = result.stdout.splitlines()
    assert f"{broken}:1:7" in result.stdout
    assert [line for line in lines if line.startswith(str(tmp_path))][-1].startswith(str(broken))
    assert lines[-1] == "0 of 2 configs are ready to launch"


def test_a_config_that_is_not_there_is_a_problem_and_none_at_all_is_wrong_usage(tmp_path):
    result = validate(tmp_path / "absent.json")
    assert result.returncode == 2
    assert "No such file" in result.stdout
    result = validate()
    assert result.returncode == 2
    assert "no config is given" in result.stderr


def test_the_quickstart_s_own_options_are_understood(config, tmp_path):
    result = validate("--config_file", config, "--data_backend_config", "not-there.json")
    assert result.returncode == 2
    assert "not-there.json does not exist" in result.stdout


def test_it_imports_neither_torch_nor_textual(config):
    script = (
        "import sys\nfrom cascade_tui.cli import main\nmain(['validate', sys.argv[1]])\n"
        "heavy = {'torch', 'torchvision', 'textual', 'rich', 'numpy', 'PIL', 'transformers',\n"
        "         'diffusers', 'wandb', 'tomlkit'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    argv = [sys.executable, "-c", script, str(config)]
    result = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def test_missing_weights_are_told_in_short_with_every_name_below(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seed = 1\n")
    lines = validate(path, hub=tmp_path / "hub").stdout.splitlines()
    repository = "stabilityai/stable-cascade-prior"
    message = f"✖ error: pretrained_model_name_or_path: 8 files, 8.57 GB, of {repository} are not"
    [at] = [i for i, line in enumerate(lines) if line.startswith(message)]
    assert lines[at + 1].startswith(f"    fix: cascade-tui models {path} --fetch")
    assert lines[at + 2] == "      prior/config.json"
    assert lines[at + 3] == "      prior/diffusion_pytorch_model.bf16.safetensors (7.18 GB)"
    [file] = json.loads(validate("--json", path, hub=tmp_path / "hub").stdout)["files"]
    details = {problem["key"]: problem["details"] for problem in file["problems"]}
    assert details["pretrained_model_name_or_path"][0] == "prior/config.json"
    assert details["max_train_steps"] == []
