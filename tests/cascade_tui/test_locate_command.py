"""`cascade-tui locate`: the paths it gives are those that the trainer uses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from cascade_tui import places
from cascade_tui.cli import main
from cascade_tui.places import look
from tests.cascade_tui.run_fixture import write_run

CONFIG = """
output_dir = "output/mine"
[[data_backend]]
id = "photos"
instance_data_dir = "photographs"
[[data_backend]]
id = "texts"
dataset_type = "text_embeds"
cache_dir = "texts"
default = true
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A working directory with a config, 1000 bytes of photographs, a run, an empty hub cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    Path("config.toml").write_text(CONFIG)
    Path("photographs/more").mkdir(parents=True)
    Path("photographs/more/a.jpg").write_bytes(bytes(1000))
    write_run(tmp_path / "output" / "mine", "finished")
    return tmp_path


def located(capsys, *arguments: str):
    """What the JSON says, and its places by name."""
    assert main(["locate", "--json", *arguments]) == 0
    content = json.loads(capsys.readouterr().out)
    return content, {place["what"]: place for place in content["places"]}


def test_without_a_config_it_names_program_hub_cache_and_runs_below(folder, capsys):
    content, named = located(capsys)
    assert content["python"]["path"] == sys.executable
    assert content["runs"] == [{"path": str(folder / "output" / "mine"), "state": "finished"}]
    assert named["hub cache"] == {
        "what": "hub cache",
        "path": str(folder / "hf" / "hub"),
        "exists": False,
        "bytes": None,
        "is_whole": True,
        "problem": "",
    }
    assert Path(named["program"]["path"]) == Path(places.__file__).parent


def test_with_a_config_it_names_its_data_caches_and_log(folder, capsys):
    _, named = located(capsys, "config.toml")
    assert named["photographs of photos"]["bytes"] == 1000
    assert named["text cache"]["path"] == str(folder / "texts")
    assert named["latent cache of photos"]["path"] == str(folder / "output/mine/cache/latents")
    assert named["log"]["path"] == str(folder / "output/mine/console.log")
    assert named["log"]["exists"]
    assert "validate" in named["weights"]["problem"]


def test_the_lines_say_what_where_and_how_large(folder, capsys):
    assert main(["locate", "config.toml"]) == 0
    lines = capsys.readouterr().out.splitlines()
    [photographs] = [line for line in lines if line.startswith("photographs of photos")]
    assert photographs.endswith(f"{folder / 'photographs'}  (1.0 kB)")
    [hub] = [line for line in lines if line.startswith("hub cache")]
    assert hub.endswith("(not there)")


def test_a_folder_with_very_many_files_is_not_counted_to_the_end(folder, monkeypatch):
    monkeypatch.setattr(places, "MAX_COUNTED", 3)
    for number in range(5):
        Path(f"photographs/{number}").write_bytes(bytes(10))
    place = look("photographs", Path("photographs"))
    assert not place.is_whole
    assert place.num_bytes is not None


def test_a_config_that_is_not_there_is_wrong_usage(folder, capsys):
    assert main(["locate", "absent.toml"]) == 2
    assert "there is no config absent.toml" in capsys.readouterr().err
