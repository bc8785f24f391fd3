"""The event log: whole lines whatever happens to writer, file or reader."""

from __future__ import annotations

import errno
import json
import math
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from engine.run.events import EventReader, EventWriter, as_float, tail_events

WRITER = """
import sys
from pathlib import Path
from engine.run.events import EventWriter
writer = EventWriter(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    writer.emit("step", writer=sys.argv[2], step=number, filling="x" * (number % 700))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def steps(events: list[dict[str, object]]) -> list[object]:
    return [event["step"] for event in events]


def test_an_event_carries_version_time_kind_and_its_fields(path):
    EventWriter(path).emit("image", step=3, path=Path("validation") / "a.png", text="größer")
    [event] = EventReader(path).poll()
    assert event.pop("t") > 1e9
    assert event == {
        "v": 1,
        "kind": "image",
        "step": 3,
        "path": "validation/a.png",
        "text": "größer",
    }


def test_each_event_is_one_line_in_one_append(path):
    writer = EventWriter(path)
    writer.emit("problem", message="two\nlines")
    writer.emit("phase", phase="training")
    lines = path.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["problem", "phase"]


def test_numbers_that_are_not_finite_are_strings_that_any_json_reader_takes(path):
    EventWriter(path).emit("step", loss=math.nan, lr=math.inf, more=[-math.inf, {"x": math.nan}])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    event = json.loads(path.read_text(), parse_constant=refuse)
    assert (event["loss"], event["lr"], event["more"]) == ("nan", "inf", ["-inf", {"x": "nan"}])
    assert math.isnan(as_float(event["loss"]))
    assert as_float(event["lr"]) == math.inf


@pytest.mark.parametrize("value", [None, True, "training", [1], {}])
def test_what_is_no_number_reads_as_none(value):
    assert as_float(value) is None


def test_a_value_that_json_cannot_hold_is_refused_and_leaves_the_file_alone(path):
    writer = EventWriter(path)
    with pytest.raises(TypeError, match="object"):
        writer.emit("step", loss=object())
    assert path.read_bytes() == b""


def test_a_missing_file_has_no_events_until_it_appears(path):
    reader = EventReader(path)
    assert reader.poll() == []
    EventWriter(path).emit("phase", phase="training")
    assert len(reader.poll()) == 1


def test_a_line_that_is_being_written_is_not_seen_before_its_end(path):
    whole = b'{"kind":"step","step":1}\n'
    path.write_bytes(whole[:10])
    reader = EventReader(path)
    assert reader.poll() == []
    with path.open("ab") as file:
        file.write(whole[10:])
    assert steps(reader.poll()) == [1]
    assert reader.skipped == 0


def test_a_torn_last_line_costs_only_itself(path):
    path.write_bytes(b'{"kind":"step","step":1}\n{"kind":"step","st')
    writer = EventWriter(path)
    writer.emit("step", step=2)
    writer.emit("step", step=3)
    reader = EventReader(path)
    assert steps(reader.poll()) == [1, 2, 3]
    assert reader.skipped == 1


@pytest.mark.parametrize(
    "damage", [b"\x00" * 40, b"\xff\xfe", b"[1]", b'{"a":"b', b"null", b'{"a":[1', b"2]}", b"["]
)
def test_a_damaged_line_is_counted_and_skipped(path, damage):
    good = b'{"kind":"step","step":%d}\n'
    path.write_bytes(good % 1 + damage + b"\n" + good % 2)
    reader = EventReader(path)
    assert steps(reader.poll()) == [1, 2]
    assert reader.skipped == 1


def test_two_halves_of_json_on_two_lines_are_not_taken_for_one_event(path):
    path.write_bytes(b'{"a":[1\n2]}\n{"kind":"step","step":1}\n')
    reader = EventReader(path)
    assert steps(reader.poll()) == [1]
    assert reader.skipped == 2


def test_a_truncated_file_is_read_anew(path):
    writer = EventWriter(path)
    for step in range(10):
        writer.emit("step", step=step)
    reader = EventReader(path)
    reader.poll()
    path.write_bytes(b'{"kind":"step","step":77}\n')
    assert steps(reader.poll()) == [77]
    assert reader.resets == 1


def test_a_replaced_file_is_read_anew_even_if_it_is_longer(path, tmp_path):
    EventWriter(path).emit("step", step=1)
    reader = EventReader(path)
    reader.poll()
    other = EventWriter(tmp_path / "other")
    for step in (5, 6, 7):
        other.emit("step", step=step)
    (tmp_path / "other").replace(path)
    assert steps(reader.poll()) == [5, 6, 7]
    assert reader.resets == 1


def test_a_file_rewritten_in_place_is_read_anew(path):
    path.write_bytes(b'{"kind":"start","t":1}\n')
    reader = EventReader(path)
    reader.poll()
    path.write_bytes(b'{"kind":"start","t":2}\n{"kind":"step","step":1}\n')
    assert len(reader.poll()) == 2
    assert reader.resets == 1


def test_an_empty_budget_still_makes_progress_and_says_that_there_is_more(path):
    writer = EventWriter(path)
    for step in range(30_000):
        writer.emit("step", step=step)
    reader = EventReader(path)
    seen = reader.poll(budget_seconds=0)
    assert 0 < len(seen) < 30_000
    assert reader.has_more
    while reader.has_more:
        seen += reader.poll(budget_seconds=0)
    assert steps(seen) == list(range(30_000))


def test_a_line_longer_than_the_readers_block_is_read_whole(path):
    EventWriter(path).emit("problem", message="x" * 2_000_000)
    [event] = EventReader(path).poll(10)
    assert len(event["message"]) == 2_000_000


def test_a_reader_can_begin_at_a_size_seen_before(path):
    writer = EventWriter(path)
    writer.emit("step", step=1)
    size = path.stat().st_size
    writer.emit("step", step=2)
    assert steps(EventReader(path, offset=size).poll()) == [2]


def test_the_tail_holds_the_last_events_only_whole(path):
    writer = EventWriter(path)
    for step in range(1000):
        writer.emit("step", step=step)
    tail = tail_events(path, 1000)
    assert 5 < len(tail) < 30
    assert steps(tail) == list(range(1000 - len(tail), 1000))
    assert len(tail_events(path, 1 << 20)) == 1000
    assert tail_events(path.with_name("missing")) == []


def test_two_writing_processes_and_a_reader_at_once_lose_and_tear_nothing(path):
    count = 5000
    argv = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*argv, name, str(count)]) for name in "ab"]
    reader = EventReader(path)
    seen = []
    while any(writer.poll() is None for writer in writers):
        seen += reader.poll()
    seen += reader.poll(10)
    assert [writer.returncode for writer in writers] == [0, 0]
    for name in "ab":
        assert steps([event for event in seen if event["writer"] == name]) == list(range(count))
    assert reader.skipped == 0


def test_a_disk_that_was_full_for_a_while_costs_one_line(path):
    writer = EventWriter(path)
    writer.emit("step", step=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.raises(OSError, match=f"Errno {errno.EFBIG}"):
            writer.emit("step", step=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    writer.emit("step", step=3)
    reader = EventReader(path)
    assert steps(reader.poll()) == [1, 3]
    assert reader.skipped == 1
