"""`cascade-tui schema`: an editor that obeys it accepts what the loader accepts."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cascade_tui.cli import main
from engine.config.documents import Document
from engine.config.environment import Environment
from engine.config.fields import OPTIONS, TrainingConfig
from engine.config.loading import load_project
from engine.config.reading import read_model
from engine.config.schema import backends_schema, json_schema

ROOT = Path(__file__).parents[2]
NO_MACHINE = Environment((), frozenset())
_TYPES: dict[str, Any] = {
    "string": str,
    "object": dict,
    "array": list,
    "null": type(None),
    "boolean": bool,
}


def accepts(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    """Whether a value is valid by the keywords that our schemas use."""
    if isinstance(schema, bool):
        return schema
    if "$ref" in schema:
        return accepts(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], value, root)
    checks = [
        "type" not in schema or any(_is(name, value) for name in _listed(schema["type"])),
        "enum" not in schema or value in schema["enum"],
        "const" not in schema or repr(value) == repr(schema["const"]),
        all(accepts(part, value, root) for part in schema.get("allOf", ())),
        "anyOf" not in schema or any(accepts(part, value, root) for part in schema["anyOf"]),
    ]
    if isinstance(value, str):
        checks.append(re.search(schema.get("pattern", ""), value) is not None)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        checks += [
            value >= schema.get("minimum", value),
            value <= schema.get("maximum", value),
            "exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"],
            "exclusiveMaximum" not in schema or value < schema["exclusiveMaximum"],
        ]
    elif isinstance(value, list) and "items" in schema:
        checks += [accepts(schema["items"], item, root) for item in value]
    elif isinstance(value, dict):
        checks += [key in value for key in schema.get("required", ())]
        checks += [accepts(_of_key(schema, key), item, root) for key, item in value.items()]
    return all(checks)


def _of_key(schema: dict[str, Any], key: str) -> Any:
    if key in schema.get("properties", {}):
        return schema["properties"][key]
    for pattern, inner in schema.get("patternProperties", {}).items():
        if re.search(pattern, key):
            return inner
    return schema.get("additionalProperties", True)


def _listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


def _is(name: str, value: Any) -> bool:
    if name in ("integer", "number"):
        numbers = int if name == "integer" else int | float
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, _TYPES[name])


def read(path: Path) -> Any:
    """A shipped config's content, as an editor sees it."""
    text = path.read_text()
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


@pytest.mark.parametrize(
    "name", ["demo/demo.toml", "examples/lora-24gb.toml", "stable_cascade/config.json"]
)
def test_the_shipped_configs_are_valid(name):
    schema = json_schema()
    assert accepts(schema, read(ROOT / "config" / name), schema)


def test_the_shipped_backends_are_valid_and_one_without_its_folder_is_not():
    schema = backends_schema()
    backends = read(ROOT / "config/stable_cascade/multidatabackend.json")
    assert accepts(schema, backends, schema)
    dashed = [{f"--{key}": value for key, value in backend.items()} for backend in backends]
    assert accepts(schema, dashed, schema)
    del backends[0]["instance_data_dir"]
    assert not accepts(schema, backends, schema)


@pytest.mark.parametrize("key", OPTIONS)
def test_the_schema_and_the_reader_agree_on_every_option(key):
    schema = json_schema()
    values = [None, "", True, 7, -1, 0.5, 1e9, "7", "x", "peft,comfyui", [], ["none"], 16.5]
    values += ["1024x1024", schema["properties"][key]["default"], *OPTIONS[key].choices]
    for value in values:
        _, problems = read_model(TrainingConfig, {key: value})
        assert accepts(schema, {key: value}, schema) is not bool(problems), (key, value)


def test_it_is_printed_or_written_to_a_file(tmp_path, capsys):
    assert main(["schema"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == json_schema()
    target = tmp_path / "cascade-tui.schema.json"
    assert main(["schema", "--of", "backends", "--to", str(target)]) == 0
    assert json.loads(target.read_text()) == backends_schema()
    assert capsys.readouterr() == ("", f"wrote {target}\n")
    assert main(["schema", "--to", str(tmp_path / "absent" / "file.json")]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_a_config_that_names_its_schema_is_no_other_config(tmp_path):
    named = tmp_path / "named.json"
    named.write_text('{"$schema": "./cascade-tui.schema.json", "lora_rank": 8}')
    toml = tmp_path / "named.toml"
    toml.write_text("#:schema ./cascade-tui.schema.json\nlora_rank = 8\n")
    for path in (named, toml):
        assert Document.read(path).values == {"lora_rank": 8}
        project = load_project(path, environment=NO_MACHINE, check=False)
        assert project.problems == ()
    schema = json_schema()
    assert accepts(schema, read(named), schema)
