"""Work on many items in threads, in order, without holding many results."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_workers() -> int:
    """How many threads decode pictures: the processors that this process may use, at most 32."""
    return min(32, len(os.sched_getaffinity(0)))


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int | None = None
) -> Generator[Result, None, None]:
    """Yield ``function(item)`` in the order of ``items``, computed in threads.

    While the caller works on one result, every thread has work and ``ahead`` more results may wait
    (default: 3 a thread). Closing the iterator early cancels what has not begun. An exception is
    raised where its result would be.
    """
    workers = num_workers()
    limit = workers + (3 * workers if ahead is None else ahead)
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="pictures") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) >= limit:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
