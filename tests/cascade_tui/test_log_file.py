"""Logs of any size: walked both ways, tracebacks as one, searched block by block."""

from __future__ import annotations

import os
import re
from pathlib import Path

from cascade_tui.follow.log_file import BLOCK_BYTES, LEVEL_PATTERNS, LogFile

TRACEBACK = (
    "Traceback (most recent call last):\n"
    '  File "trainer.py", line 120, in train\n'
    "    step()\n"
    "torch.OutOfMemoryError: CUDA out of memory\n"
)


def _log(path: Path, content: bytes) -> LogFile:
    path.write_bytes(content)
    log = LogFile(path)
    assert log.poll()
    return log


def _forwards(log: LogFile) -> list[tuple[int, int]]:
    found, position = [], 0
    while position < log.size:
        entry = log.entry(position)
        found.append((entry.start, entry.end))
        position = entry.end
    return found


def _backwards(log: LogFile) -> list[tuple[int, int]]:
    found, position = [], log.size
    while (entry := log.entry_before(position)) is not None:
        found.append((entry.start, entry.end))
        position = entry.start
    return found[::-1]


def test_walking_backwards_meets_the_same_entries_as_forwards(tmp_path: Path):
    long_line = b"x" * (3 * BLOCK_BYTES + 17)
    content = b"one\n\n" + TRACEBACK.encode() + b"two\n" + long_line + b"\nlast, growing"
    log = _log(tmp_path / "log", content)
    assert _forwards(log) == _backwards(log)
    assert log.entry(5).lines == tuple(TRACEBACK.splitlines())


def test_a_progress_bar_is_its_last_state_without_control_characters(tmp_path: Path):
    log = _log(tmp_path / "log", b" 1%|#\r 50%|##\r\x1b[32m100%|####\x1b[0m\x07\n")
    assert log.entry(0).lines == ("100%|####",)


def test_a_log_of_two_gigabytes_is_read_at_its_end_only(tmp_path: Path):
    path = tmp_path / "log"
    with path.open("wb") as file:
        file.truncate(2 << 30)  # sparse: one line of zeros
        file.seek(0, os.SEEK_END)
        file.write(b"\nstep 1\nstep 2\n")
    log = LogFile(path)
    log.poll()
    last = log.entry_before(log.size)
    assert last is not None
    assert last.lines == ("step 2",)
    before = log.entry_before(last.start)
    assert before is not None
    assert before.lines == ("step 1",)


def test_searching_finds_each_line_once_in_both_directions(tmp_path: Path):
    lines = [
        b"step %d %s" % (n, b"needle needle" if n % 50_000 == 7 else b"") for n in range(200_000)
    ]
    log = _log(tmp_path / "log", b"\n".join(lines) + b"\n")
    needle = re.compile(b"needle")
    down = list(log.find(needle, 0, backwards=False))
    up = list(log.find(needle, log.size, backwards=True))
    assert [log.entry(start).lines[0].split()[1] for start in down] == [
        "7", "50007", "100007", "150007",
    ]  # fmt: skip
    assert up == down[::-1]


def test_levels_are_told_from_words_not_from_parts_of_words(tmp_path: Path):
    for text, level in (
        ("ERROR: disk full", "error"),
        ("ValueError: no", "error"),
        ("UserWarning: slow", "warning"),
        ("terror and forewarning", ""),
    ):
        assert _log(tmp_path / "log", text.encode()).entry(0).level == level
    assert LEVEL_PATTERNS["warning"].search(b"ERROR")


def test_a_log_that_is_replaced_is_read_anew(tmp_path: Path):
    log = _log(tmp_path / "log", b"first\nmore\n")
    (tmp_path / "other").write_bytes(b"new\n")
    os.replace(tmp_path / "other", tmp_path / "log")
    assert log.poll()
    assert log.entry(0).lines == ("new",)
    assert not log.poll()
