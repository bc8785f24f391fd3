"""A log with odd values in it, from another version or a damaged disk, is read all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cascade_tui.alerts import find_alerts
from cascade_tui.follow.reader import RunReader
from cascade_tui.headless_view import format_duration
from cascade_tui.widgets.phase_bar import phase_line
from cascade_tui.widgets.run_header import header_text
from tests.cascade_tui.run_fixture import write_run

ODD = (None, "nan", "inf", "-inf", "text", "", -1, 10**30, 1e308, 1.5, True, [], {}, [1, None])
_OTHERS: tuple[dict[str, object], ...] = (
    {"kind": "start", "max_train_steps": 10},
    {"kind": "phase", "phase": "training"},
    {"kind": "cache_plan", "which": "text", "needed": 3, "present": 1, "estimated_bytes": 5},
    {
        "kind": "cache",
        "which": "text",
        "done": 1,
        "total": 3,
        "per_second": 2.0,
        "bytes": 5,
        "eta_seconds": 1.0,
        "hits": 1,
    },
    {"kind": "validation", "step": 500, "loss": 0.1, "bands": [0.1, 0.2, 0.3, 0.4]},
    {"kind": "image", "step": 500, "prompt": "a", "path": "b.png", "seed": 1, "source": "preview"},
    {"kind": "checkpoint", "step": 500, "bytes": 5},
    {"kind": "command", "id": "a", "command": "pause", "state": "done"},
    {"kind": "rewind", "step": 501},
    {"kind": "exit", "reason": "why"},
)
_STEP: dict[str, object] = {
    "kind": "step",
    "step": 501,
    "loss": 0.1,
    "lr": 1e-4,
    "grad_norm": 0.5,
    "images_per_second": 3.0,
    "seconds": 1.0,
    "peak_memory_bytes": 5,
    "loader_wait_seconds": 0.1,
}


def _read(root: Path, event: dict[str, object]) -> RunReader:
    """A step, the event, and another step, each read before the next is written."""
    run = write_run(root, "empty")
    reader = RunReader(run)
    for number, line in enumerate(({**_STEP, "step": 500}, event, {**_STEP, "step": 502})):
        with run.events.open("a") as file:
            file.write(json.dumps({"t": 1_780_001_000.0 + number, **line}) + "\n")
        reader.poll()
    return reader


@pytest.mark.parametrize("event", [_STEP, *_OTHERS], ids=lambda event: str(event["kind"]))
def test_an_odd_value_in_any_field_ends_no_viewer(event: dict[str, object], tmp_path: Path) -> None:
    for field in ("t", *event):
        for number, odd in enumerate(ODD if field != "kind" else ()):
            reader = _read(tmp_path / f"{field}-{number}", {**event, field: odd})
            snapshot = reader.snapshot
            assert snapshot.step == 502, (field, odd)
            assert snapshot.series["loss"].at(502) == 0.1, (field, odd)
            header_text(snapshot, "", 80)
            phase_line(snapshot.seconds_by_phase, 80)
            find_alerts(snapshot, None)
            for cache in snapshot.caches.values():
                assert cache.eta_seconds is None or format_duration(cache.eta_seconds)
