"""The stop ladder as a function of time."""

from __future__ import annotations

import signal

from engine.run.ladder import Grace, StopLadder

GRACE = Grace(command_seconds=30, interrupt_seconds=60, terminate_seconds=15)


def climb(ladder: StopLadder, until: float, *, start: float = 0, is_saving: bool = False):
    """(second, signal) of everything due between `start` and `until`, looking every half second."""
    moments = [start + half / 2 for half in range(round(2 * (until - start)) + 1)]
    due = [(now, ladder.climb(now, is_saving=is_saving)) for now in moments]
    return [(now, number.name) for now, number in due if number is not None]


def test_nothing_is_due_before_anyone_asks():
    ladder = StopLadder(GRACE)
    assert climb(ladder, 1000) == []
    assert not ladder.has_begun


def test_the_rungs_come_30_60_and_15_seconds_apart():
    ladder = StopLadder(GRACE)
    ladder.ask(0)
    assert climb(ladder, 105) == [(30, "SIGINT"), (90, "SIGTERM"), (105, "SIGKILL")]


def test_kill_is_repeated_until_nobody_is_left():
    ladder = StopLadder(GRACE)
    ladder.ask(0)
    assert [name for _, name in climb(ladder, 108)][-4:] == ["SIGKILL"] * 4


def test_asking_again_does_not_start_anew():
    ladder = StopLadder(GRACE)
    ladder.ask(0)
    climb(ladder, 29)
    ladder.ask(29)
    assert climb(ladder, 31, start=29) == [(30, "SIGINT")]


def test_the_clock_stands_still_while_the_trainer_saves():
    ladder = StopLadder(GRACE)
    ladder.ask(0)
    assert climb(ladder, 10) == []
    assert climb(ladder, 1000, start=10, is_saving=True) == []
    assert climb(ladder, 1021, start=1000) == [(1020, "SIGINT")]


def test_a_trainer_that_was_sent_sigterm_gets_no_more_time_for_saving():
    ladder = StopLadder(GRACE)
    ladder.abort(0)
    assert climb(ladder, 15, is_saving=True) == [(0, "SIGTERM"), (15, "SIGKILL")]


def test_abort_overtakes_a_stop_but_never_steps_back():
    ladder = StopLadder(GRACE)
    ladder.ask(0)
    ladder.abort(5)
    assert climb(ladder, 20, start=5) == [(5, "SIGTERM"), (20, "SIGKILL")]
    ladder.abort(20)
    assert climb(ladder, 21, start=20.5) == [(21, "SIGKILL")]
    assert ladder.last_signal is signal.SIGKILL
