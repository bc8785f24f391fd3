"""The parts of the command line that need torch, each a process of its own.

``python -m engine.tools.<name> REQUEST`` with one JSON object: what the person typed, already read.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

Request = Mapping[str, Any]


def run_tool(work: Callable[[Request], None]) -> int:
    """Do the work of the request in argv; returns the exit code: 2 for a fault of the input."""
    from engine.training.checkpoint import CheckpointError

    for chatty in ("torch.utils._pytree", "torchao"):  # warnings of their own deprecations
        logging.getLogger(chatty).setLevel(logging.ERROR)
    try:
        work(json.loads(sys.argv[1]))
    except (ValueError, CheckpointError) as fault:  # ours say what, where, and the fix
        print(f"cascade-tui: {fault}", file=sys.stderr)
        return 2
    except OSError as fault:
        where = f"{fault.filename}: " if fault.filename else ""
        print(f"cascade-tui: {where}{fault.strerror or fault}", file=sys.stderr)
        return 2
    return 0
