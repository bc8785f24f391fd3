"""Events as text."""

from __future__ import annotations

import io
import re

import pytest

from cascade_tui.headless_view import Pace, PlainView, describe, format_bytes, format_duration


def lines(events: list[dict[str, object]], seconds_apart: float) -> list[str]:
    """What a plain view prints for events that come so far apart, without the time of day."""
    stream = io.StringIO()
    moments = iter(index * seconds_apart for index in range(10_000))
    view = PlainView(stream, interval_seconds=10, clock=lambda: next(moments))
    for index, event in enumerate(events):
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


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ({"kind": "phase", "phase": "caching_text"}, "caching text"),
        (
            {"kind": "checkpoint", "path": "checkpoints/step-000000005", "bytes": 1_900_000},
            "checkpoint checkpoints/step-000000005 (1.9 MB)",
        ),
        ({"kind": "image", "path": "validation/a.png"}, "image validation/a.png"),
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
