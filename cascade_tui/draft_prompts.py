"""The validation prompts of a draft as a list: add, rename, rewrite, move and remove them, each one
step of undo.

Knows nothing of screens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from cascade_tui.draft import Draft
from engine.config.documents import PROMPTS, Document
from engine.config.entry_text import moved_entry, renamed_entry
from engine.config.loading import find_beside
from engine.config.overrides import parse_overrides
from engine.config.problems import Edit
from engine.config.prompts import SINGLE_PROMPT, prompt_key

LIBRARY = "validation_prompt_library"
SINGLE = "validation_prompt"
_FILE_NAME = "prompt_library.json"
_WORDS_OF_A_NAME = 3


class PromptError(ValueError):
    """The prompts cannot be changed so; says why."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt to draw; ``is_single`` says that it is ``validation_prompt``, in no library.

    ``is_overridden`` says that ``--set`` gave its text.
    """

    name: str
    text: str
    is_single: bool = False
    is_overridden: bool = False


@dataclass(frozen=True, slots=True)
class Home:
    """Where the library is, or would be begun: ``table`` in ``file``, None is the file itself.

    ``words`` say it; ``refusal`` says why nothing can be added, if so; ``new_file`` is the name of
    the file that the first prompt begins.
    """

    file: Document
    table: str | None
    words: str
    refusal: str = ""
    new_file: str = ""
    has_begun: bool = True


def home_of(draft: Draft) -> Home:
    """Where the prompts are kept, or where the first will be put."""
    document, library = draft.document, draft.prompts_document
    named = document.get(LIBRARY)
    here = document.path.name
    if isinstance(named, Mapping):
        return Home(document, LIBRARY, f"{here}, {LIBRARY}")
    if PROMPTS in document:
        refusal = f"remove {LIBRARY} or {PROMPTS} first: the config has both" if named else ""
        is_table = isinstance(document.get(PROMPTS), Mapping)
        refusal = refusal or ("" if is_table else f"{PROMPTS} holds no names and prompts: mend it")
        return Home(document, PROMPTS, f"[{PROMPTS}] in {here}", refusal)
    if library is not None:
        refusal = "it is a list: a library is { name: text }" if library.is_list else ""
        return Home(library, None, str(library.path), refusal)
    if named:
        refusal = f"{LIBRARY} names no file that can be read: mend it first"
        return Home(document, None, f"{LIBRARY} {named}", refusal)
    if document.format == "toml":
        return Home(document, PROMPTS, f"[{PROMPTS}] in {here}", has_begun=False)
    new_file = _free_file(draft)
    return Home(document, None, f"{new_file} beside {here}", new_file=new_file, has_begun=False)


def prompts_of(draft: Draft) -> tuple[Prompt, ...]:
    """Every prompt that a validation draws, in that order, as the files and ``--set`` give it."""
    home = home_of(draft)
    given, _ = parse_overrides(draft.overrides)
    kept = {} if home.refusal or not home.has_begun else _entries(home)
    everything = {**kept, **given.prompts}
    prompts = [
        Prompt(name, text, is_overridden=name in given.prompts) for name, text in everything.items()
    ]
    single = given.options.get(SINGLE, draft.document.get(SINGLE))
    if isinstance(single, str) and single:
        is_set = SINGLE in given.options
        prompts.append(Prompt(SINGLE_PROMPT, single, is_single=True, is_overridden=is_set))
    return tuple(prompts)


def free_name(draft: Draft, wanted: str) -> str:
    """``wanted``, with a number if there is a prompt of that name."""
    taken = {prompt.name for prompt in prompts_of(draft)}
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def name_for(draft: Draft, text: str) -> str:
    """A free name of the first words of a prompt that count."""
    words = [word for word in re.findall(r"\w+", text.lower()) if word not in ("a", "an", "the")]
    return free_name(draft, "-".join(words[:_WORDS_OF_A_NAME]) or "prompt")


def add_prompt(draft: Draft, name: str, text: str) -> None:
    """Add a prompt at the end; the first one begins the library.

    Raises:
        PromptError: there is one of that name, or no library that it could be added to.
    """
    home = _open_home(draft)
    _refuse_taken(draft, name)
    if home.new_file:
        draft.start_library(home.new_file, {name: text})
    else:
        draft.apply(_entry(home, name, text))


def duplicate_prompt(draft: Draft, prompt: Prompt) -> str:
    """Add a copy of a prompt under a free name, which is returned.

    Raises:
        PromptError: there is no library that it could be added to.
    """
    name = free_name(draft, f"{prompt.name}-copy")
    add_prompt(draft, name, prompt.text)
    return name


def change_prompt(draft: Draft, prompt: Prompt, name: str, text: str) -> None:
    """Give a prompt another name, another text, or both; a single one that gets a name of its own
    goes into the library.

    Raises:
        PromptError: there is one of that name, or the library cannot be changed.
    """
    if name == prompt.name:
        _rewrite(draft, prompt, text)
        return
    _refuse_taken(draft, name)
    home = _open_home(draft)
    if prompt.is_overridden:
        raise PromptError(f"--set gives the prompt {prompt.name}: rename it there")
    if prompt.is_single:
        if not home.has_begun and home.new_file:
            raise PromptError("there is no library for it yet: a adds the first prompt to one")
        draft.apply_all((_entry(home, name, text), Edit(SINGLE, None)))
        return
    file = home.file
    renamed = renamed_entry(file.text(), file.format, home.table, prompt.name, name)
    if text != prompt.text:
        changed = Document(file.path, renamed, file.format, is_library=file.is_library)
        changed.apply(_entry(replace(home, file=changed), name, text))
        renamed = changed.text()
    draft.replace_text(file.path, renamed)


def remove_prompt(draft: Draft, prompt: Prompt) -> None:
    """Draw a prompt no more."""
    home = home_of(draft)
    if prompt.is_single:
        draft.apply(Edit(SINGLE, None))
    elif home.table == LIBRARY:
        kept = {name: text for name, text in _entries(home).items() if name != prompt.name}
        draft.apply(Edit(LIBRARY, kept))
    else:
        draft.apply(Edit(prompt_key(prompt.name), None))


def move_prompt(draft: Draft, prompt: Prompt, by: Literal[-1, 1]) -> None:
    """Let a prompt and the one before or after it change places.

    Raises:
        PromptError: it is in no library.
    """
    if prompt.is_single:
        raise PromptError(f"{SINGLE} is always drawn last")
    home = home_of(draft)
    if prompt.name not in _entries(home):
        raise PromptError(f"--set gives the prompt {prompt.name}: it has no place in the library")
    file = home.file
    moved = moved_entry(file.text(), file.format, home.table, prompt.name, by)
    draft.replace_text(file.path, moved)


def _rewrite(draft: Draft, prompt: Prompt, text: str) -> None:
    home = home_of(draft)
    if prompt.is_single:
        draft.apply(Edit(SINGLE, text or None))
    else:
        draft.apply(_entry(home, prompt.name, text))


def _entry(home: Home, name: str, text: str) -> Edit:
    """The edit that gives a prompt of the library this text."""
    if home.table == LIBRARY:
        return Edit(LIBRARY, {**_entries(home), name: text})
    return Edit(prompt_key(name), text)


def _open_home(draft: Draft) -> Home:
    home = home_of(draft)
    if home.refusal:
        raise PromptError(home.refusal)
    return home


def _refuse_taken(draft: Draft, name: str) -> None:
    if not name.strip():
        raise PromptError("a prompt needs a name")
    if any(prompt.name == name for prompt in prompts_of(draft)):
        raise PromptError(f"there is a prompt {name} already")


def _entries(home: Home) -> dict[str, str]:
    """The prompts of the library that are text, as the file names them."""
    values: Any = home.file.values if home.table is None else home.file.get(home.table)
    if not isinstance(values, Mapping):
        return {}
    return {str(name): text for name, text in values.items() if isinstance(text, str)}


def _free_file(draft: Draft) -> str:
    stem, number = draft.document.path.stem, 1
    name = _FILE_NAME
    while find_beside(name, draft.document.path) is not None:
        name = f"{stem}-prompts{f'-{number}' if number > 1 else ''}.json"
        number += 1
    return name
