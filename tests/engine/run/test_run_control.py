"""Commands as files: whole, in order, taken once."""

from __future__ import annotations

import json
import subprocess
import sys

from engine.run.control import COMMANDS, Command, consume, pending, send

SENDER = """
import sys
from pathlib import Path
from engine.run.control import send
from engine.run.paths import RunDirectory
for number in range(300):
    send(RunDirectory(Path(sys.argv[1])), "checkpoint", number=number)
"""


def test_a_run_nobody_sent_anything_has_no_commands(run):
    assert pending(run) == []


def test_commands_come_in_the_order_they_were_sent_with_their_arguments(run):
    sent = [send(run, command, number=index) for index, command in enumerate(COMMANDS)]
    waiting = pending(run)
    assert [command.id for command in waiting] == sent
    assert [command.command for command in waiting] == list(COMMANDS)
    assert [command.arguments for command in waiting] == [
        {"number": i} for i in range(len(COMMANDS))
    ]


def test_a_command_is_taken_once(run):
    send(run, "checkpoint")
    [command] = pending(run)
    assert consume(command)
    assert not consume(command)
    assert pending(run) == []


def test_what_is_no_command_of_ours_is_left_alone(run):
    run.control.mkdir()
    contents = {
        "torn.json": '{"command": "st',
        "unknown.json": '{"command": "dance"}',
        "list.json": "[]",
        "odd.json": '{"command": "stop", "arguments": 3}',
        ".hidden.json": '{"command": "stop"}',
        "note.txt": '{"command": "stop"}',
    }
    for name, content in contents.items():
        (run.control / name).write_text(content)
    assert pending(run) == []
    assert {path.name for path in run.control.iterdir()} == set(contents)


def test_a_command_written_by_hand_needs_only_its_name(run):
    run.control.mkdir()
    (run.control / "1.json").write_text(json.dumps({"command": "stop"}))
    assert pending(run) == [Command("1", "stop")]


def test_no_command_is_seen_in_part_or_out_of_order_while_others_send(run):
    sender = subprocess.Popen([sys.executable, "-c", SENDER, str(run.root)])
    taken = []
    while len(taken) < 300:
        assert sender.poll() in (None, 0)
        for command in pending(run):
            assert consume(command)
            taken.append(command.arguments["number"])
    assert taken == list(range(300))
    assert sender.wait() == 0
    assert list(run.control.iterdir()) == []
