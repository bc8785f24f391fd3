"""The JSON Schema of config files, for editors; it follows from the declarations."""

from __future__ import annotations

from typing import Any

from engine.config.backends import ImageBackend, TextEmbedBackend
from engine.config.fields import OPTIONS, TrainingConfig, clean_schema


def json_schema() -> dict[str, Any]:
    """The schema of a whole config, with the backends and prompts that a file may hold inline."""
    schema = clean_schema(TrainingConfig)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "cascade-tui training config"
    for key, option in OPTIONS.items():
        if option.aliases:
            schema["properties"][key]["enum"] += option.aliases
    schema["properties"]["optimizer_config"]["anyOf"] += [
        {"type": "array", "items": {"type": "string"}},
        {"type": "object"},
    ]
    definitions = schema.setdefault("$defs", {})
    backends = backends_schema()
    definitions |= backends.pop("$defs")
    schema["properties"]["data_backend"] = {
        "description": "The data backends, in this file instead of another.",
        "type": "array",
        "items": backends["items"],
    }
    schema["properties"]["validation_prompts"] = {
        "description": "Validation prompts by name, in this file instead of another.",
        "type": "object",
        "additionalProperties": {"type": "string"},
    }
    return schema


def backends_schema() -> dict[str, Any]:
    """The schema of a file with a list of data backends."""
    models = (ImageBackend, TextEmbedBackend)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cascade-tui data backends",
        "type": "array",
        "items": {"anyOf": [{"$ref": f"#/$defs/{model.__name__}"} for model in models]},
        "$defs": {model.__name__: clean_schema(model) for model in models},
    }
