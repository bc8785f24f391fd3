"""What to compare the draft with: a short list to filter, or a path that is typed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Draft
from cascade_tui.draft_diff import Source, sources_of
from cascade_tui.widgets.glyphs import GLYPHS, printable
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.presets import Preset


class ChooseSource(ModalScreen[Source | None]):
    """Typing leaves the lines that hold the words; a path that is none of them is taken as such."""

    BINDING_GROUP_TITLE = "Compare with"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "list('cursor_down')", "Down", show=False, id="source.down"),
        Binding("up", "list('cursor_up')", "Up", show=False, id="source.up"),
        Binding("pagedown", "list('page_down')", "Page down", show=False, id="source.page_down"),
        Binding("pageup", "list('page_up')", "Page up", show=False, id="source.page_up"),
        Binding("escape", "cancel", "Back", id="source.back"),
    ]
    DEFAULT_CSS = """
    ChooseSource {
        align: center middle;
        & > Vertical {
            width: 76; max-width: 95%; height: auto; max-height: 90%;
            border: round $primary; background: $surface; padding: 0 1;
        }
        & Input { width: 1fr; height: 1; border: none; padding: 0; }
        & Static { height: 1; width: 1fr; text-wrap: nowrap; text-overflow: ellipsis; }
        & OptionList { height: auto; max-height: 14; background: $surface; }
    }
    """
    AUTO_FOCUS = "Input"

    class Found(Message):
        """Everything at hand to compare with."""

        def __init__(self, sources: Sequence[Source]) -> None:
            super().__init__()
            self.sources = tuple(sources)

    def __init__(self, draft: Draft, presets: tuple[Preset, ...], root: Path) -> None:
        """Runs are looked for below ``root``."""
        super().__init__()
        self._draft, self._presets, self._root = draft, presets, root
        self._sources: tuple[Source, ...] = ()
        self._shown: list[Source] = []

    def compose(self) -> ComposeResult:
        """Words, the list, and what enter does."""
        panel = Vertical()
        panel.border_title = "Compare with"
        panel.border_subtitle = f"enter chooses, {shown_key('source.back', 'escape')} goes back"
        with panel:
            words = Input(compact=True, placeholder="words, or the path of a config or a run")
            words.cursor_blink = False
            yield words
            yield OptionList(markup=False)
            yield Static(id="news", markup=False)

    def on_mount(self) -> None:
        """Look for runs in a thread."""
        self.query_one("#news", Static).update("looking for runs …")
        self.run_worker(self._look, thread=True)

    def _look(self) -> None:
        self.post_message(self.Found(sources_of(self._draft, self._presets, self._root)))

    @on(Found)
    def _found(self, event: Found) -> None:
        event.stop()
        self._sources = event.sources
        self._show()

    @on(Input.Changed)
    def _show(self) -> None:
        words = self.query_one(Input).value.lower().split()
        listed = self.query_one(OptionList)
        self._shown = [
            source for source in self._sources if all(word in source.name.lower() for word in words)
        ]
        listed.clear_options()
        listed.add_options([ListOption(Text(printable(s.name), no_wrap=True)) for s in self._shown])
        listed.highlighted = 0 if self._shown else None
        listed.display = bool(self._shown)
        is_typed = bool(words) and not self._shown
        self.query_one("#news", Static).update("enter compares with this path" if is_typed else "")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        place, typed = self.query_one(OptionList).highlighted, event.value.strip()
        if self._shown and place is not None:
            self.dismiss(self._shown[place])
            return
        if not typed:
            return
        try:
            path = Path(typed).expanduser()
            is_there = path.exists()
        except (OSError, RuntimeError, ValueError):  # too long; ~ of nobody; a NUL
            is_there = False
        if is_there:
            self.dismiss(Source("path", typed, path))
        else:
            news = f"{GLYPHS['error']} there is no {typed}"
            self.query_one("#news", Static).update(printable(news))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._shown[event.option_index])

    def action_list(self, action: str) -> None:
        """Move within the list while the words keep the focus."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_cancel(self) -> None:
        """Compare with nothing else."""
        self.dismiss(None)
