"""What cannot be: one message on stderr, exit code 2, and never a traceback."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from cascade_tui.arguments import Parser, UsageError, number, whole_number
from cascade_tui.cli import main
from tests.cascade_tui.run_fixture import write_run
from tests.cascade_tui.test_cli import CLI, cli, over_run

HUGE = "1" + "0" * 400


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["status", "--jsn"], "there is no option --jsn; did you mean --json?"),
        (["status", "--palette=x"], "there is no option --palette (see"),
        (["status", "a", "b"], "one argument too many: b"),
        (["status", "--interval", "nan"], "expected a number from 0.01 to 86400, not nan"),
        (["status", "--interval", HUGE], f"not {HUGE[:39]}…"),
        (["logs", "run", "-n", "-5"], "expected a whole number, 0 or more, not -5"),
        (["plot", "run", "--width", "1e9"], "expected a whole number from 1 to 10000, not 1e9"),
        (["sample", "run", "--prompt", "x", "--seed", "-1"], "from 0 to 4294967295, not -1"),
        (["plot"], "the following arguments are required: RUN"),
        (["logs", __file__], f"{__file__} is a file, not a run directory"),
        (["status", __file__], f"{__file__} is a file: name a run directory"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(capsys, arguments, told):
    assert main(arguments) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert told in errors
    assert errors.count("\n") == 1


def test_a_number_is_read_within_its_limits_and_nothing_else_is():
    read = number(0, 0.5)
    assert (read("0"), read("5e-1")) == (0.0, 0.5)
    parser = Parser(prog="tool")
    parser.add_argument("--share", type=read)
    parser.add_argument("--count", type=whole_number(1))
    for wrong in (["--share", "0.51"], ["--share", "inf"], ["--count", "1.5"], ["--count", "0"]):
        with pytest.raises(UsageError, match="expected a"):
            parser.parse_strictly(wrong)
    assert parser.parse_strictly(["--count", HUGE]).count == 10**400


@pytest.mark.parametrize(
    "arguments", [["status"], ["logs"], ["plot"], ["plot", "--to", "svg"], ["report", "--to", "-"]]
)
def test_a_full_disk_behind_stdout_is_told(tmp_path, arguments):
    run = write_run(tmp_path / "run", "failed").root
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*CLI, arguments[0], str(run), *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    told = "cascade-tui: cannot write the output: No space left on device\n"
    assert result.stderr == told


def test_a_file_that_may_not_be_read_is_named(tmp_path):
    run = over_run(tmp_path / "run")
    run.console_log.mkdir()  # the tests may run as root, who may read every file
    result = cli("logs", run.root)
    assert result.returncode == 2
    assert result.stderr == f"cascade-tui: {run.console_log}: Is a directory\n"


@pytest.mark.parametrize("command", ["status", "logs", "plot", "doctor"])
def test_closed_streams_are_as_good_as_dev_null(tmp_path, command):
    run = write_run(tmp_path / "run", "failed").root
    words = shlex.join([*CLI, command, *([] if command == "doctor" else [str(run)])])
    for closed in ("<&-", "<&- >&- 2>&-"):
        shell = subprocess.run(["sh", "-c", f"{words} {closed}"], capture_output=True, check=False)
        assert shell.returncode == 0, shell.stderr.decode()
        assert b"Traceback" not in shell.stderr


def test_nothing_is_written_into_a_file_that_took_a_closed_streams_number(tmp_path):
    run = write_run(tmp_path / "run", "failed").root
    target = tmp_path / "curve.svg"
    words = shlex.join([*CLI, "plot", str(run), "--to", str(target)])
    subprocess.run(["sh", "-c", f"{words} >&- 2>&-"], check=True)
    assert target.read_text().startswith("<svg")
    assert target.read_text().endswith("</svg>\n")


def test_export_push_of_a_run_without_a_frozen_config_says_so(tmp_path):
    run = over_run(tmp_path / "run")
    result = cli("export", run.root, "--push")
    assert (result.returncode, result.stdout) == (2, "")
    told = f"cascade-tui: {run.root} has no readable frozen config: config.toml: No such file or"
    assert result.stderr == f"{told} directory\n"


def test_a_run_that_is_over_has_no_seconds_left(tmp_path):
    run = write_run(tmp_path / "run", "failed")
    report = json.loads(cli("status", run.root, "--json").stdout)
    assert (report["state"], report["seconds_left"]) == ("failed", None)
    assert report["images_per_second"] == 3.125


def test_a_run_that_cannot_be_read_does_not_hide_the_others(tmp_path):
    over_run(tmp_path / "good")
    bad = over_run(tmp_path / "bad")
    bad.status.unlink()
    bad.status.mkdir()
    result = cli("status", tmp_path)
    assert result.returncode == 0
    assert result.stdout.startswith(f"{tmp_path / 'good'}: finished")
    assert result.stderr == f"cascade-tui: {bad.status}: Is a directory\n"


def test_a_folder_that_may_not_be_looked_into_does_not_hide_the_others(tmp_path):
    over_run(tmp_path / "good")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o000)
    try:
        if os.access(closed, os.X_OK):
            pytest.skip("root may look anywhere")
        result = cli("status", tmp_path)
    finally:
        closed.chmod(0o700)
    assert result.returncode == 0
    assert result.stdout.startswith(f"{tmp_path / 'good'}: finished")


@pytest.mark.parametrize(
    "arguments", [["attach", "--lines"], ["status", "--watch", "--interval", "0.05"]]
)
def test_a_run_that_is_moved_while_it_is_watched_is_told_as_gone(real_run, arguments):
    real_run.launch()
    real_run.wait_running()
    root = real_run.directory.root
    command = [*CLI, arguments[0], str(root), *arguments[1:]]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stdout is not None
        assert str(root) in watching.stdout.readline()
        moved = root.rename(root.with_name("moved"))
        _, errors = watching.communicate()
    moved.rename(root)
    assert watching.returncode == 1
    assert errors.startswith((f"{root} is not there", f"cascade-tui: {root} is not there"))


def test_logs_of_a_run_that_has_not_written_any_say_so(tmp_path):
    result = cli("logs", write_run(tmp_path / "run", "empty").root)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == f"cascade-tui: {tmp_path / 'run'} has no console.log yet\n"


def test_a_log_that_was_emptied_is_followed_from_its_new_beginning(real_run):
    real_run.launch()
    real_run.wait_running()
    log: Path = real_run.directory.console_log
    with subprocess.Popen(
        [*CLI, "logs", "-f", str(real_run.directory.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout is not None
        assert following.stderr is not None
        while "ready" not in following.stdout.readline():
            pass
        os.truncate(log, 0)
        assert following.stderr.readline() == f"cascade-tui: {log} begins anew\n"
        with log.open("a") as stream:
            stream.write("after the rotation\n")
        assert "after the rotation" in following.stdout.readline()
        assert cli("abort", real_run.directory.root, "--wait").returncode == 0
        rest, errors = following.communicate()
    assert following.returncode == 0
    assert errors == ""
    assert "ready" not in rest
