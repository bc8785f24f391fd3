"""How a run's end is put into words."""

import shutil
from pathlib import Path

from cascade_tui.follow.reader import RunReader
from cascade_tui.follow.snapshot import RunSnapshot
from cascade_tui.widgets.run_outcome import command_text, outcome_text, resuming_text
from engine.run.events import EventWriter
from engine.run.paths import RunDirectory
from tests.cascade_tui.run_fixture import write_run


def _snapshot(run: RunDirectory) -> RunSnapshot:
    reader = RunReader(run)
    reader.poll()
    return reader.snapshot


def test_a_run_without_a_checkpoint_says_that_it_begins_again(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "failed")
    run.events.write_text(
        "".join(line for line in run.events.open() if '"kind": "checkpoint"' not in line)
    )
    snapshot = _snapshot(run)
    assert "r starts it again from the beginning" in outcome_text(snapshot, run).plain
    assert resuming_text(snapshot) == "launching…"


def test_a_stopped_run_says_so_once_and_how_it_goes_on(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "running")
    with EventWriter(run.events) as events:
        events.emit("exit", code=0, state="stopped", step=500, reason="stopped on request; saved")
    run.status.write_text(run.status.read_text().replace('"running"', '"stopped"'))
    snapshot = _snapshot(run)
    assert outcome_text(snapshot, run).plain.splitlines() == [
        "■ stopped at step 500 on request; saved",
        "r resumes from the checkpoint of step 500",
    ]
    assert resuming_text(snapshot) == "launching from the checkpoint of step 500…"


def test_a_run_that_was_never_launched_says_how_to(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "empty")
    assert "r launches it" in outcome_text(_snapshot(run), run).plain


def test_a_run_whose_folder_was_removed_offers_no_launch(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "running")
    reader = RunReader(run)
    reader.poll()
    shutil.rmtree(run.root)
    reader.poll()
    told = outcome_text(reader.snapshot, run).plain
    assert told == f"✖ the folder of this run is gone\n{run.root}"


def test_a_command_that_waits_stays_in_sight_until_it_is_answered(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "running")
    with EventWriter(run.events) as events:
        events.emit("command", id="a", command="checkpoint", state="received")
        events.emit("command", id="b", command="pause", state="done")
        told = command_text(_snapshot(run), run).plain
        assert told == "› checkpoint: received · pause: done"
        events.emit("command", id="a", command="checkpoint", state="done")
        assert command_text(_snapshot(run), run).plain == "› checkpoint: done"
        events.emit("start", max_train_steps=1000)
        assert command_text(_snapshot(run), run).plain == ""  # of an earlier launch


def test_a_run_that_was_pushed_says_where_to(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "finished")
    with EventWriter(run.events) as events:
        events.emit("push", step=20, repository="me/fox", address="https://huggingface.co/me/fox")
    reader = RunReader(run)
    reader.poll()
    assert outcome_text(reader.snapshot, run).plain.endswith(
        "pushed to https://huggingface.co/me/fox"
    )
