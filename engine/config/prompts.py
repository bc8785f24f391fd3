"""What a prompt library may hold: prompts with words, under names that make files of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.config.documents import PROMPTS
from engine.config.problems import Problem, error, warning

SINGLE_PROMPT = "validation"
"""The name that ``validation_prompt`` is drawn under."""
_MOST_CHARACTERS = 80


def prompt_key(name: str) -> str:
    """The key of a prompt in problems and edits."""
    return f"{PROMPTS}[{name}]"


def picture_stem(name: str) -> str:
    """What the pictures of the prompt ``name`` begin with: a file name that every system takes."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._")[:_MOST_CHARACTERS] or "prompt"


def check_prompts(prompts: Mapping[str, str]) -> Iterator[Problem]:
    """Each prompt has words, and a name that makes a file of its own."""
    stems: dict[str, str] = {}
    for name, text in prompts.items():
        if not text.strip():
            message = f"the prompt {name} is empty"
            yield warning(prompt_key(name), message, "write one, or remove it")
        stem = picture_stem(name)
        if stem in stems:
            message = f"{name} and {stems[stem]} would be drawn into the same file ({stem})"
            yield error(prompt_key(name), message, "rename one")
        stems.setdefault(stem, name)
