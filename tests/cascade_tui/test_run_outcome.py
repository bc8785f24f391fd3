"""How a run's end is put into words."""

from pathlib import Path

from cascade_tui.follow.reader import RunReader
from cascade_tui.widgets.run_outcome import outcome_text
from engine.run.events import EventWriter
from tests.cascade_tui.run_fixture import write_run


def test_a_run_that_was_pushed_says_where_to(tmp_path: Path) -> None:
    run = write_run(tmp_path / "shiba", "finished")
    with EventWriter(run.events) as events:
        events.emit("push", step=20, repository="me/fox", address="https://huggingface.co/me/fox")
    reader = RunReader(run)
    reader.poll()
    assert outcome_text(reader.snapshot, run).plain.endswith(
        "pushed to https://huggingface.co/me/fox"
    )
