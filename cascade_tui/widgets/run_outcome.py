"""What became of a run, its last commands and its last problem, in words."""

from __future__ import annotations

import os

from rich.text import Text
from textual.content import Content

from cascade_tui.follow.snapshot import Notice, RunSnapshot, SentCommand
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
_UNANSWERED = ("pending", "received")
_BROKEN = ("failed", "lost", "lost-at-reboot")


def outcome_text(snapshot: RunSnapshot, run: RunDirectory) -> Text:
    """How it ended and what to do next; empty while it goes on."""
    state = snapshot.state
    glyph = STATE_GLYPHS[state.name]
    if state.name in _BROKEN:
        cause = _cause(snapshot)
        ending = _ending(snapshot, "" if cause is None else cause.message)
        fix = f"fix: {cause.fix}" if cause is not None and cause.fix else ""
        log = f"{shown_key('monitor.log', 'l')} shows the log"
        return _lines(f"{glyph} {ending}", fix, f"{_way_on(snapshot)} · {log}")
    if state.name == "stopped":
        return _lines(f"{glyph} {_ending(snapshot)}", _way_on(snapshot))
    if state.name == "new" and not run.root.is_dir():
        return _lines(f"{STATE_GLYPHS['failed']} the folder of this run is gone", str(run.root))
    if state.name == "new":
        launches = f"{shown_key('monitor.resume', 'r')} launches it with the config in its folder"
        return _lines(f"{glyph} never launched", launches)
    if state.name == "finished":
        files = [os.path.relpath(path, run.root) for path in snapshot.exports]
        exported = f"exported to {run.root}:" if files else ""
        pushed = f"pushed to {snapshot.pushed_to}" if snapshot.pushed_to else ""
        names = [f"  {name}" for name in files]
        return _lines(f"{glyph} finished at step {snapshot.step}", exported, *names, pushed)
    return Text()


def _lines(first: str, *others: str) -> Text:
    """The first line bold; those that are empty are left out."""
    return Text.assemble((first, "bold"), *(f"\n{line}" for line in others if line))


def _way_on(snapshot: RunSnapshot) -> str:
    """What the key to resume does with a run that ended."""
    key, saved = shown_key("monitor.resume", "r"), snapshot.last_checkpoint
    if saved is None:
        return f"{key} starts it again from the beginning: no checkpoint was saved"
    return f"{key} resumes from the checkpoint of step {saved}"


def resuming_text(snapshot: RunSnapshot) -> str:
    """What happens now that it is to go on."""
    if snapshot.state.name == "paused":
        return "resuming…"
    saved = snapshot.last_checkpoint
    return "launching…" if saved is None else f"launching from the checkpoint of step {saved}…"


def _cause(snapshot: RunSnapshot) -> Notice | None:
    """The error a broken run ended with, if it said one."""
    last = snapshot.notices[-1] if snapshot.notices else None
    return last if last is not None and last.severity == "error" else None


def _ending(snapshot: RunSnapshot, cause: str = "") -> str:
    """``failed at step 500, exit code 1: CUDA out of memory``, with what the cause adds."""
    state = snapshot.state
    word = "lost" if state.name.startswith("lost") else state.name
    text = f"{word} at step {snapshot.step}"
    if state.exit_code not in (None, 0):
        text += f", exit code {state.exit_code}"
    reason = snapshot.exit_reason or state.message
    if reason.lower() in cause.lower():
        reason = cause
    elif cause and cause.lower() not in reason.lower():
        reason = f"{reason}: {cause}"
    if state.name == "stopped":
        reason = reason.removeprefix("stopped ")
        return f"{text} {reason}".rstrip()
    return f"{text}: {reason}" if reason else text


def command_text(snapshot: RunSnapshot, _run: RunDirectory) -> Text:
    """The commands that wait for an answer, and the newest one; empty without any."""
    newest = snapshot.commands[-1:]
    waiting = [c for c in snapshot.commands if c.state in _UNANSWERED and c not in newest]
    if not snapshot.state.is_alive:
        waiting = []
    told = [_command(command, is_alive=snapshot.state.is_alive) for command in (*waiting, *newest)]
    return Text(f"› {' · '.join(told)}" if told else "")


def _command(command: SentCommand, *, is_alive: bool) -> str:
    state = _COMMAND_STATES.get(command.state, command.state)
    if command.state == "pending" and not is_alive:
        state = "never read"
    return ": ".join(part for part in (command.command, state, command.message) if part)


def notice_text(snapshot: RunSnapshot, _run: RunDirectory) -> Content:
    """The newest problem with its remedy, or why nothing can be read; empty without any.

    A problem that ended the run is part of the outcome instead.
    """
    if snapshot.trouble:
        return Content.styled(f"{GLYPHS['error']} {snapshot.trouble}", "$text-error")
    if not snapshot.notices or (snapshot.state.name in _BROKEN and _cause(snapshot)):
        return Content()
    notice = snapshot.notices[-1]
    glyph = GLYPHS["error" if notice.severity == "error" else "warning"]
    style = "$text-error" if notice.severity == "error" else "$text-warning"
    fix = f" — {notice.fix}" if notice.fix else ""
    return Content.assemble((f"{glyph} {notice.message}", style), fix)
