"""`cascade-tui completions`: what the shells offer, asked of bash itself."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cascade_tui.cli import COMMANDS, main, main_parser
from cascade_tui.completion_scripts import script
from cascade_tui.completions import Value, config_keys, nodes
from cascade_tui.plots.data import METRICS
from engine.config.fields import OPTIONS
from engine.config.live import LIVE_OPTIONS
from tests.pty_terminal import Terminal

TREE = nodes(main_parser(), COMMANDS)
ASK = """
source "$1"
ask() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _cascade_tui 2>/dev/null
    printf '%s\\n' "${COMPREPLY[*]}"
}
complete -p cascade-tui
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with two configs, another file, a run below a folder, and the scripts."""
    root = tmp_path_factory.mktemp("completions")
    for name in ("one.toml", "two.json", "notes.txt", "output/shiba/status.json"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


@pytest.fixture(scope="module")
def answers(folder, tmp_path_factory):
    """What bash offers for each line of words, the last of which is being typed."""
    lines = [
        ["sta"],
        ["status", "--"],
        ["status", ""],
        ["launch", ""],
        ["launch", "o"],
        ["--no-ui", "launch", "--set", "lora_alp"],
        ["launch", "--set", "snr_weighting", "=", ""],
        ["launch", "--set", "snr_weighting", "="],
        ["launch", "--set", "use_ema", "=", "t"],
        ["launch", "--set", "use_ema", "=", "true", "tw"],
        ["completions", ""],
        ["schema", "--of", "="],
        ["logs", "-n", ""],
        ["validate", "one.toml", "tw"],
        ["change", "output/shiba", ""],
    ]
    script = tmp_path_factory.mktemp("script") / "cascade-tui.bash"
    script.write_text(printed("bash"))
    asked = "".join(f"ask cascade-tui {' '.join(map(repr, words))}\n" for words in lines)
    argv = ["bash", "--norc", "-c", ASK + asked, "bash", str(script)]
    result = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
    first, *rest = result.stdout.splitlines()
    assert first == "complete -F _cascade_tui cascade-tui"
    assert result.stderr == ""
    return {
        " ".join(words): re.split(r"[ \n]", line) for words, line in zip(lines, rest, strict=True)
    }


def printed(shell: str) -> str:
    """The script, as the command prints it."""
    import contextlib
    import io

    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        assert main(["completions", shell]) == 0
    return output.getvalue()


def test_bash_completes_commands_and_their_options(answers):
    assert answers["sta"] == ["status"]
    assert {"--json", "--watch", "--interval"} <= set(answers["status --"])
    assert answers["completions "] == ["bash", "zsh", "fish"]
    assert answers["schema --of ="] == ["config", "backends"]
    assert answers["logs -n "] == [""]


def test_bash_completes_configs_and_run_directories(answers):
    assert sorted(answers["launch "]) == ["one.toml", "output", "two.json"]
    assert answers["status "] == ["output/shiba"]
    assert sorted(answers["launch o"]) == ["one.toml", "output"]
    assert answers["validate one.toml tw"] == ["two.json"]


def test_bash_completes_the_keys_and_values_of_set(answers):
    assert answers["--no-ui launch --set lora_alp"] == ["lora_alpha="]
    choices = list(OPTIONS["snr_weighting"].choices)
    assert answers["launch --set snr_weighting = "] == choices
    assert answers["launch --set snr_weighting ="] == choices
    assert answers["launch --set use_ema = t"] == ["true"]
    assert answers["launch --set use_ema = true tw"] == ["two.json"]


TYPED = {
    "statu": "status",
    "status --inter": "status --interval",
    "launch one.t": "launch one.toml",
    "attach out": "attach output/shiba",
    "launch --set lora_alp": "launch --set lora_alpha=",
    "launch --set use_ema=t": "launch --set use_ema=true",
    "--set=lora_alp": "--set=lora_alpha=",
    "--theme=hi": "--theme=high-contrast",
    "plot --metric grad": "plot --metric grad_norm",
    "diff --preset quick": "diff --preset quick-look",
    "change output/shiba checkpoint_": "change output/shiba checkpoint_step_interval=",
}
"""What is typed before the tab key, and what then stands there."""
_AT_PROMPT = r"(?m)^%\s*\Z"


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_at_a_terminal_completes_what_is_typed(shell, folder, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "_cascade-tui").write_text(printed(shell))
    start = "PROMPT='%% '\nfpath=($ZDOTDIR $fpath)\nautoload -Uz compinit\ncompinit -u -D\n"
    (tmp_path / ".zshrc").write_text(start)
    (tmp_path / "bashrc").write_text("PS1='% '\nsource \"$ZDOTDIR/_cascade-tui\"\n")
    options = ["--noprofile", "--rcfile", str(tmp_path / "bashrc"), "-i"] if shell == "bash" else []
    variables = {"ZDOTDIR": str(tmp_path), "TERM": "vt100", "COLORTERM": None}
    with Terminal([shell, *options], (100, 60), variables, folder) as terminal:
        terminal.shows(_AT_PROMPT)
        for typed, completed in TYPED.items():
            terminal.press(f"cascade-tui {typed}\t")
            terminal.shows(f"(?m)^% cascade-tui {re.escape(completed)}[/ ]*$")
            terminal.press("\x15")  # away with it
            terminal.shows(_AT_PROMPT)


def test_fish_completes_what_is_typed(folder, tmp_path):
    if shutil.which("fish") is None:
        pytest.skip("there is no fish here")
    path = tmp_path / "script.fish"
    path.write_text(printed("fish"))
    for typed, completed in TYPED.items():
        asked = f"source {path}; complete -C 'cascade-tui {typed}'"
        argv = ["fish", "-N", "-c", asked]
        result = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
        offered = [line.partition("\t")[0].rstrip("/") for line in result.stdout.splitlines()]
        assert completed.rpartition(" ")[2] in offered, (typed, offered)
        assert len(offered) == len(set(offered)), (typed, offered)


def test_only_what_can_be_changed_is_offered_to_change(folder, answers):
    assert answers["change output/shiba "] == [f"{key}=" for key in LIVE_OPTIONS]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_option_and_key_is_in_the_script(shell):
    script = printed(shell)
    keys = config_keys()
    assert set(keys) == set(OPTIONS)
    for node in TREE:
        for flag in node.flags:
            for name in flag.names:
                if shell == "fish":
                    at = f"__cascade_tui_at \\'{node.path}\\'"
                    spelt = f" -l {name[2:]} " if name.startswith("--") else f" -s {name[1:]} "
                    lines = [line for line in script.splitlines() if at in line]
                    assert any(spelt in line for line in lines), (node.path, name)
                else:
                    [line] = re.findall(rf"^    '{node.path}'\) echo '(-.*)' ;;$", script, re.M)
                    assert name in line.split()
    for word in [*COMMANDS, *keys]:
        assert word in script


def test_fish_offers_configs_and_folders_and_no_other_file():
    [pattern] = re.findall(r"string match -r '(\^.*)'", printed("fish"))
    offered = ["one.toml", "two.json\ta config", "out/", "out/x/\tDirectory", "notes.txt", "a\t/"]
    assert [line for line in offered if re.search(pattern, line)] == offered[:4]


def test_the_tree_knows_what_each_argument_is():
    by_path = {node.path: node for node in TREE}
    assert set(by_path) >= {"", *COMMANDS}
    assert by_path["status"].positionals == (Value("runs"),)
    assert by_path["launch"].positionals == (Value("configs"),)
    [of] = [flag for flag in by_path["schema"].flags if "--of" in flag.names]
    assert of.value == Value("words", ("config", "backends"))


def test_commands_within_a_command_are_completed_with_what_is_theirs():
    main_parser = argparse.ArgumentParser(prog="tool")
    inner = main_parser.add_subparsers(dest="what").add_parser("fetch", help="get it")
    inner.add_argument("--force", action="store_true")
    inner.add_argument("--from", choices=("hub", "disk"))
    root, fetch = nodes(main_parser, {})
    assert root.children == (("fetch", "get it"),)
    assert fetch.path == "fetch"
    assert set(fetch.flag_names) == {"-h", "--help", "--force", "--from"}
    assert script("bash", [root, fetch], {}).count("'fetch --from') echo 'words hub disk'") == 1


def test_every_metric_that_can_be_drawn_can_be_asked_for():
    [plot] = [node for node in TREE if node.path == "plot"]
    [metric] = [flag for flag in plot.flags if "--metric" in flag.names]
    assert metric.value == Value("words", tuple(METRICS))


@pytest.mark.parametrize(
    ("shell", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")]
)
def test_shells_that_are_here_take_the_script(shell, check, tmp_path):
    script = tmp_path / "script"
    script.write_text(printed(shell))
    program = shutil.which(shell)
    if program is None:
        # Not here to ask: at least every quote and block is closed.
        text = re.sub(r"\\.|#.*", "", script.read_text())
        assert text.count("'") % 2 == 0
        if shell == "fish":
            blocks = re.findall(r"^\s*(function|for|if|begin)\b", text, re.M)
            assert len(blocks) == len(re.findall(r"^\s*end\b", text, re.M))
        return
    subprocess.run([program, check, str(script)], check=True)
