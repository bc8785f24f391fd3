"""How far the caches are, from the events of one or several folders, processes and launches."""

from __future__ import annotations

import pytest

from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import CacheState
from cascade_tui.widgets.cache_panel import CachePanel
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.widgets.test_panels import PanelApp

MB = 1_000_000


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    return RunDirectory(tmp_path)


def plan(writer: EventWriter, which: str, needed: int, present: int, size: int = 0) -> None:
    fields = {"needed": needed, "present": present, "estimated_bytes": size}
    writer.emit("cache_plan", which=which, **fields)


def progress(writer: EventWriter, which: str, done: int, total: int, hits: int) -> None:
    made = (done - hits) * MB
    fields = {"done": done, "total": total, "hits": hits, "bytes": made}
    writer.emit("cache", which=which, per_second=31.0, eta_seconds=(total - done) / 31, **fields)


def caches(run: RunDirectory) -> dict[str, CacheState]:
    reader = RunReader(run)
    reader.poll()
    return reader.snapshot.caches


def test_what_is_planned_shows_before_the_first_value_is_made(run) -> None:
    with EventWriter(run.events) as writer:
        plan(writer, "text", 100, 40, 60 * MB)
    text = caches(run)["text"]
    assert (text.done, text.total, text.hits, text.planned_bytes) == (40, 100, 40, 60 * MB)


def test_several_folders_of_latents_are_added_up(run) -> None:
    with EventWriter(run.events) as writer:
        plan(writer, "text", 5, 5)
        progress(writer, "text", 5, 5, 5)
        for present in (10, 0):
            plan(writer, "latent", 40, present, (40 - present) * MB)
            progress(writer, "latent", 40 if present else 20, 40, present)
    latent = caches(run)["latent"]
    assert (latent.done, latent.total, latent.hits) == (60, 80, 10)
    assert (latent.bytes, latent.planned_bytes) == (50 * MB, 70 * MB)


def test_another_launch_begins_anew(run) -> None:
    with EventWriter(run.events) as writer:
        for _ in range(2):
            plan(writer, "text", 5, 0)
            progress(writer, "text", 5, 5, 0)
            plan(writer, "latent", 40, 0)
            progress(writer, "latent", 40, 40, 0)
        plan(writer, "text", 5, 5)
    assert set(caches(run)) == {"text"}


STATES = {
    "under way": (
        CacheState("latent", 25, 100, 31.0, 5 * MB, 2.4, 20, 100, 80 * MB),
        ["25/100", "31/s", "2 s left", "5.0 MB of 80.0 MB", "hits 20 %"],
    ),
    "made": (CacheState("text", 9, 9, 2140.0, 5 * MB, 0.0, 3), ["✔", "5.0 MB made", "hits 33 %"]),
    "from before": (CacheState("text", 9, 9, 0.0, 0, None, 9, 9), ["9/9", "✔", "cached before"]),
    "one of several processes": (
        CacheState("latent", 5, 25, 31.0, MB, 1.0, 0, 100, 80 * MB),
        ["5/25", "1.0 MB", "hits 0 %", "a share of 100"],
    ),
}


@pytest.mark.parametrize("name", STATES)
async def test_pace_size_time_left_and_hit_rate_are_told(name: str) -> None:
    state, facts = STATES[name]
    panel = CachePanel()
    async with PanelApp(panel).run_test(size=(100, 10)) as pilot:
        panel.show({state.which: state})
        await pilot.pause()
        assert [fact for fact in facts if fact not in panel.plain] == []
        assert "of 80.0 MB" not in panel.plain or name == "under way"
