"""What somebody is called for, how, and how often."""

from __future__ import annotations

import argparse
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest

from cascade_tui import arguments
from cascade_tui.alerts import ending_alert, find_alerts
from cascade_tui.follow.health import Health, Spike, find_spike
from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.gpu import GpuReport, GpuSample
from cascade_tui.gpu_processes import GpuProcess
from cascade_tui.notifying import NotifySettingError, notification, notify_by
from cascade_tui.screens.alerts import AlertScreen
from cascade_tui.widgets.alert_strip import AlertStrip
from engine.run.events import EventWriter
from engine.run.status import RunState
from tests.cascade_tui.run_fixture import emit_step, write_run
from tests.cascade_tui.test_monitor import MonitorApp, settle, until

_GIB = 1 << 30
WELL = RunSnapshot(
    1,
    RunState("running", pid=4000),
    "shiba",
    phase="training",
    step=500,
    health=Health(checkpoint_bytes=75_000_000, free_bytes=10_000_000_000, loader_share=0.1),
)
COOL = GpuSample(0, "H100", 57 * _GIB, 80 * _GIB, 61 * _GIB, throttles=("power cap",))
FULL = replace(COOL, index=1, used_bytes=77 * _GIB, throttles=("power cap", "too hot"))


def ids(snapshot: RunSnapshot, *gpus: GpuSample) -> list[str]:
    return [alert.id for alert in find_alerts(snapshot, GpuReport(gpus))]


def test_a_run_that_does_well_has_no_alert() -> None:
    assert not ids(WELL, COOL)
    assert not find_alerts(WELL, None)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (Health(skipped_steps=(333,)), "1 step skipped: NaN or infinite (last: step 333)"),
        (Health(spike=Spike(40, 2.0, 0.1)), "loss 2 at step 40, usually 0.1"),
        (Health(loader_share=0.62), "62 % of each step is waiting for the loader"),
        (Health(heartbeat_minutes=3), "no heartbeat for 3 min"),
        (Health(free_bytes=400_000_000), "400.0 MB free on the disk"),
        (
            Health(free_bytes=400_000_000, checkpoint_bytes=200_000_000),
            "400.0 MB free on the disk for checkpoints of 200.0 MB",
        ),
    ],
)
def test_each_sign_of_trouble_is_an_alert_that_says_what_to_do(health, expected) -> None:
    [alert] = find_alerts(replace(WELL, health=health), None)
    assert alert.message == expected
    assert alert.fix


def test_a_run_that_is_lost_or_silent_is_an_alert() -> None:
    [lost] = find_alerts(replace(WELL, state=RunState("lost", message="process 7 is gone")), None)
    assert (lost.severity, lost.message) == ("error", "process 7 is gone")
    assert ids(replace(WELL, quiet_minutes=4)) == ["quiet"]
    assert not ids(replace(WELL, quiet_minutes=4, is_partial=True))


def test_a_gpu_is_told_of_by_memory_and_heat_but_not_by_its_power_cap() -> None:
    assert ids(WELL, COOL, FULL) == ["vram-1", "throttled-1"]
    ours = replace(COOL, processes=(GpuProcess(4000, _GIB),))
    assert not ids(WELL, ours, FULL)  # the full one is somebody else's
    assert not ids(replace(WELL, state=RunState("finished")), FULL)


def test_skipped_steps_are_called_out_again_only_when_they_are_twice_as_many() -> None:
    seen = [ids(replace(WELL, health=Health(skipped_steps=tuple(range(n)))))[0] for n in (1, 2, 3)]
    assert seen[0] != seen[1] == seen[2]


def test_a_jump_of_the_loss_stands_out_of_its_noise() -> None:
    noise = random.Random(3)
    losses = [(step, abs(noise.gauss(0.1, 0.03))) for step in range(200)]
    assert find_spike(losses) is None
    losses[195] = (195, 0.9)
    spike = find_spike(losses)
    assert spike is not None
    assert (spike.step, spike.loss) == (195, 0.9)
    assert spike.usual == pytest.approx(0.1, abs=0.02)
    assert find_spike(losses[-40:]) is None  # too few to know what is usual


def test_the_reader_gathers_the_signs_and_a_rewind_takes_them_back(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "running")
    reader = RunReader(run)
    reader.poll()
    health = reader.snapshot.health
    assert health.skipped_steps == (333,)
    assert (health.spike, health.checkpoint_bytes) == (None, 75_000_000)
    assert health.free_bytes is not None
    with EventWriter(run.events) as writer:
        emit_step(writer, 501, 9.0, loader_wait_seconds=1.2)
        emit_step(writer, 502, 0.1, grad_norm=math.inf)
        for step in range(503, 520):
            emit_step(writer, step, 0.1, loader_wait_seconds=1.2)
        emit_step(writer, 520, 8.0)
    reader.poll()
    health = reader.snapshot.health
    assert health.skipped_steps == (333, 502)
    assert health.spike is not None
    assert health.spike.step == 520
    assert health.loader_share > 0.5
    with EventWriter(run.events) as writer:
        writer.emit("rewind", step=500)
    reader.poll()
    assert (reader.snapshot.health.skipped_steps, reader.snapshot.health.spike) == ((333,), None)


def test_an_end_is_told_to_who_watched_it_and_to_nobody_else() -> None:
    over = replace(WELL, state=RunState("failed"))
    ending = ending_alert(WELL, over)
    assert ending is not None
    assert ending.message == "shiba failed at step 500"
    assert ending_alert(None, over) is None
    assert ending_alert(over, over) is None
    assert ending_alert(WELL, WELL) is None


XTERM = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("way", "environment", "expected"),
    [
        ("off", XTERM, ""),
        ("bell", XTERM, "\a"),
        ("desktop", XTERM, "\x1b]9;cascade-tui: a b\x1b\\"),
        ("desktop", {"TERM": "foot"}, "\x1b]777;notify;cascade-tui;a b\x1b\\"),
        ("desktop", XTERM | {"VTE_VERSION": "7800"}, "\x1b]777;notify;cascade-tui;a b\x1b\\"),
        (
            "desktop",
            {"TERM": "tmux-256color", "TMUX": "/tmp/tmux"},
            "\x1bPtmux;\x1b\x1b]9;cascade-tui: a b\x1b\x1b\\\x1b\\",
        ),
        ("desktop", {"TERM": "screen", "STY": "1.pts"}, "\a"),
        ("desktop", {"TERM": "linux"}, "\a"),
        ("desktop", {"TERM": "dumb"}, "\a"),
    ],
)
def test_a_terminal_is_told_in_the_way_it_understands(way, environment, expected) -> None:
    assert notification(way, "a\x07b", environment) == expected  # control characters never pass


def test_the_option_counts_before_the_variable_and_nonsense_is_refused() -> None:
    assert notify_by(None, {}) == "off"
    assert notify_by(None, {"CASCADE_TUI_NOTIFY": "desktop"}) == "desktop"
    assert notify_by("bell", {"CASCADE_TUI_NOTIFY": "desktop"}) == "bell"
    with pytest.raises(NotifySettingError, match="CASCADE_TUI_NOTIFY=loud: expected off, bell"):
        notify_by(None, {"CASCADE_TUI_NOTIFY": "loud"})


def test_nonsense_in_the_variable_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADE_TUI_NOTIFY", "loud")
    parser = argparse.ArgumentParser()
    arguments.add_notify_option(parser)
    assert arguments.notify_by(parser.parse_args(["--notify", "bell"])) == "bell"
    with pytest.raises(arguments.UsageError, match="CASCADE_TUI_NOTIFY=loud"):
        arguments.notify_by(parser.parse_args([]))


async def test_new_alerts_are_called_out_once_and_listed_on_a_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "shiba", "running")
    app = MonitorApp(run, GpuReport((COOL,)), notify_by="bell")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        strip = app.monitor.query_one(AlertStrip)
        shown = "▲ 1 alert (!): 1 step skipped: NaN or infinite (last: step 333)"
        await until(pilot, lambda: str(strip.content) == shown)
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)

        def calls() -> int:
            return written.count("\a")

        assert calls() == 0  # it was so before somebody looked
        for _ in range(2):
            app.monitor.post_message(app.monitor.GpusChanged(GpuReport((FULL,))))
            await until(pilot, lambda: "3 alerts (!)" in str(strip.content))
            app.monitor.post_message(app.monitor.GpusChanged(GpuReport((COOL,))))
            await until(pilot, lambda: str(strip.content) == shown)
        assert calls() == 2  # memory and heat, once each

        await pilot.press("exclamation_mark")
        assert isinstance(app.screen, AlertScreen)
        text = str(app.screen.query_one("Static").content)
        now, _, earlier = text.partition("no more:")
        assert "1 step skipped" in now
        assert "VRAM of GPU 1 at 96 %" in earlier
        await pilot.press("escape")
        assert app.screen is app.monitor
        assert str(strip.content) == ""  # what has passed and was seen is done with
        monkeypatch.undo()


async def test_the_end_of_a_watched_run_rings_when_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = write_run(tmp_path / "shiba", "running")
    app = MonitorApp(run, notify_by="bell")
    async with app.run_test(size=(80, 24)) as pilot:
        await settle(pilot)
        written: list[str] = []
        monkeypatch.setattr(app._driver, "write", written.append)
        snapshot = app.monitor.snapshot
        assert snapshot is not None
        over = replace(snapshot, version=snapshot.version + 1, state=RunState("finished"))
        app.monitor.post_message(app.monitor.Changed(over))
        await until(pilot, lambda: "\a" in written)
        monkeypatch.undo()
