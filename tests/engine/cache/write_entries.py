"""Writes the entries FIRST <= n < LAST into the store ROOT: a process to be raced or killed.

Says "open" and waits for a line; adds all; with HOLD it says "added" once every full shard is on
disk and waits again, with the rest still in memory; closes, says "closed".
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import torch

from engine.cache.store import ShardStore


def main(root: str, first: str, last: str, max_entries: str, hold: str = "") -> None:
    store = ShardStore(Path(root))
    numbers = range(int(first), int(last))
    with store.writer(max_entries=int(max_entries)) as writer:
        print("open", flush=True)
        sys.stdin.readline()
        for number in numbers:
            writer.add(f"{number:032x}", {"value": torch.full((1024,), float(number))})
        if hold:
            full = len(numbers) // int(max_entries) * int(max_entries)
            waiting = threading.Event()
            while len(store) < full:
                waiting.wait(0.005)
            print("added", flush=True)
            sys.stdin.readline()
    print("closed", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
