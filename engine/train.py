"""The trainer's process: ``accelerate launch -m engine.train RUN_DIR``.

Reads everything from the run directory's frozen config, writes everything into it. Exit codes:
0 finished, or stopped by command; 128 + n stopped by a signal, saved; 1 failed; 2 the input was at
fault (data, weights, config).
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from engine.run.paths import RunDirectory
from engine.training.commands import StopSignals

if TYPE_CHECKING:
    from engine.config.frozen import FrozenConfig
    from engine.config.live import LiveChange
    from engine.training.session import Session
    from engine.training.trainer import Outcome

FAILED, INPUT_AT_FAULT = 1, 2


def main(arguments: list[str] | None = None) -> int:
    """Run the training of one run directory and return the exit code."""
    [root] = sys.argv[1:] if arguments is None else arguments
    signals = StopSignals()
    signals.install()
    # Only now what takes seconds to import: a stop during start-up is heard.
    from engine.config.live import load_current
    from engine.training.session import start_session

    run = RunDirectory(Path(root))
    frozen, change = load_current(run.root)
    session = start_session(run, frozen.config, signals)
    try:
        return _run(session, frozen, change)
    finally:
        session.close()


def _run(session: Session, frozen: FrozenConfig, change: LiveChange) -> int:
    """Train; turn every ending into a state, an exit code and one clear message."""
    import torch

    from engine.training.setup import train

    reporter = session.reporter
    try:
        outcome = train(session, frozen, change)
    except torch.OutOfMemoryError as error:
        traceback.print_exc()
        message = f"the GPU is out of memory: {str(error).splitlines()[0]}"
        reporter.problem("error", message, key="train_batch_size", fix=_OUT_OF_MEMORY_FIX)
        reporter.close("failed", code=FAILED, step=reporter.status.step, reason=message)
        return FAILED
    except BaseException as error:
        traceback.print_exc()
        at_fault = isinstance(error, ValueError) and type(error).__module__.startswith("engine.")
        message = str(error) if at_fault else f"{type(error).__name__}: {error}"
        code = INPUT_AT_FAULT if at_fault else FAILED
        reporter.problem("error", message)
        reporter.close("failed", code=code, step=reporter.status.step, reason=message)
        return code
    return _close(session, outcome)


_OUT_OF_MEMORY_FIX = (
    "lower train_batch_size and raise gradient_accumulation_steps by the same factor (the result "
    "is the same), set gradient_checkpointing to true, or base_model_precision to int8-torchao"
)


def _close(session: Session, outcome: Outcome) -> int:
    code = 128 + outcome.signal_number if outcome.signal_number else 0
    session.reporter.close(outcome.state, code=code, step=outcome.step, reason=outcome.reason)
    return code


if __name__ == "__main__":
    sys.exit(main())
