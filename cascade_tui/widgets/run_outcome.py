"""What became of a run, its last command and its last problem, in words."""

from __future__ import annotations

import os

from rich.text import Text

from cascade_tui.follow.snapshot import Notice, RunSnapshot
from cascade_tui.widgets.glyphs import GLYPHS
from cascade_tui.widgets.run_header import STATE_GLYPHS
from cascade_tui.widgets.shown_keys import shown_key
from engine.run.paths import RunDirectory

_COMMAND_STATES = {
    "pending": "waiting for the run",
    "received": "received",
    "done": "done",
    "failed": "failed",
    "ignored": "ignored",
    "refused": "refused",
}
_BROKEN = ("failed", "lost", "lost-at-reboot")


def outcome_text(snapshot: RunSnapshot, run: RunDirectory) -> Text:
    """How it ended and where to look next; empty while it goes on."""
    state = snapshot.state
    glyph = STATE_GLYPHS[state.name]
    if state.name in _BROKEN:
        cause = _cause(snapshot)
        lines = [] if cause is None else [cause.message, f"fix: {cause.fix}" if cause.fix else ""]
        if lines and lines[0] in _ending(snapshot):
            del lines[0]
        lines.append(f"log: {run.console_log}")
        if snapshot.last_checkpoint is not None:
            lines[-1] += f"; {shown_key('monitor.resume', 'r')} goes on from step "
            lines[-1] += str(snapshot.last_checkpoint)
        text = "".join(f"\n{line}" for line in lines if line)
        return Text.assemble((f"{glyph} {_ending(snapshot)}", "bold"), text)
    if state.name == "stopped":
        saved = snapshot.last_checkpoint
        kept = "" if saved is None else f"; checkpoint of step {saved}"
        key = shown_key("monitor.resume", "r")
        return Text(f"{glyph} {_ending(snapshot)}{kept}; {key} goes on from there")
    if state.name == "finished":
        files = [os.path.relpath(path, run.root) for path in snapshot.exports]
        lines = [f"{glyph} finished at step {snapshot.step}"]
        if files:
            lines.append(f"exported to {run.root}:")
            lines += [f"  {name}" for name in files]
        if snapshot.pushed_to:
            lines.append(f"pushed to {snapshot.pushed_to}")
        return Text("\n".join(lines))
    return Text()


def _cause(snapshot: RunSnapshot) -> Notice | None:
    """The error a broken run ended with, if it said one."""
    last = snapshot.notices[-1] if snapshot.notices else None
    return last if last is not None and last.severity == "error" else None


def _ending(snapshot: RunSnapshot) -> str:
    """``failed at step 500, exit code 1: CUDA out of memory``."""
    state = snapshot.state
    word = "lost" if state.name.startswith("lost") else state.name
    text = f"{word} at step {snapshot.step}"
    if state.exit_code not in (None, 0):
        text += f", exit code {state.exit_code}"
    reason = snapshot.exit_reason or state.message
    return f"{text}: {reason}" if reason else text


def command_text(snapshot: RunSnapshot, _run: RunDirectory) -> Text:
    """The newest command and how far it is; empty without any."""
    if not snapshot.commands:
        return Text()
    command = snapshot.commands[-1]
    text = f"› {command.command}: {_COMMAND_STATES.get(command.state, command.state)}"
    if command.state == "pending" and not snapshot.state.is_alive:
        text = f"› {command.command}: never read"
    return Text(f"{text}: {command.message}" if command.message else text)


def notice_text(snapshot: RunSnapshot, _run: RunDirectory) -> Text:
    """The newest problem with its remedy, or why nothing can be read; empty without any.

    A problem that ended the run is part of the outcome instead.
    """
    if snapshot.trouble:
        return Text.assemble((f"{GLYPHS['error']} {snapshot.trouble}", "red"))
    if not snapshot.notices or (snapshot.state.name in _BROKEN and _cause(snapshot)):
        return Text()
    notice = snapshot.notices[-1]
    glyph = GLYPHS["error" if notice.severity == "error" else "warning"]
    style = "red" if notice.severity == "error" else "yellow"
    text = Text.assemble((f"{glyph} {notice.message}", style))
    return text.append(f" — {notice.fix}") if notice.fix else text
