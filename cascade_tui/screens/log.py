"""The trainer's console, whole: follow it, search it, see only what went wrong."""

from __future__ import annotations

import re
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Input, Static
from textual.worker import get_current_worker

from cascade_tui.follow.log_file import LEVEL_PATTERNS, Level, LogFile
from cascade_tui.widgets.glyphs import GLYPHS
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.log_view import LogView
from cascade_tui.widgets.shown_keys import shown_key
from engine.run.paths import RunDirectory

_POLL_SECONDS = 0.5
_MOST_FILTERED = 5000
_NEXT_LEVEL: dict[Level, Level] = {"": "warning", "warning": "error", "error": ""}
_LEVEL_WORDS: dict[Level, str] = {"": "", "warning": "errors and warnings", "error": "errors"}


class LogScreen(Screen[None]):
    """The console.log of one run, of any size: opens at its end."""

    BINDING_GROUP_TITLE = "Log"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", key_display="/", id="log.search"),
        Binding(
            "n", "next(True)", "Next above", tooltip="next that was found, above", id="log.above"
        ),
        Binding(
            "N",
            "next(False)",
            "Next below",
            tooltip="next that was found, below",
            show=False,
            id="log.below",
        ),
        Binding(
            "e",
            "level",
            "Errors",
            tooltip="errors and warnings, errors only, everything",
            id="log.level",
        ),
        Binding("w", "wrap", "Wrap", id="log.wrap"),
        Binding("enter", "fold", "Unfold", id="log.fold"),
        Binding("G,end", "follow", "Follow", key_display="G", id="log.follow"),
        Binding("g,home", "start", "Start", show=False, id="log.start"),
        Binding("up,k", "move(-1)", "Up", show=False, id="log.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="log.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="log.page_up"),
        Binding("pagedown,space", "page(1)", "Page down", show=False, id="log.page_down"),
        Binding("escape", "back", "Back", key_display="esc", id="log.back"),
    ]
    DEFAULT_CSS = """
    LogScreen {
        & #head { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                  text-overflow: ellipsis; }
        & Input { display: none; height: 1; border: none; padding: 0 1; }
    }
    """

    class Found(Message):
        """What a search or a filter found: starts of lines, ascending."""

        def __init__(self, what: str, starts: tuple[int, ...], is_done: bool) -> None:
            super().__init__()
            self.what, self.starts, self.is_done = what, starts, is_done

    def __init__(self, run: RunDirectory) -> None:
        super().__init__()
        self.run = run
        self._file = LogFile(run.console_log)
        self._level: Level = ""
        self._filtered_to = 0
        self._words = ""
        self._news = ""

    def compose(self) -> ComposeResult:
        """A line on the file, its lines, the words to search for."""
        yield Static(id="head", markup=False)
        yield LogView(self._file)
        words = Input(compact=True, placeholder="search for; enter goes up from here")
        words.cursor_blink = False
        yield words
        yield KeyFooter("log.below", "log.start", "log.page_up")

    def on_mount(self) -> None:
        """Open at the end."""
        self.query_one(LogView).focus()
        self._poll()
        self._show()
        self.set_interval(_POLL_SECONDS, self._poll)

    def on_unmount(self) -> None:
        """A search that still reads ends with its file."""
        self.workers.cancel_node(self)
        self._file.close()

    def _poll(self) -> None:
        if not self.is_current:
            return
        try:
            has_changed = self._file.poll()
        except OSError as failure:
            self._news = f"cannot be read: {failure.strerror}"
            self._show()
            return
        if not has_changed:
            return  # nothing is drawn, and so nothing sent, while nothing happens
        if self._level:
            self._filter()
        self._show()

    def _show(self) -> None:
        view = self.query_one(LogView)
        view.redraw()
        size = self._file.size
        percent = 100 if view.is_following or not size else 100 * view.cursor // size
        parts = [f"{self.run.console_log}", _size_text(size)]
        parts.append("following" if view.is_following else f"at {percent} %")
        parts += [f"only {_LEVEL_WORDS[self._level]}"] if self._level else []
        parts += ["wrapped"] if view.is_wrapped else []
        parts += [self._news] if self._news else []
        path, *others = parts
        text = " · ".join(others)
        room = max(10, self.size.width - len(text) - 5)
        path = path if len(path) <= room else "…" + path[1 - room :]
        self.query_one("#head", Static).update(f"{path} · {text}")

    # -- moving ------------------------------------------------------------------------------

    def action_move(self, count: int) -> None:
        """Up or down by entries."""
        self.query_one(LogView).move(count)
        self._show()

    def action_page(self, direction: int) -> None:
        """Up or down by a screen."""
        self.action_move(direction * max(1, self.query_one(LogView).size.height - 1))

    def action_follow(self) -> None:
        """To the end, and with it."""
        self.query_one(LogView).follow()
        self._show()

    def action_start(self) -> None:
        """To the first line."""
        self.query_one(LogView).go_to_start()
        self._show()

    def action_fold(self) -> None:
        """Unfold a traceback, or fold it."""
        if not self.query_one(LogView).toggle_fold():
            self.notify(f"{shown_key('log.fold', 'enter')} unfolds a traceback (▸)")
        self._show()

    def action_wrap(self) -> None:
        """Long lines over several rows, or cut."""
        view = self.query_one(LogView)
        view.is_wrapped = not view.is_wrapped
        self._show()

    # -- searching and filtering -------------------------------------------------------------

    def action_search(self) -> None:
        """Type what to search for."""
        words = self.query_one(Input)
        words.display = True
        words.focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._words = event.value
        self._close_input()
        self.action_next(True)

    async def action_back(self) -> None:
        """Leave the search, the filter, then the screen."""
        if self.query_one(Input).display:
            self._close_input()
        elif self._level:
            self._level = "error"
            self.action_level()
        else:
            await self.app.run_action("app.show_monitor")

    def _close_input(self) -> None:
        self.query_one(Input).display = False
        self.query_one(LogView).focus()

    def action_next(self, backwards: bool) -> None:
        """To the nearest line above (or below) that holds the words; looked for in a thread."""
        if not self._words:
            self.notify(f"{shown_key('log.search', 'slash')} searches first")
            return
        self._news = f"searching {GLYPHS['hint']}{GLYPHS['hint']}{GLYPHS['hint']}"
        self._show()
        cursor = self.query_one(LogView).cursor
        pattern = re.compile(re.escape(self._words.encode()), re.IGNORECASE)
        start = cursor if backwards else self._file.entry(cursor).end
        self.run_worker(
            lambda: self._search(pattern, start, backwards),
            thread=True,
            exclusive=True,
            group="search",
        )

    def _search(self, pattern: re.Pattern[bytes], start: int, backwards: bool) -> None:
        worker = get_current_worker()
        found = self._file.find(
            pattern, start, backwards=backwards, is_cancelled=lambda: worker.is_cancelled
        )
        first = next(found, None)
        if not worker.is_cancelled:
            self.post_message(self.Found("words", () if first is None else (first,), True))

    def action_level(self) -> None:
        """Errors and warnings only, errors only, everything."""
        self._level = _NEXT_LEVEL[self._level]
        view = self.query_one(LogView)
        view.only = () if self._level else None
        view.empty = f"looking for {_LEVEL_WORDS[self._level]}" if self._level else ""
        view.empty = view.empty or "the log is empty"
        view.is_following = True
        self._news = ""
        self.workers.cancel_group(self, "filter")
        if self._level:
            self._filter()
        self._show()

    def _filter(self) -> None:
        level = self._level
        self.run_worker(
            lambda: self._find_level(level), thread=True, exclusive=True, group="filter"
        )

    def _find_level(self, level: Level) -> None:
        """The newest entries of a level, told as they are found."""
        worker = get_current_worker()
        found: dict[int, None] = {}
        for start in self._file.find(
            LEVEL_PATTERNS[level],
            self._file.size,
            backwards=True,
            is_cancelled=lambda: worker.is_cancelled,
        ):
            found[self._file.entry_at(start).start] = None
            if len(found) in (100, 1000):
                self.post_message(self.Found(level, tuple(sorted(found)), False))
            if len(found) >= _MOST_FILTERED:
                break
        if not worker.is_cancelled:
            self.post_message(self.Found(level, tuple(sorted(found)), True))

    def on_log_screen_found(self, message: Found) -> None:
        """Show what was found, unless something else is wanted by now."""
        view = self.query_one(LogView)
        if message.what == "words":
            self._news = "" if message.starts else f"no other “{self._words}” that way"
            for start in message.starts:
                view.go_to(start)
        elif message.what == self._level:
            view.only = message.starts
            view.empty = f"there are no {_LEVEL_WORDS[self._level]} in this log"
            is_full = len(message.starts) >= _MOST_FILTERED
            self._news = f"the newest {_MOST_FILTERED} of them" if is_full else ""
        self._show()


def _size_text(size: int) -> str:
    """``2.1 GB``."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"
