"""Captions of a photograph: from its file name, a text file beside it, or one prompt for all."""

from __future__ import annotations

import re
from pathlib import Path

from engine.data.backend import ImageBackend

# "shiba_inu_001", "shiba inu (2)": numbering that a camera or a file manager added.
_NUMBERING = re.compile(r"(?:_+\d+|\s*\(\d+\))+$")


class CaptionError(ValueError):
    """A photograph has no usable caption; the message is the reason it is left out."""


def read_captions(image: Path, backend: ImageBackend) -> tuple[str, ...]:
    """Return the captions of ``image`` (one or more, none empty) by the backend's strategy.

    ``filename``: the stem with underscores as spaces, trailing numbering left out.
    ``textfile``: each non-empty line of ``<stem>.txt``. ``instanceprompt``: the instance prompt.
    With ``prepend_instance_prompt`` the instance prompt and a space come before each.

    Raises:
        CaptionError: the caption is missing, empty or not text.
    """
    instance_prompt = (backend.instance_prompt or "").strip()
    match backend.caption_strategy:
        case "filename":
            captions = [caption_from_name(image)]
        case "textfile":
            captions = _lines_beside(image)
        case "instanceprompt":
            if not instance_prompt:
                raise CaptionError(
                    f"caption_strategy is instanceprompt, but data backend {backend.id} has no "
                    "instance_prompt"
                )
            return (instance_prompt,)
        case other:
            raise CaptionError(
                f"caption_strategy {other} of data backend {backend.id} is none of filename, "
                "textfile, instanceprompt"
            )
    if backend.prepend_instance_prompt and instance_prompt:
        captions = [f"{instance_prompt} {caption}" for caption in captions]
    return tuple(captions)


def caption_from_name(image: Path) -> str:
    """Return the caption that a file name spells: ``a_red_barn_002.jpg`` is "a red barn".

    Raises:
        CaptionError: nothing is left of the name, or it is not valid Unicode.
    """
    caption = " ".join(_NUMBERING.sub("", image.stem).replace("_", " ").split())
    if not caption:
        raise CaptionError("the file name holds no caption, only numbering")
    try:
        caption.encode()
    except UnicodeEncodeError:
        raise CaptionError("the file name is not valid UTF-8, so it can't be a caption") from None
    return caption


def _lines_beside(image: Path) -> list[str]:
    path = image.with_suffix(".txt")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CaptionError(f"no caption file {path.name} beside it") from None
    except UnicodeDecodeError as error:
        raise CaptionError(
            f"caption file {path.name} is not UTF-8 (byte {error.start}): save it as UTF-8"
        ) from None
    except OSError as error:
        raise CaptionError(f"caption file {path.name} can't be read: {error.strerror}") from error
    captions = [line.strip() for line in text.splitlines() if line.strip()]
    if not captions:
        raise CaptionError(f"caption file {path.name} is empty")
    return captions
