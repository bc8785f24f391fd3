"""Reading what a program writes to a terminal, until it has written what is waited for."""

from __future__ import annotations

import os
import select


def read_until(terminal: int, wanted: bytes, seconds: float = 60) -> bytes:
    """What the terminal got, up to and with ``wanted``, or until it closes."""
    output = b""
    while wanted not in output:
        readable, _, _ = select.select([terminal], [], [], seconds)
        assert readable, output[-300:]
        try:
            output += os.read(terminal, 65536)
        except OSError:
            break  # the other side is closed
    return output
