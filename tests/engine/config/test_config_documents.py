"""A file stays as the person wrote it, but for the value that an edit is about."""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import pytest

from engine.config.documents import Document, DocumentError
from engine.config.problems import Edit

ROOT = Path(__file__).parents[3]
SHIPPED = sorted([*ROOT.glob("config/stable_cascade/*.json"), *ROOT.glob("config/examples/*.toml")])
TOML = """# my run, do not touch

learning_rate = 1e-4   # found by hand
seed = 1_000
--x = 1

[validation_prompts]   # drawn each time
portrait = "a face"

# the photographs
[[data_backend]]
id = "primary"
crop = true  # yes

[[data_backend]]
id = "text"
cache_dir = '/cache'
""".replace("--x = 1\n", "")
JSON = """{
    "--learning_rate": 1e-4,
    "seed":   1E3,

    "report_to": ["none"],
    "validation_prompts": {"portrait": "a face"}
}
"""
BACKENDS = """[
  {
    "id": "primary",
    "crop": true
  },
  { "id": "text", "cache_dir": "/cache" }
]
"""


def toml(text: str = TOML) -> Document:
    return Document(Path("c.toml"), text, "toml")


def json_of(text: str = JSON) -> Document:
    return Document(Path("c.json"), text, "json")


def fault_of(text: str, suffix: str) -> str:
    with pytest.raises(DocumentError) as caught:
        Document(Path(f"c.{suffix}"), text, suffix)
    problem = caught.value.problem
    assert problem.severity == "error"
    return f"{problem.where} {problem.message}"


# -- nothing changes by itself --------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_reading_and_saving_gives_the_same_bytes(path, tmp_path):
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    document = Document.read(copy)
    document.save()
    assert copy.read_bytes() == path.read_bytes()


def test_windows_line_ends_and_a_missing_last_one_survive_an_edit(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'{\r\n  "seed": 1,\r\n  "lora_rank": 2\r\n}')
    document = Document.read(path)
    document.set("seed", 5)
    document.save()
    assert path.read_bytes() == b'{\r\n  "seed": 5,\r\n  "lora_rank": 2\r\n}'


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"seed": 1}')
    assert Document.read(path).values == {"seed": 1}


# -- values ---------------------------------------------------------------------------------------


def test_leading_dashes_of_keys_are_left_out():
    assert json_of().values["learning_rate"] == 1e-4
    assert json_of().get("learning_rate") == 1e-4
    assert "learning_rate" in json_of()


def test_a_list_of_backends_is_read_by_their_ids():
    document = json_of(BACKENDS)
    assert document.is_list
    assert document.get("data_backend[primary].crop") is True
    assert document.get("data_backend[text].crop", "absent") == "absent"
    assert document.values["data_backend"][1]["cache_dir"] == "/cache"


# -- edits ----------------------------------------------------------------------------------------


def test_setting_a_key_in_json_touches_its_value_alone():
    document = json_of()
    document.set("seed", 7)
    assert document.text() == JSON.replace("1E3", "7")
    document.set("learning_rate", 2e-4)
    assert '"--learning_rate": 0.0002,' in document.text()


def test_setting_a_key_in_toml_keeps_comments_and_the_spelling_of_other_numbers():
    document = toml()
    document.set("learning_rate", 2e-4)
    assert document.text() == TOML.replace("1e-4 ", "0.0002 ")
    document.set("data_backend[primary].crop", False)
    assert "crop = false  # yes" in document.text()


def test_a_new_key_goes_to_the_end_in_the_file_s_own_layout():
    document = json_of()
    document.set("use_ema", True)
    assert '{"portrait": "a face"},\n    "use_ema": true\n}' in document.text()
    one_line = json_of('{"seed": 1}')
    one_line.set("use_ema", True)
    assert one_line.text() == '{"seed": 1, "use_ema": true}'
    empty = json_of("{}")
    empty.set("seed", 1)
    assert empty.text() == '{\n  "seed": 1\n}'


def test_a_new_key_in_toml_does_not_fall_into_a_table():
    document = toml()
    document.set("lora_rank", 8)
    assert tomllib.loads(document.text())["lora_rank"] == 8
    assert document.text().index("lora_rank") < document.text().index("[validation_prompts]")
    assert "# the photographs\n[[data_backend]]" in document.text()
    only_tables = toml('[validation_prompts]\nportrait = "x"\n')
    only_tables.set("seed", 1)
    assert tomllib.loads(only_tables.text())["seed"] == 1


@pytest.mark.parametrize("make", [toml, json_of])
def test_unsetting_and_setting_again_and_prompts_work_in_both_formats(make):
    document = make()
    document.unset("seed")
    assert "seed" not in document
    document.unset("seed")
    document.set("seed", 3)
    document.set("validation_prompts[a place]", "a barn")
    assert document.values["seed"] == 3
    assert document.values["validation_prompts"] == {"portrait": "a face", "a place": "a barn"}
    document.unset("validation_prompts[portrait]")
    assert document.values["validation_prompts"] == {"a place": "a barn"}


def test_every_single_key_can_be_removed_from_json_and_it_stays_json():
    names = list(json_of().values)
    for first in names:
        for second in names:
            document = json_of()
            document.unset(first)
            document.unset(second)
            assert json.loads(document.text()).keys() == {
                name for name in json.loads(JSON) if name.removeprefix("--") not in (first, second)
            }


@pytest.mark.parametrize("make", [toml, lambda: json_of(BACKENDS)])
def test_backends_are_edited_added_and_removed(make):
    document = make()
    document.set("data_backend[text].default", True)
    document.set("data_backend[primary].bucket_resolutions", ("1024x1024", "896x1152"))
    document.set("data_backend[third]", {"id": "third", "crop": False})
    third = {"id": "third", "crop": False}
    backends = document.values["data_backend"]
    assert [backend["id"] for backend in backends] == ["primary", "text", "third"]
    assert backends[0]["bucket_resolutions"] == ["1024x1024", "896x1152"]
    assert backends[1]["default"] is True
    assert backends[2] == third
    document.unset("data_backend[text]")
    assert [backend["id"] for backend in document.values["data_backend"]] == ["primary", "third"]
    document.unset("data_backend[third].crop")
    assert document.values["data_backend"][1] == {"id": "third"}


def test_a_first_backend_and_a_first_prompt_can_be_added():
    for document in (json_of("{}"), toml("")):
        document.set("validation_prompts[portrait]", "a face")
        document.set("data_backend[primary]", {"id": "primary"})
        document.set("seed", 1)
        assert document.values == {
            "validation_prompts": {"portrait": "a face"},
            "data_backend": [{"id": "primary"}],
            "seed": 1,
        }


def test_a_prompt_library_is_edited_by_the_names_of_its_prompts():
    document = json_of('{\n  "portrait": "a face"\n}')
    document.set("validation_prompts[place]", "a barn")
    assert document.text() == '{\n  "portrait": "a face",\n  "place": "a barn"\n}'


def test_setting_an_option_of_a_backend_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError):
        json_of(BACKENDS).set("data_backend[nobody].crop", True)
    assert json_of(BACKENDS).set_backend("nobody", "crop", True) is False


def test_an_edit_that_renames_moves_the_value():
    document = json_of('{"lerning_rate": 2e-4, "seed": 1}')
    document.apply(Edit("learning_rate", 2e-4, renames="lerning_rate"))
    assert document.values == {"seed": 1, "learning_rate": 2e-4}


def test_text_with_quotes_brackets_and_other_scripts_survives():
    prompt = 'say "hi" [now] {x}, 猫\n\\ # no comment'
    for document in (json_of(), toml()):
        document.set("validation_prompt", prompt)
        again = Document(document.path, document.text(), document.format)
        assert again.values["validation_prompt"] == prompt


# -- lines ----------------------------------------------------------------------------------------


def test_the_line_of_a_key_is_where_it_stands():
    assert [json_of().line_of(key) for key in ("learning_rate", "seed", "report_to")] == [2, 3, 5]
    assert json_of().line_of("portrait") is None
    assert [toml().line_of(key) for key in ("learning_rate", "seed")] == [3, 4]
    assert toml().line_of("data_backend[text].cache_dir") == 16
    assert toml().line_of("data_backend[primary].crop") == 12
    assert json_of(BACKENDS).line_of("data_backend[primary].crop") == 4


def test_the_line_of_an_absent_option_is_its_backend_s():
    assert toml().line_of("data_backend[text].default") == 14
    assert json_of(BACKENDS).line_of("data_backend[primary].repeats") == 2
    assert json_of(BACKENDS).line_of("data_backend[nobody].repeats") is None


def test_a_key_inside_text_is_not_taken_for_the_key():
    assert json_of('{"a": "\\"seed\\": 1",\n\n"seed": 2}').line_of("seed") == 3
    assert toml('a = """\nseed = 1\n"""\nseed = 2\n').line_of("seed") == 4


# -- malformed ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ('{\n  "seed": 1,\n}\n', "c.json:2:12", "a comma after the last entry"),
        ('{\n  "seed": 1\n  "lora_rank": 2\n}', "c.json:3:3", "a comma is missing"),
        ('{\n  // why\n  "seed": 1\n}', "c.json:2:3", "no comments"),
        ("{\n  'seed': 1\n}", "c.json:2:3", "double quotes"),
        ('{"use_ema": True}', "c.json:1:13", "true, not True"),
        ('{"seed": 1', "c.json:1:11", "still open"),
        ('{"seed": 1}\n}', "c.json:2:1", "should end before this"),
        ('{"seed": NaN}', "c.json:1:10", "NaN is not a number"),
        ('{"seed": 1,\n "seed": 2}', "c.json:2:2", "seed is given twice, first in line 1"),
        ('{"--seed": 1,\n "seed": 2}', "c.json:2:1", "seed is given twice, once with --"),
        ("", "c.json:1:1", "the file is empty"),
        ("3", "c.json:1:1", "a config is an object"),
        ("[" * 100_000, "c.json:1:1", "nested too deeply"),
    ],
)
def test_malformed_json_is_told_with_line_and_column(text, place, what):
    fault = fault_of(text, "json")
    assert fault.startswith(f"{place} malformed JSON:")
    assert what in fault


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("seed = 1\nlora_rank =\n", "c.toml:2:12", "something is missing"),
        ("seed = 1\nseed = 2\n", "c.toml:2:1", "seed is given twice"),
        ("use_ema = yes\n", "c.toml:1:", ""),
        ('a = "x\n', "c.toml:1:", ""),
        ("[validation_prompts\n", "c.toml:1:", ""),
    ],
)
def test_malformed_toml_is_told_with_line_and_column(text, place, what):
    fault = fault_of(text, "toml")
    assert fault.startswith(place)
    assert "malformed TOML" in fault
    assert what in fault


def test_a_file_that_cannot_be_read_says_why(tmp_path):
    for path, why in [
        (tmp_path / "absent.json", "No such file"),
        (tmp_path, "Is a directory"),
    ]:
        with pytest.raises(DocumentError) as caught:
            Document.read(path)
        assert why in caught.value.problem.message
    (tmp_path / "latin.json").write_bytes(b'{"validation_prompt": "caf\xe9"}')
    with pytest.raises(DocumentError, match="not UTF-8"):
        Document.read(tmp_path / "latin.json")


# -- disk -----------------------------------------------------------------------------------------


def test_saving_keeps_permissions_and_goes_through_links(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text('{"seed": 1}')
    real.chmod(0o640)
    link.symlink_to(real)
    document = Document.read(link)
    document.set("seed", 2)
    assert document.is_changed
    document.save()
    assert not document.is_changed
    assert link.is_symlink()
    assert real.read_text() == '{"seed": 2}'
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["link.json", "real.json"]


def test_a_change_by_someone_else_is_noticed_and_a_save_of_ours_is_none(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("seed = 1\n")
    document = Document.read(path)
    document.set("seed", 2)
    assert not document.changed_on_disk()
    document.save()
    assert not document.changed_on_disk()
    path.write_text("seed = 3\n")
    assert document.changed_on_disk()
    path.unlink()
    assert document.changed_on_disk()


def test_an_earlier_text_can_be_put_back():
    document = toml()
    document.set("seed", 5)
    document.restore(TOML)
    assert document.values["seed"] == 1000
    assert not document.is_changed
