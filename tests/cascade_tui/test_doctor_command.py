"""`cascade-tui doctor`: each fault has its level and its fix, and only errors end with 2."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from cascade_tui.cli import main
from cascade_tui.doctor.calling import ask_tmux, check_notify, check_tmux
from cascade_tui.doctor.findings import Finding
from cascade_tui.doctor.gpus import Card, Driver, check_gpus
from cascade_tui.doctor.machine import (
    check_accelerate,
    check_disk,
    check_hub,
    check_locale,
    check_memory,
    check_open_files,
    check_shared_memory,
    check_terminal,
    memory_limit,
)
from cascade_tui.doctor.software import (
    check_packages,
    check_python,
    requirements,
    torch_cuda,
)
from tests.cascade_tui.test_cli import CLI
from tests.pty_terminal import Terminal

GIB = 1 << 30
H100 = Card("NVIDIA H100", 80 * GIB, 79 * GIB, (9, 0), 0)


def found(findings) -> list[tuple[str, str]]:
    """The checks with their levels; every fault has a fix."""
    findings = list(findings)
    assert all(isinstance(item, Finding) and item.message for item in findings)
    assert all(item.fix for item in findings if item.level != "ok")
    return [(item.check, item.level) for item in findings]


def test_an_old_python_is_an_error():
    assert found(check_python((3, 10, 2))) == [("python", "error")]
    assert found(check_python((3, 13, 0))) == [("python", "ok")]


def test_packages_are_wanted_as_the_metadata_declares_them():
    needed = requirements(
        ["torch>=2.8", "Pillow>=11", "ruff>=0.9; extra == 'dev'", 'wandb>=0.19; extra == "wandb"']
    )
    assert [(item.name, item.least, item.extra) for item in needed] == [
        ("torch", "2.8", ""),
        ("Pillow", "11", ""),
        ("wandb", "0.19", "wandb"),
    ]
    good = {"torch": "2.10.1+cu130", "pillow": "11.0"}
    assert found(check_packages(needed, good, {})) == [("extra wandb", "ok"), ("packages", "ok")]
    old = {"torch": "2.7", "wandb": "0.18"}
    assert found(check_packages(needed, old, {"torchvision": "made for torch 2.6"})) == [
        ("packages", "error"),
        ("packages", "error"),
        ("extra wandb", "warning"),
        ("packages", "error"),
    ]


def test_the_cuda_of_torch_is_read_without_importing_it():
    before = "torch" in sys.modules
    assert torch_cuda() is not None
    assert ("torch" in sys.modules) is before


@pytest.mark.parametrize(
    ("driver", "cuda", "variables", "expected"),
    [
        (Driver("580", (13, 0), (H100,)), "13.0", {}, ["ok", "ok", "ok"]),
        (Driver("550", (12, 4), (H100,)), "13.0", {}, ["ok", "error", "ok"]),
        (Driver("580", (13, 0), (H100,)), "", {}, ["ok", "error", "ok"]),
        (Driver("580", (13, 0), (H100,)), None, {}, ["ok", "ok"]),
        (Driver("580", (13, 0)), "13.0", {}, ["ok", "ok", "warning"]),
        (Driver(trouble="NVML not found"), "13.0", {}, ["warning"]),
        (Driver(has_hung=True), "13.0", {}, ["error"]),
        (
            Driver("580", (13, 0), (H100, H100)),
            "12.8",
            {"CUDA_VISIBLE_DEVICES": "1"},
            ["ok", "ok", "ok", "ok", "warning"],
        ),
        (
            Driver("580", (13, 0), (Card("V100", 32 * GIB, 32 * GIB, (7, 0), 0),)),
            "12.8",
            {},
            ["ok", "ok", "warning"],
        ),
        (
            Driver("580", (13, 0), (Card("H100", 80 * GIB, 20 * GIB, (9, 0), 2),)),
            "13.0",
            {"CUDA_VISIBLE_DEVICES": ""},
            ["ok", "ok", "warning", "warning"],
        ),
    ],
)
def test_driver_and_gpus_are_judged_by_what_they_can_do(
    driver, cuda, variables, expected, monkeypatch, tmp_path
):
    monkeypatch.setattr("cascade_tui.doctor.gpus._DRIVER_FILE", tmp_path / "absent")
    assert [level for _, level in found(check_gpus(driver, cuda, variables))] == expected


def test_a_driver_that_is_loaded_and_does_not_answer_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "version").write_text("NVRM")
    monkeypatch.setattr("cascade_tui.doctor.gpus._DRIVER_FILE", tmp_path / "version")
    [finding] = check_gpus(Driver(trouble="Driver/library version mismatch"), "13.0", {})
    assert finding.level == "error"
    assert "mismatch" in finding.message


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert found(check_disk("disk", tmp_path / "file" / "run")) == [("disk", "error")]
    [finding] = check_disk("disk", tmp_path / "not" / "yet" / "there")
    assert "GB free" in finding.message


def test_little_memory_and_few_open_files_are_warnings(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 1 kB\nMemAvailable:    4000000 kB\n")
    assert found(check_memory(meminfo)) == [("memory", "warning")]
    assert found(check_memory(tmp_path / "absent")) == []
    assert found(check_open_files(256)) == [("open files", "warning")]
    assert found(check_open_files(65536)) == [("open files", "ok")]
    assert [check for check, _ in found(check_shared_memory(tmp_path))] == ["shared memory"]
    assert found(check_shared_memory(tmp_path / "absent")) == []


def test_a_locale_without_utf_8_is_a_warning():
    assert found(check_locale("utf-8", {"LANG": "C.UTF-8"})) == [("locale", "ok")]
    assert found(check_locale("latin-1", {"LC_ALL": "en_US.ISO-8859-1"})) == [("locale", "warning")]


@pytest.mark.parametrize(
    ("variables", "size", "expected"),
    [
        ({"TERM": "xterm-256color", "COLORTERM": "truecolor"}, (120, 40), ["ok"]),
        ({"TERM": "dumb"}, (120, 40), ["warning"]),
        ({}, (120, 40), ["warning"]),
        ({"TERM": "linux"}, (120, 40), ["warning"]),
        ({"TERM": "xterm"}, (60, 20), ["warning"]),
        ({"TERM": "tmux-256color", "TMUX": "/run/tmux"}, (80, 24), ["ok"]),
        ({"TERM": "xterm-256color", "TMUX": "/run/tmux"}, (80, 24), ["ok", "warning"]),
        ({"TERM": "xterm", "NO_COLOR": "1"}, (80, 24), ["ok", "ok"]),
    ],
)
def test_the_terminal_is_judged_by_what_it_says_of_itself(variables, size, expected):
    findings = check_terminal(is_terminal=True, size=size, variables=variables)
    assert [level for _, level in found(findings)] == expected


def test_a_way_to_notify_that_cannot_work_is_told_with_what_makes_it_work():
    def judged(variables, passthrough=""):
        return found(check_notify(variables, lambda _option: passthrough))

    desktop = {"CASCADE_TUI_NOTIFY": "desktop"}
    assert judged({}) == [("notify", "ok")]
    assert judged({"CASCADE_TUI_NOTIFY": "mail"}) == [("notify", "warning")]
    assert judged(desktop) == [("notify", "ok")]
    assert judged(desktop | {"TMUX": "x"}, "off") == [("notify", "warning")]
    assert judged(desktop | {"TMUX": "x"}, "on") == [("notify", "ok")]


def test_tmux_that_holds_back_the_escape_key_is_told():
    inside = {"TMUX": "x"}
    assert found(check_tmux(inside, lambda _option: "500")) == [("tmux", "warning")]
    assert found(check_tmux(inside, lambda _option: "10")) == []
    assert found(check_tmux({}, lambda _option: "500")) == []


def test_tmux_itself_is_asked(monkeypatch, tmp_path):
    if shutil.which("tmux") is None:
        pytest.skip("there is no tmux here")
    socket = str(tmp_path / "socket")
    tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
    subprocess.run([*tmux, "new-session", "-d", "sleep", "600"], check=True)
    try:
        subprocess.run([*tmux, "set", "-s", "escape-time", "321"], check=True)
        subprocess.run([*tmux, "set", "-g", "allow-passthrough", "on"], check=True)
        monkeypatch.setenv("TMUX", f"{socket},1,0")
        assert (ask_tmux("escape-time"), ask_tmux("allow-passthrough")) == ("321", "on")
    finally:
        subprocess.run([*tmux, "kill-server"], check=False)
    assert ask_tmux("escape-time") == ""


def test_the_memory_that_a_job_is_left_counts_if_it_is_less(tmp_path):
    group = tmp_path / "slurm" / "job"
    group.mkdir(parents=True)
    (tmp_path / "cgroup").write_text("0::/slurm/job\n")
    (tmp_path / "meminfo").write_text("MemAvailable:   64000000 kB\n")
    limited = partial(memory_limit, tmp_path / "cgroup", tmp_path)
    assert limited() is None
    (group / "memory.max").write_text("max\n")
    (group / "memory.current").write_text("1000000000\n")
    assert limited() is None
    (group.parent / "memory.max").write_text("5000000000\n")
    (group.parent / "memory.current").write_text("3000000000\n")
    cached = "anon 1\nactive_file 500000000\ninactive_file 1500000000\n"
    (group.parent / "memory.stat").write_text(cached)
    assert limited() == 4_000_000_000
    [finding] = check_memory(tmp_path / "meminfo", limited())
    assert (finding.level, finding.message) == (
        "warning",
        "4.0 GB of memory left to this job or container",
    )
    assert found(check_memory(tmp_path / "meminfo", None)) == [("memory", "ok")]


def test_in_a_terminal_lines_are_broken_between_words_and_indented():
    with Terminal([*CLI, "doctor"], (60, 60), {"CASCADE_TUI_NOTIFY": "mail"}) as terminal:
        text = terminal.shows(r"(?m)^(\d+ (error|warning)|nothing is wrong)")
    told = (
        "warning  notify: CASCADE_TUI_NOTIFY=mail: expected off,\n         bell, desktop: the app"
    )
    assert told in re.sub(r" +$", "", text, flags=re.MULTILINE)


def test_the_token_is_said_to_be_there_and_never_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    home = {"HF_HOME": str(tmp_path)}
    [finding] = check_hub(home)
    assert "without a token" in finding.message
    (tmp_path / "token").write_text("hf_from_file")
    for variables in (home, {"HF_TOKEN": "hf_secret"}):
        [finding] = check_hub(variables)
        assert "with a token" in finding.message
        assert "hf_secret" not in finding.message
        assert "hf_from_file" not in finding.message
    assert found(check_hub({"HF_HUB_OFFLINE": "1"})) == [("hub", "warning")]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "ok"),
        ("distributed_type: NO\nmixed_precision: 'no'\n", "ok"),
        ("distributed_type: NO\nmixed_precision: bf16\n", "warning"),
        ("distributed_type: MEGATRON_LM\nmixed_precision: 'no'\n", "error"),
    ],
)
def test_the_file_of_accelerate_config_is_looked_into(content, expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    if content is not None:
        (tmp_path / "accelerate").mkdir()
        (tmp_path / "accelerate" / "default_config.yaml").write_text(content)
    assert found(check_accelerate()) == [("accelerate", expected)]


def test_with_a_config_its_problems_decide_the_exit_code(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    Path("config.toml").write_text("lora_rank = 8\n")
    assert main(["doctor", "--json", "config.toml", "--set", "seed=7"]) == 2
    content = json.loads(capsys.readouterr().out)
    assert content["ok"] is False
    of_config = [item for item in content["findings"] if item["check"] == "config"]
    assert any("cascade-tui models config.toml --fetch" in item["fix"] for item in of_config)
    assert main(["doctor", "config.toml"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert any(
        line.startswith("error    config: pretrained_model_name_or_path: ") for line in lines
    )
    assert " error" in lines[-1]


def test_it_imports_neither_torch_nor_textual(capsys):
    before = set(sys.modules)
    main(["doctor"])
    assert capsys.readouterr().out.startswith("ok       python: ")
    assert not {"torch", "textual", "torchvision"} & (set(sys.modules) - before)
