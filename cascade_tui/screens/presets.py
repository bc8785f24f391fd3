"""Starting points: what each preset would change, and whether it suits the GPU of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.draft import Draft
from cascade_tui.draft_presets import (
    Change,
    Fit,
    best_fit,
    changes_of,
    edits_of,
    example_preset,
    fit_of,
)
from cascade_tui.field_text import shown_value
from cascade_tui.shipped_files import example_configs
from cascade_tui.widgets.glyphs import GLYPHS, READY, fit, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.environment import Environment, Gpu, probe_environment
from engine.config.presets import PRESETS, Preset

_GLYPHS = {"fits": READY, "too small": GLYPHS["warning"], "unknown": " ", "any": " "}
_NAME_WIDTH = 26


class PresetsScreen(ModalScreen[int | None]):
    """Presets beside what they change; applying one is one edit. Ends with how much it changed."""

    BINDING_GROUP_TITLE = "Presets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "apply", "Apply", id="presets.apply", priority=True),
        Binding("j", "list('cursor_down')", "Down", show=False, id="presets.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="presets.up"),
        Binding("J", "scroll(3)", "Scroll changes", id="presets.scroll"),
        Binding("K", "scroll(-3)", "Scroll back", show=False, id="presets.scroll_back"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="presets.help"),
        Binding("escape,p,q", "back", "Back", key_display="esc", id="presets.back"),
    ]
    DEFAULT_CSS = """
    PresetsScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & Horizontal { height: 1fr; }
        & OptionList { width: 30; height: 1fr; background: $background;
                       border-right: solid $foreground 40%; scrollbar-size-vertical: 1; }
        & OptionList:focus { background-tint: $background 0%; }
        & OptionList > .option-list--option { padding: 0 1; }
        & VerticalScroll { width: 1fr; height: 1fr; padding: 0 2; scrollbar-size-vertical: 1; }
        & #about { height: auto; width: 1fr; }
    }
    """

    class Found(Message):
        """The presets, and the GPUs of this machine."""

        def __init__(self, presets: Sequence[Preset], gpus: tuple[Gpu, ...]) -> None:
            super().__init__()
            self.presets, self.gpus = tuple(presets), gpus

    def __init__(self, draft: Draft, environment: Environment | None = None) -> None:
        """``environment`` is what is known of the machine; left out, it is looked at."""
        super().__init__()
        self.draft, self._environment = draft, environment
        self.presets: tuple[Preset, ...] = ()
        self._gpus: tuple[Gpu, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, the presets, what the highlighted one changes, the keys."""
        yield Static("Presets  ·  looking at this machine …", id="title", markup=False)
        with Horizontal():
            yield OptionList(markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(id="about", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Look at the machine and at the examples in a thread."""
        self.query_one(OptionList).focus()
        self.run_worker(self._look, thread=True)

    def _look(self) -> None:
        environment = self._environment or probe_environment()
        presets = [*PRESETS.values(), *(example_preset(path) for path in example_configs())]
        self.post_message(self.Found(presets, environment.gpus))

    @on(Found)
    def _found(self, event: Found) -> None:
        event.stop()
        self.presets, self._gpus = event.presets, event.gpus
        machine = "no GPU was found here" if not self._gpus else _described(self._gpus)
        title = f"Presets  {self.draft.document.path}  ·  {machine}"
        self.query_one("#title", Static).update(printable(title))
        lines = self.query_one(OptionList)
        lines.add_options([ListOption(self._line(preset)) for preset in self.presets])
        kind = str(self.draft.document.get("model_type", "lora"))
        lines.highlighted = best_fit(self.presets, self._gpus, kind)

    def _line(self, preset: Preset) -> Text:
        glyph = _GLYPHS[fit_of(preset, self._gpus).kind]
        return Text(fit(f"{glyph} {preset.name}", _NAME_WIDTH), no_wrap=True)

    @property
    def _chosen(self) -> Preset | None:
        place = self.query_one(OptionList).highlighted
        return None if place is None or not self.presets else self.presets[place]

    def on_resize(self) -> None:
        """The table follows the width."""
        self._show_about()

    @on(OptionList.OptionHighlighted)
    def _show_about(self) -> None:
        preset = self._chosen
        if preset is None:
            return
        width = self.query_one(VerticalScroll).scrollable_content_region.width
        changes = changes_of(preset, self.draft)
        text = describe_preset(preset, fit_of(preset, self._gpus), changes, width)
        self.query_one("#about", Static).update(text)
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_scroll(self, by: int) -> None:
        """Scroll what the preset changes."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_apply()

    def action_apply(self) -> None:
        """Change the draft, as one step of undo, and go back to it."""
        preset = self._chosen
        if preset is None:
            return
        changes = changes_of(preset, self.draft)
        self.draft.apply_all(edits_of(changes))
        number = len(changes)
        undo = shown_key("configure.undo", "u")
        told = f"{number} value{'' if number == 1 else 's'} changed ({undo} undoes it)"
        self.app.notify(f"{preset.name}: {told if number else 'it is so already'}", markup=False)
        self.dismiss(number)

    def action_back(self) -> None:
        """Back to the form, with nothing changed."""
        self.dismiss(None)


def describe_preset(preset: Preset, suits: Fit, changes: Sequence[Change], width: int) -> Text:
    """What a preset is for, whether it suits the GPU, and a line for each value it changes."""
    text = Text()
    text.append(preset.name + "\n", "bold")
    text.append(preset.summary + "\n")
    text.append(f"{_GLYPHS[suits.kind]} {suits.words}".lstrip() + "\n\n", "bold")
    num_same = len(preset.values) - len(changes)
    if not changes:
        text.append(f"{READY} all of its {num_same} values are set so already\n")
    else:
        before = max(len(shown_value(change.before) or "(empty)") for change in changes)
        after = max(len(shown_value(change.after) or "(empty)") for change in changes)
        before, after = max(6, min(before, width // 5)), min(after, width // 3)
        longest = max(len(change.key) for change in changes)
        names = max(12, min(longest, width - before - after - 6))
        text.append(f"{fit('', names)}  {fit('now', before)}    with it\n", "dim")
        for change in changes:
            now = shown_value(change.before) or "(empty)"
            text.append(f"{fit(change.key, names)}  {fit(now, before)}  → ")
            text.append((shown_value(change.after) or "(empty)") + "\n", "bold")
        if num_same:
            text.append(f"\n{num_same} more of its values are set so already\n", "dim")
    text.plain = printable(text.plain, keep_lines=True)
    return text


def _described(gpus: Sequence[Gpu]) -> str:
    """`NVIDIA H100, 85 GB`, with the number of them if there are several."""
    largest = max(gpus, key=lambda gpu: gpu.total_bytes)
    number = f"{len(gpus)} × " if len(gpus) > 1 else ""
    return f"{number}{largest.name}, {largest.total_bytes / 1e9:.0f} GB"
