"""Folders of pictures: what one that was typed holds, or why it is none.

Knows nothing of screens; to be called from a thread, for a disk may take its time.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cascade_tui.field_help import suggest_paths
from cascade_tui.guide import FolderCount
from engine.config.backends import BACKEND_OPTIONS
from engine.config.environment import IMAGE_SUFFIXES, find_images


@dataclass(frozen=True, slots=True)
class Counted:
    """What a folder holds, or why it is none to take pictures from."""

    count: FolderCount
    refusal: str = ""


def count_folder(folder: Path) -> FolderCount:
    """Count pictures and their captions below a folder, up to the limit of `find_images`.

    Raises:
        OSError: it is no folder, or cannot be listed.
    """
    images, is_all = find_images(folder)
    with_captions = sum(image.with_suffix(".txt").is_file() for image in images)
    return FolderCount(len(images), with_captions, is_all)


def look_into(text: str) -> Counted:
    """Count the folder that was typed, or say why it is none."""
    nothing = FolderCount(0, 0)
    if not text:  # an empty path would be the working directory
        return Counted(nothing, "give the folder of your pictures; its subfolders count too")
    try:
        count = count_folder(Path(os.path.expanduser(text)))
    except FileNotFoundError:
        completions = folders_beginning(text)
        more = f"; tab completes it to {completions[0]}" if completions else ""
        return Counted(nothing, f"there is no such folder{more}")
    except NotADirectoryError:
        return Counted(nothing, "this is a file: give the folder that it lies in")
    except (OSError, ValueError) as failure:  # a NUL in the name is a ValueError
        reason = getattr(failure, "strerror", None) or str(failure)
        return Counted(nothing, f"this folder cannot be read: {reason}")
    if not count.num_images:
        kinds = ", ".join(sorted(suffix.removeprefix(".") for suffix in IMAGE_SUFFIXES))
        return Counted(count, f"there are no pictures below this folder ({kinds})")
    return Counted(count)


def folders_beginning(text: str) -> list[str]:
    """The folders that what was typed can be completed to, if they can be written as they are."""
    option = BACKEND_OPTIONS["images"]["instance_data_dir"]
    return [name for name in suggest_paths(text, option) if name.isprintable()]
