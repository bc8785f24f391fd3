"""Data backends: folders of captioned photographs, and caches of text embeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from engine.config.options import Option, option, options_of
from engine.config.problems import Edit, Problem, error
from engine.config.reading import read_model
from engine.config.resolution import Resolution

_TYPES = {
    name: f"backend type {name} is not supported yet; local is"
    for name in ("aws", "csv", "huggingface")
}


class ImageBackend(BaseModel):
    """A folder of captioned photographs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = option("", group="data", help="Name of the backend, unique.")
    type: Literal["local", "aws", "csv", "huggingface"] = option(
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
        "random", group="data", help="Which part a crop keeps; random is fixed by the seed."
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
        "filename", group="data", help="Where captions come from."
    )
    instance_prompt: str | None = option(
        None, group="data", help="Caption of every picture, or what is put before each."
    )
    prepend_instance_prompt: bool = option(
        False, group="data", help="Put instance_prompt before each caption."
    )
    repeats: int = option(
        1, group="data", ge=0, help="Times each picture is seen per epoch; 0 counts as 1."
    )
    cache_dir: str | None = option(
        None, group="data", kind="path", help="Folder of its latent cache; empty is the run's."
    )


class TextEmbedBackend(BaseModel):
    """A folder where text embeds are cached."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: str = option("", group="data", help="Name of the backend, unique.")
    type: Literal["local", "aws"] = option(
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
_NOT_YET = ("eval", "conditioning", "image_embeds", "video", "audio", "caption")


def backend_key(identity: str, key: str = "") -> str:
    """The key of a backend's option in problems and edits."""
    return f"data_backend[{identity}]" + (f".{key}" if key else "")


def parse_backends(raw: Any) -> tuple[tuple[Backend, ...], tuple[Problem, ...]]:
    """Read a list of backends; return those without errors, and every problem."""
    if not isinstance(raw, Sequence) or isinstance(raw, str):
        return (), (error("data_backend_config", "must hold a list of backends"),)
    backends: list[Backend] = []
    problems: list[Problem] = []
    for position, values in enumerate(raw):
        if not isinstance(values, Mapping):
            problems.append(error(backend_key(str(position)), "must be a table of options"))
            continue
        backend, found = _parse_one(values, str(values.get("id") or position))
        problems += found
        if backend is not None:
            backends.append(backend)
    return tuple(backends), tuple(problems)


def _parse_one(values: Mapping[str, Any], identity: str) -> tuple[Backend | None, list[Problem]]:
    kind = values.get("dataset_type", "images")
    if kind in _NOT_YET:
        return None, [
            error(
                backend_key(identity, "dataset_type"),
                f"dataset_type {kind} is not supported yet; images and text_embeds are",
            )
        ]
    if kind not in ("images", "image", "text_embeds"):
        fix = Edit(backend_key(identity, "dataset_type"), "images")
        return None, [
            error(fix.key, f"unknown dataset_type {kind!r}", "images or text_embeds", fix)
        ]
    model = TextEmbedBackend if kind == "text_embeds" else ImageBackend
    parsed, problems = read_model(
        model, {"id": identity, **values}, name=lambda key: backend_key(identity, key)
    )
    wanted = "cache_dir" if kind == "text_embeds" else "instance_data_dir"
    if not values.get(wanted):
        problems.append(error(backend_key(identity, wanted), f"{wanted} is missing"))
    has_errors = any(problem.severity == "error" for problem in problems)
    return (None if has_errors else parsed), problems  # type: ignore[return-value]
