"""An array that grows at its end, and may begin with a part that lies in a file."""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

_LEAST_CAPACITY, _MOST_SPARE = 1024, 1 << 18

Number = TypeVar("Number", bound=np.generic)


class GrowingArray(Generic[Number]):
    """Numbers [n] of one type.

    ``base`` are the first of them, mapped from a file perhaps: they are never copied nor written.
    """

    def __init__(self, dtype: type[Number], base: NDArray[Number] | None = None) -> None:
        self._base: NDArray[Number] = np.empty(0, dtype) if base is None else base
        self._tail: NDArray[Number] = np.empty(0, dtype)
        self._tail_size = 0

    def __len__(self) -> int:
        return len(self._base) + self._tail_size

    @property
    def last(self) -> Any:
        """The last number, as Python has it; there must be one."""
        return (self._tail[self._tail_size - 1] if self._tail_size else self._base[-1]).item()

    def between(self, first: int, last: int) -> NDArray[Number]:
        """The numbers [first, last), in place where they lie together."""
        split = len(self._base)
        if last <= split:
            return self._base[first:last]
        if first >= split:
            return self._tail[first - split : min(last - split, self._tail_size)]
        return np.concatenate([self._base[first:], self.between(split, last)])

    def all(self) -> NDArray[Number]:
        """All numbers."""
        return self.between(0, len(self))

    def append(self, numbers: NDArray[Number]) -> None:
        """Add numbers at the end."""
        end = self._tail_size + len(numbers)
        if end > len(self._tail):
            # Half as much again, but no more than so much: a long run has no use for twice itself.
            spare = min(max(end // 2, _LEAST_CAPACITY), _MOST_SPARE)
            grown = np.empty(end + spare, self._tail.dtype)
            grown[: self._tail_size] = self._tail[: self._tail_size]
            self._tail = grown
        self._tail[self._tail_size : end] = numbers
        self._tail_size = end

    def truncate(self, size: int) -> None:
        """Forget all but the first ``size``."""
        self._tail_size = max(0, min(self._tail_size, size - len(self._base)))
        self._base = self._base[:size]

    def search(self, wanted: NDArray[Any], *, right: bool = False) -> NDArray[np.intp]:
        """Where the ``wanted`` would stand among these, which ascend; as numpy's searchsorted."""
        side: Literal["left", "right"] = "right" if right else "left"
        size = len(self._base)
        found = np.searchsorted(self._base, wanted, side=side)
        beyond = np.searchsorted(self._tail[: self._tail_size], wanted, side=side)
        return np.where(found == size, size + beyond, found)
