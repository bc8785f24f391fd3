"""Data backends: folders of captioned photographs, and caches of text embeds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.config.options import Option, option, options_of
from engine.config.problems import Edit, Problem, error
from engine.config.reading import read_model, shown
from engine.config.resolution import Resolution

_TYPES = {
    name: f"backend type {name} is not supported yet; local works"
    for name in ("aws", "csv", "huggingface", "webshart")
}
_CROP_STYLES = {"face": "crop_style face is not supported yet; random, center and corner work"}
_CAPTION_STRATEGIES = {
    name: f"caption_strategy {name} is not supported yet; "
    "filename, textfile and instanceprompt work"
    for name in ("parquet", "csv", "huggingface", "webshart")
}


class ImageBackend(BaseModel):
    """A folder of captioned photographs."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    id: str = option("", group="data", help="Name of the backend, unique.")
    type: Literal["local"] = option(
        "local", group="data", help="Where it lies.", unsupported=_TYPES
    )
    dataset_type: Literal["images", "image"] = option(
        "images", group="data", help="images: photographs with captions."
    )
    instance_data_dir: str = option(
        "", group="data", kind="path", help="Folder of the photographs, searched with subfolders."
    )
    resolution: Resolution = option(
        Resolution(1024, 1024), group="data", unit="px", help="Nominal size of the pictures."
    )
    bucket_resolutions: tuple[Resolution, ...] = option(
        (),
        group="data",
        unit="px",
        help="Sizes that pictures are cropped to, each taking the nearest in shape; empty makes "
        "them from resolution on the 128-px grid.",
    )
    crop: bool = option(
        True,
        group="data",
        help="Crop to the bucket by crop_style; false always crops as little as possible, centred.",
    )
    crop_style: Literal["random", "center", "corner"] = option(
        "random",
        group="data",
        help="Which part a crop keeps; random is fixed by the seed.",
        unsupported=_CROP_STYLES,
    )
    minimum_image_size: int | None = option(
        None, group="data", ge=1, unit="px", help="Pictures with a shorter side are left out."
    )
    maximum_image_size: int | None = option(
        None,
        group="data",
        ge=1,
        unit="px",
        help="Pictures with a longer side are first brought to target_downsample_size.",
    )
    target_downsample_size: int | None = option(
        None, group="data", ge=1, unit="px", help="Shorter side of pictures that are too large."
    )
    caption_strategy: Literal["filename", "textfile", "instanceprompt"] = option(
        "filename",
        group="data",
        help="Where captions come from: the file's name, a .txt beside it, or instance_prompt.",
        unsupported=_CAPTION_STRATEGIES,
    )
    instance_prompt: str | None = option(
        None, group="data", help="Caption of every picture, or what is put before each."
    )
    prepend_instance_prompt: bool = option(
        False, group="data", help="Put instance_prompt before each caption."
    )
    repeats: int = option(
        1,
        group="data",
        ge=0,
        le=100_000,
        help="Times each picture is seen per epoch; 0 counts as 1.",
    )
    cache_dir: str | None = option(
        None, group="data", kind="path", help="Folder of its latent cache; empty is the run's."
    )


class TextEmbedBackend(BaseModel):
    """A folder where text embeds are cached."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True
    )

    id: str = option("", group="data", help="Name of the backend, unique.")
    type: Literal["local"] = option(
        "local", group="data", help="Where it lies.", unsupported=_TYPES
    )
    dataset_type: Literal["text_embeds"] = option(
        "text_embeds", group="data", help="text_embeds: a cache of captions' embeds."
    )
    cache_dir: str = option("", group="data", kind="path", help="Folder of the cache.")
    default: bool = option(
        False, group="data", help="Used by every image backend; exactly one is the default."
    )


Backend = ImageBackend | TextEmbedBackend
BACKEND_OPTIONS: dict[str, dict[str, Option]] = {
    "images": options_of(ImageBackend),
    "text_embeds": options_of(TextEmbedBackend),
}
_NOT_YET = (
    "eval", "conditioning", "conditioning_image_embeds", "image_embeds", "video", "audio",
    "caption", "distillation_cache", "grounding",
)  # fmt: skip
_DATASET_TYPES = ("images", "image", "text_embeds")


def backend_key(identity: str, key: str = "") -> str:
    """The key of a backend's option in problems and edits."""
    return f"data_backend[{identity}]" + (f".{key}" if key else "")


def parse_backends(raw: Any) -> tuple[tuple[Backend, ...], tuple[Problem, ...]]:
    """Read a list of backends; return those that could be read, and every problem.

    In a backend with problems, the options in error have their defaults.
    """
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        message = f"is {shown(raw)}, expected a list of backends"
        return (), (error("data_backend", message, "write [[data_backend]] before each"),)
    backends: list[Backend] = []
    problems: list[Problem] = []
    for position, values in enumerate(raw):
        if not isinstance(values, Mapping):
            message = "must be a table of options: { … }"
            problems.append(error(backend_key(str(position)), message))
            continue
        plain = {str(key).removeprefix("--"): value for key, value in values.items()}
        backend, found = _parse_one(plain, position)
        problems += found
        if backend is not None:
            backends.append(backend)
    return tuple(backends), tuple(problems)


def _parse_one(values: dict[str, Any], position: int) -> tuple[Backend | None, list[Problem]]:
    given = values.get("id")
    identity = given if isinstance(given, str) and given else str(position)
    kind = values.get("dataset_type", "images")
    wrong_kind = _check_kind(kind, backend_key(identity, "dataset_type"))
    if wrong_kind is not None:
        return None, [wrong_kind]
    model: type[Backend] = TextEmbedBackend if kind == "text_embeds" else ImageBackend
    backend, problems = read_model(model, values, name=lambda key: backend_key(identity, key))
    needed = "cache_dir" if kind == "text_embeds" else "instance_data_dir"
    for key in ("id", needed):
        if key not in values:
            problems.append(error(backend_key(identity, key), f"{key} is missing", f"give {key}"))
    return backend.model_copy(update={"id": identity}), problems


def _check_kind(kind: Any, key: str) -> Problem | None:
    if kind in _DATASET_TYPES:
        return None
    works = "images and text_embeds work"
    if isinstance(kind, str) and kind in _NOT_YET:
        return error(
            key, f"dataset_type {kind} is not supported yet; {works}", "remove the backend"
        )
    near = difflib.get_close_matches(str(kind), _DATASET_TYPES, n=1)
    edit = Edit(key, near[0] if near else "images")
    return error(
        key, f"unknown dataset_type {shown(kind)}; {works}", f"set it to {edit.value}", edit
    )
