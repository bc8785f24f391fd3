"""Text as an editor of lines has it, and the bytes that it had before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher


def with_endings(original: str, lines: Sequence[str]) -> str:
    """``lines`` as a text in which each line that ``original`` has, edited or not, ends as there.

    New lines end as most do, the last with nothing. An editor splits at every character that
    Python counts as an end of line, and would write one kind for all of them.
    """
    before = list(zip(original.splitlines(), original.splitlines(keepends=True), strict=True))
    old = [line for line, _ in before]
    if list(lines) in (old, [*old, ""]):
        return original
    ends = [whole[len(line) :] for line, whole in before]
    newline = Counter(end for end in ends if end).most_common(1)[0][0] if any(ends) else "\n"
    if set(ends) <= {newline, ""}:
        return newline.join(lines)
    new_ends = [newline] * len(lines)
    matcher = SequenceMatcher(None, old, lines, autojunk=False)
    for _, old_start, old_end, start, end in matcher.get_opcodes():
        kept = ends[old_start:old_end][: end - start]
        new_ends[start : start + len(kept)] = [one or newline for one in kept]
    new_ends[-1] = ""
    return "".join(line + one for line, one in zip(lines, new_ends, strict=True))
