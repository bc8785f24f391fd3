"""How a run will be started, in words: GPUs, processes, batch, problems, the command."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cascade_tui.launch_plan import LaunchPlan
from cascade_tui.widgets.glyphs import GLYPHS, printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.problems import Problem


def describe_plan(plan: LaunchPlan, problems: Sequence[Problem]) -> Group:
    """Everything that follows from the options, with the problems of the options first."""
    parts: list[RenderableType] = []
    for problem in problems:
        sign = GLYPHS[problem.severity]
        words = _text(f"{problem.key}: {problem.message}", "bold")
        parts.append(
            _columns([(sign, words), ("", _text(f"fix: {problem.fix}" if problem.fix else ""))])
        )
    if problems:
        parts.append(Text())
    parts += [_heading(f"GPUs of this machine: {len(plan.gpus)}"), _gpus(plan), Text()]
    facts = [(label, _text(words)) for label, words in _facts(plan)]
    parts += [_heading("What follows"), _columns(facts, "dim"), Text()]
    copy = shown_key("accelerate.copy", "y")
    parts += [_heading(f"The command of the run's supervisor ({copy} copies it)")]
    parts.append(_text(_wrapped_command(plan.command)))
    return Group(*parts)


def _gpus(plan: LaunchPlan) -> RenderableType:
    if not plan.gpus:
        return Text("no NVIDIA GPU is seen: the run would train on the CPU, very slowly")
    rows = []
    for gpu, (process, card) in enumerate(zip(plan.gpu_processes, plan.gpus, strict=True)):
        use = "not used" if process is None else f"process {process}"
        free = f"{card.free_bytes / 1e9:.0f} of {card.total_bytes / 1e9:.0f} GB free"
        sign = "○" if process is None else "●"
        rows.append((f"{sign} {gpu}", _text(f"{card.name}  {free}  {use}")))
    return _columns(rows)


def _columns(rows: Sequence[tuple[str, Text]], style: str = "") -> Table:
    """Labels, and words that wrap beside them."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(no_wrap=True, style=style)
    table.add_column(ratio=1)
    for label, words in rows:
        if words.plain:
            table.add_row(Text(label), words)
    return table


def _text(words: str, style: str = "") -> Text:
    return Text(printable(words, keep_lines=True), style)


def _heading(words: str) -> Text:
    return Text(words, "bold underline")


def _facts(plan: LaunchPlan) -> list[tuple[str, str]]:
    config, file = plan.config, plan.file
    source = "num_processes" if config.num_processes else "the accelerate file"
    source = source if config.num_processes or (file and file.num_processes) else "the default"
    facts = [("processes", f"{plan.num_processes} ({source})")]
    if file is None:
        facts.append(("accelerate", "no file: everything stands on the command line"))
    elif file.failure:
        facts.append(("accelerate", f"{file.path} cannot be read: {file.failure}"))
    else:
        kind = f", {file.distributed_type}" if file.distributed_type else ""
        facts.append(("accelerate", f"{file.path}{kind}"))
    if plan.visible is not None:
        facts.append(("visible", f"CUDA_VISIBLE_DEVICES={plan.visible}, numbered from 0 above"))
    machines = file.num_machines if file else 1
    which = f", this is number {file.machine_rank}" if file and machines > 1 else ""
    facts += [
        ("machines", f"{machines}{which}"),
        ("precision", f"{config.mixed_precision} (mixed_precision)"),
        ("dynamo", file.dynamo_backend if file else "no"),
        (
            "batch",
            f"{config.train_batch_size} × {config.gradient_accumulation_steps} accumulated × "
            f"{plan.num_processes} {_plural(plan.num_processes, 'process')} = "
            f"{plan.images_per_step:,} {_plural(plan.images_per_step, 'image')} a step",
        ),
        ("epoch", _epoch(plan)),
    ]
    return facts


def _epoch(plan: LaunchPlan) -> str:
    steps, images = plan.steps_per_epoch, plan.num_images
    if steps is None or images is None:
        return "its length is known when the pictures are scanned"
    words = f"{steps:,} {_plural(steps, 'step')} or a few more, "
    words += f"for {images:,} {_plural(images, 'picture')}"
    if plan.config.max_train_steps is not None:
        words += f"; {plan.config.max_train_steps:,} steps are {_times(plan, steps)} epochs"
    return words


def _times(plan: LaunchPlan, steps: int) -> str:
    number = (plan.config.max_train_steps or 0) / steps
    return f"{number:.0f}" if number >= 10 else f"{number:.1f}"


def _wrapped_command(command: Sequence[str]) -> str:
    """The command, an option a line, as a shell takes it."""
    lines = [""]
    for word in command:
        quoted = shlex.quote(word)
        if word.startswith("-") and lines[-1]:
            lines.append(quoted)
        else:
            lines[-1] = f"{lines[-1]} {quoted}".strip()
    return " \\\n  ".join(lines)


def _plural(number: int, noun: str) -> str:
    ending = "es" if noun.endswith("s") else "s"
    return noun if number == 1 else f"{noun}{ending}"
