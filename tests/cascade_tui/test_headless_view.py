"""Events as text."""

from __future__ import annotations

import io
import re
from itertools import pairwise

import pytest

from cascade_tui.headless_view import (
    BarView,
    Pace,
    PlainView,
    describe,
    format_bytes,
    format_duration,
)


def lines(events: list[dict[str, object]], seconds_apart: float) -> list[str]:
    """What a plain view prints for events that come so far apart, without the time of day."""
    stream = io.StringIO()
    now = [0.0]
    view = PlainView(stream, interval_seconds=10, clock=lambda: now[0])
    for index, event in enumerate(events):
        now[0] = index * seconds_apart
        view.show({"t": 1000 + index * seconds_apart, **event})
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]


def test_steps_are_shown_every_interval_and_at_the_end():
    steps = [{"kind": "step", "step": step, "loss": 0.5} for step in range(1, 31)]
    shown = lines([{"kind": "start", "max_train_steps": 30}, *steps], 1.0)[1:]
    assert [line.split()[1] for line in shown] == ["1/30", "11/30", "21/30", "30/30"]


def test_a_loss_that_is_not_a_number_is_shown_as_such():
    assert lines([{"kind": "step", "step": 1, "loss": "nan"}], 1) == ["step 1 loss nan"]


def test_the_caches_are_limited_each_by_itself_and_their_completion_is_always_shown():
    def cache(which: str, done: int) -> dict[str, object]:
        return {"kind": "cache", "which": which, "done": done, "total": 3, "per_second": 2140.0}

    events = [cache(which, done) for which in ("text", "latent") for done in (1, 2, 3)]
    assert lines(events, 0.1) == [
        "text cache 1/3 2.14e+03/s",
        "text cache 3/3 2.14e+03/s",
        "latent cache 1/3 2.14e+03/s",
        "latent cache 3/3 2.14e+03/s",
    ]


def picture(step: int, name: str) -> dict[str, object]:
    return {"kind": "image", "step": step, "path": f"validation/step-{step}/{name}.png"}


def test_the_pictures_of_a_step_are_told_together_when_all_are_there():
    validating, training = ({"kind": "phase", "phase": name} for name in ("validating", "training"))
    events = [validating, *(picture(100, name) for name in "abc"), training]
    assert lines(events, 0.1) == [
        "validating",
        "3 pictures of step 100 in validation/step-100",
        "training",
    ]


def test_slow_pictures_are_told_while_they_are_made_and_the_last_by_closing():
    stream = io.StringIO()
    now = [0.0]
    view = PlainView(stream, interval_seconds=10, clock=lambda: now[0])
    view.show({"kind": "phase", "phase": "validating", "t": 0})
    for name in "abc":
        now[0] += 7
        view.show({"t": 0, **picture(5, name)})
    view.close()
    assert [line.split(maxsplit=1)[1] for line in stream.getvalue().splitlines()] == [
        "validating",
        "2 pictures of step 5 in validation/step-5",
        "3 pictures of step 5 in validation/step-5",
    ]


def test_steps_are_told_more_rarely_the_longer_it_goes_on():
    steps = [{"kind": "step", "step": step} for step in range(4 * 3600)]
    told = [int(line.split()[1]) for line in lines(steps, 1.0)]
    pauses = [later - earlier for earlier, later in pairwise(told)]
    assert pauses[0] == 10
    assert pauses[-1] == 60
    assert pauses == sorted(pauses)


def test_a_run_that_is_joined_midway_tells_how_many_steps_there_are_and_the_time_left():
    stream = io.StringIO()
    view = PlainView(stream, interval_seconds=0, max_train_steps=100)
    for step in (50, 51):
        view.show({"kind": "step", "step": step, "t": step})
    assert stream.getvalue().splitlines()[-1].endswith("step 51/100 49 s left")


def test_a_narrow_terminal_gets_the_numbers_without_a_bar(monkeypatch):
    shown = {}
    for columns in (50, 100):
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = io.StringIO()
        view = BarView(stream, max_train_steps=100)
        view.show({"kind": "step", "step": 51, "t": 1, "loss": 0.25, "lr": 1e-4})
        view.show({"kind": "step", "step": 52, "t": 2, "loss": 0.25, "lr": 1e-4})
        view.close()
        shown[columns] = stream.getvalue()
    numbers = "step 52/100 loss 0.25 lr 1.0e-04 48 s left"
    assert shown[50].splitlines()[-1].rstrip() == numbers
    assert shown[100].splitlines()[-1].startswith("training ━")
    assert numbers in shown[100]


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"kind": "phase", "phase": "caching_text"}, "caching text"),
        (
            {"kind": "checkpoint", "path": "checkpoints/step-000000005", "bytes": 1_900_000},
            "checkpoint checkpoints/step-000000005 (1.9 MB)",
        ),
        (
            {
                "kind": "problem",
                "severity": "warning",
                "key": "seed",
                "message": "odd",
                "fix": "set it",
            },
            "warning: seed: odd (set it)",
        ),
        (
            {"kind": "command", "command": "stop", "state": "received"},
            "received the command `stop`",
        ),
        ({"kind": "command", "command": "stop", "state": "done"}, None),
        (
            {"kind": "command", "command": "pause", "state": "ignored", "message": "too late"},
            "the command `pause` was ignored: too late",
        ),
        (
            {"kind": "quarantine", "path": "a.jpg", "reason": "truncated"},
            "left out a.jpg: truncated",
        ),
        ({"kind": "signal", "name": "SIGINT", "target": "12"}, "sent SIGINT to 12"),
        (
            {"kind": "exit", "state": "failed", "step": 3, "code": 1, "reason": "no memory"},
            "failed at step 3, exit code 1: no memory",
        ),
        ({"kind": "of the future"}, None),
    ],
)
def test_each_event_has_its_line(event, line):
    assert describe(event) == line


def test_an_event_of_every_documented_kind_can_be_described_even_if_it_has_no_fields():
    kinds = (
        "start phase image validation checkpoint export command problem quarantine rewind "
        "signal exit"
    )
    for kind in kinds.split():
        describe({"kind": kind})


def test_the_time_left_follows_from_the_last_steps_and_forgets_interruptions():
    pace = Pace()
    pace.note({"kind": "start", "max_train_steps": 100})
    assert pace.seconds_left is None
    for step in range(1, 11):
        pace.note({"kind": "step", "t": step * 0.5, "step": step})
    assert pace.steps_per_second == pytest.approx(2.0)
    assert pace.seconds_left == pytest.approx(45.0)
    pace.note({"kind": "phase", "phase": "training"})
    assert pace.steps_per_second is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59, "59 s"),
        (720, "12 min"),
        (5640, "1 h 34 min"),
        (183_600, "2 d 3 h"),
        (float("inf"), "?"),
    ],
)
def test_durations_read_well(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(512, "512 B"), (1_900_000, "1.9 MB"), (7.2e9, "7.2 GB"), (5e12, "5.0 TB")]
)
def test_sizes_read_well(size, text):
    assert format_bytes(size) == text
