"""What data backends must satisfy, one by one and together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from engine.config.backends import ImageBackend, backend_key
from engine.config.context import Context, Rule, trained_range
from engine.config.problems import Edit, Problem, error, hint, warning
from engine.config.resolution import GRID_PX


def backends(context: Context) -> Iterator[Problem]:
    """There is something to train on, ids are unique, one text cache is the default."""
    key = "data_backend_config"
    if not context.image_backends:
        yield error(
            key,
            "no image backend: there is nothing to train on",
            "add a backend of dataset_type images with instance_data_dir",
        )
    identities = [backend.id for backend in context.backends]
    for identity in sorted({i for i in identities if identities.count(i) > 1}):
        count = identities.count(identity)
        yield error(backend_key(identity, "id"), f"{count} backends have this id", "rename one")
    for backend in context.text_backends[1:]:
        if backend.cache_dir and backend.cache_dir == context.text_backends[0].cache_dir:
            message = "two text_embeds backends share this folder"
            yield warning(backend_key(backend.id, "cache_dir"), message, "remove one backend")


def text_cache(context: Context) -> Iterator[Problem]:
    """One text cache is configured, and it is clear which."""
    key, text = "data_backend_config", context.text_backends
    defaults = [backend for backend in text if backend.default]
    if len(text) > 1 and len(defaults) != 1:
        chosen = defaults[0] if defaults else text[0]
        edit = None if defaults else Edit(backend_key(chosen.id, "default"), True)
        yield error(
            backend_key(chosen.id, "default"),
            f"{len(defaults)} of {len(text)} text_embeds backends are the default",
            "set default: true on exactly one",
            edit,
        )
    if not text:
        yield warning(
            key,
            "no text_embeds backend: captions are encoded into this run's own cache, and every "
            "new output_dir encodes them again (0.2 MB and one CLIP-G forward a caption)",
            "add a backend of dataset_type text_embeds with a cache_dir",
        )


def sizes(context: Context) -> Iterator[Problem]:
    """The size limits of each image backend fit together."""
    for backend in context.image_backends:
        low, high = backend.minimum_image_size, backend.maximum_image_size
        target, identity = backend.target_downsample_size, backend.id
        if high is not None and target is None:
            size = min(high, *_sides(backend))
            edit = Edit(backend_key(identity, "target_downsample_size"), size)
            yield error(
                backend_key(identity, "maximum_image_size"),
                "it needs target_downsample_size: the size that larger pictures are brought to",
                f"set target_downsample_size to {size}",
                edit,
            )
        if target is not None and high is None:
            edit = Edit(backend_key(identity, "target_downsample_size"), None)
            message = "it has no effect without maximum_image_size"
            yield warning(edit.key, message, "remove it, or set maximum_image_size", edit)
        if target is not None and high is not None and target > high:
            edit = Edit(
                backend_key(identity, "target_downsample_size"), min(high, *_sides(backend))
            )
            message = f"{target} is above maximum_image_size {high}: pictures would grow"
            yield error(edit.key, message, f"set it to {edit.value}", edit)
        if low is not None and high is not None and low > high:
            message = f"{low} is above maximum_image_size {high}: every picture is left out"
            yield error(backend_key(identity, "minimum_image_size"), message, "lower it")


def buckets(context: Context) -> Iterator[Problem]:
    """Buckets lie on the grid and within what the prior has seen."""
    is_tiny = context.config.model_flavour == "stage-c-tiny"
    for backend in context.image_backends:
        key = "bucket_resolutions" if backend.bucket_resolutions else "resolution"
        listed = backend.bucket_resolutions or (backend.resolution,)
        off = [size for size in listed if size.on_grid() != size]
        if off:
            mended = [str(size.on_grid()) for size in listed]
            edit = Edit(
                backend_key(backend.id, key),
                list(dict.fromkeys(mended)) if backend.bucket_resolutions else mended[0],
            )
            yield warning(
                edit.key,
                f"{', '.join(map(str, off))} is off the {GRID_PX}-px grid: latents are rounded up, "
                "and other programs round them down",
                f"set it to {', '.join(dict.fromkeys(mended))}",
                edit,
            )
        if len(set(listed)) < len(listed):
            unique = [str(size) for size in dict.fromkeys(listed)]
            edit = Edit(backend_key(backend.id, key), unique)
            yield hint(edit.key, "a size is listed twice", "list each once", edit)
        for size in () if is_tiny else dict.fromkeys(listed):
            yield from trained_range(backend_key(backend.id, key), size)


def captions(context: Context) -> Iterator[Problem]:
    """Captions can come from where they are said to."""
    for backend in context.image_backends:
        key = backend_key(backend.id, "instance_prompt")
        prompt = (backend.instance_prompt or "").strip()
        fix = "set instance_prompt"
        if backend.caption_strategy == "instanceprompt" and not prompt:
            yield error(key, "caption_strategy instanceprompt needs it", fix)
        elif backend.prepend_instance_prompt and not prompt:
            yield error(key, "prepend_instance_prompt needs it", fix)
        elif (
            prompt
            and not backend.prepend_instance_prompt
            and backend.caption_strategy != "instanceprompt"
        ):
            edit = Edit(backend_key(backend.id, "prepend_instance_prompt"), True)
            message = f"caption_strategy {backend.caption_strategy} does not use it"
            yield warning(key, message, "set prepend_instance_prompt to true", edit)


def _sides(backend: ImageBackend) -> tuple[int, int]:
    return backend.resolution.width, backend.resolution.height


BACKEND_RULES: Sequence[Rule] = (backends, text_cache, sizes, buckets, captions)
