"""The JSON Schema of config files, for editors; it follows from the declarations.

It accepts every spelling that the readers accept, and nothing that they refuse by type, range or
name; what only rules can tell (two options that exclude one another) it does not know.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from engine.config.backends import ImageBackend, TextEmbedBackend
from engine.config.documents import BACKENDS, PROMPTS, SCHEMA_KEY, plain
from engine.config.fields import TrainingConfig, clean_schema
from engine.config.options import Option, options_of

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PROMPTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
_ANY_SIZE: Schema = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*\d{1,5}(\s*[xX×]\s*\d{1,5})?\s*$"},
        {"type": "integer", "minimum": 1},
    ]
}
_DASHED = {"^--": True}
"""Options may be written as on the quickstart's command line, `--seed`."""


def json_schema() -> Schema:
    """The schema of a whole config, with the backends and prompts that a file may hold inline."""
    schema = _of_model(TrainingConfig)
    schema |= {"$schema": _DIALECT, "title": "cascade-tui training config"}
    schema.pop("description", None)
    backends = backends_schema()
    schema["$defs"] = backends["$defs"]
    properties = schema["properties"]
    library = properties["validation_prompt_library"]
    library["anyOf"] = [*library["anyOf"], _PROMPTS]
    properties[SCHEMA_KEY] = {"type": "string", "description": "This schema, for editors."}
    properties[BACKENDS] = {
        "description": "The data backends, in this file instead of another.",
        "type": "array",
        "items": backends["items"],
    }
    properties[PROMPTS] = {
        "description": "Validation prompts by name, in this file instead of another.",
        **_PROMPTS,
    }
    return schema


def backends_schema() -> Schema:
    """The schema of a file with a list of data backends."""
    needed: dict[type[BaseModel], str] = {
        ImageBackend: "instance_data_dir",
        TextEmbedBackend: "cache_dir",
    }
    definitions: dict[str, Schema] = {}
    for model, folder in needed.items():
        definition = _of_model(model)
        definition["allOf"] = [_either(key) for key in ("id", folder)]
        definitions[model.__name__] = definition
    # Without a dataset_type a backend is one of photographs.
    definitions[TextEmbedBackend.__name__]["allOf"].append(_either("dataset_type"))
    return {
        "$schema": _DIALECT,
        "title": "cascade-tui data backends",
        "type": "array",
        "items": {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in definitions]},
        "$defs": definitions,
    }


def _either(key: str) -> Schema:
    return {"anyOf": [{"required": [key]}, {"required": [f"--{key}"]}]}


def _of_model(model: type[BaseModel]) -> Schema:
    schema = clean_schema(model)
    options = options_of(model)
    schema["properties"] = {
        key: _of_option(options[key], value) for key, value in schema["properties"].items()
    }
    schema["patternProperties"] = _DASHED
    return schema


def _of_option(option: Option, schema: Schema) -> Schema:
    """An option's schema with its help, unit, default, and all spellings that readers accept."""
    types = {k: v for k, v in schema.items() if k not in ("title", "description", "default")}
    if isinstance(option.unsupported, str):
        types = {"const": plain(option.default)}  # it does nothing yet, so any other is refused
    elif option.kind == "resolution":
        types = dict(_ANY_SIZE)
    elif option.kind == "list":
        items = _ANY_SIZE if option.key == "bucket_resolutions" else types["items"]
        types = {"anyOf": [{"type": "array", "items": items}, _separated_by_commas(option)]}
    elif option.key == "resume_from_checkpoint":
        types = {"type": ["string", "integer"]}
    elif option.kind == "path" and not option.is_optional:
        types["pattern"] = r"\S"
    elif option.key == "optimizer_config":
        types = {"type": ["string", "null", "array", "object"], "items": {"type": "string"}}
    elif option.aliases:
        types = {"enum": [*option.choices, *option.aliases]}
    elif option.kind == "choice" and option.is_optional:
        types = {"enum": [*option.choices, "", None]}
    unit = f" Unit: {option.unit}." if option.unit else ""
    return {"description": f"{option.help}{unit}", "default": plain(option.default), **types}


def _separated_by_commas(option: Option) -> Schema:
    if not option.choices and option.key != "bucket_resolutions":
        return {"type": "string"}
    one = "|".join(option.choices) or r"\d{1,5}(\s*[xX×]\s*\d{1,5})?"
    return {"type": "string", "pattern": rf"^\s*({one})\s*(,\s*({one})\s*)*$"}
