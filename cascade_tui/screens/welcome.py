"""The first screen when nothing was named: open something, or begin from an example."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option as ListOption

from cascade_tui.field_help import suggest_paths
from cascade_tui.shipped_files import example_configs, free_path
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.path_input import PathInput
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.fields import OPTIONS
from engine.run.files import atomic_write_text

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_INTRODUCTION = "Fine-tune the Stable Cascade Stage C prior: configure, check, launch, watch."
_BEFORE_EXAMPLES = 3
"""Choices above those of the examples."""


class WelcomeScreen(Screen[None]):
    """Examples to begin from, and an input for the path of a config or a run."""

    BINDING_GROUP_TITLE = "Welcome"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "guide", "New: four questions", id="welcome.guide"),
        Binding("o", "open_path", "Open a path", id="welcome.open"),
        Binding("d", "demo", "Demo", tooltip="train the demo", id="welcome.demo"),
        Binding("j,down", "list('cursor_down')", "Down", show=False, id="welcome.down"),
        Binding("k,up", "list('cursor_up')", "Up", show=False, id="welcome.up"),
        Binding("escape", "back", "Back", tooltip="back to the runs", id="welcome.back"),
    ]
    DEFAULT_CSS = """
    WelcomeScreen {
        & VerticalScroll { padding: 1 2; }
        & Static { height: auto; width: 1fr; }
        & #name { text-style: bold; color: $text-primary; margin-bottom: 1; }
        & OptionList { height: auto; max-height: 12; margin: 1 0; border: none; padding: 0; }
        & Input { width: 1fr; }
        & #wrong { color: $text-error; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._examples = example_configs()
        self._example: Path | None = None

    def compose(self) -> ComposeResult:
        """Introduction, choices, an input for paths, and what is wrong with the one typed."""
        with VerticalScroll():
            yield Static("cascade-tui", id="name", markup=False)
            yield Static(_INTRODUCTION, markup=False)
            yield OptionList(
                ListOption(
                    f"Open a config or a run directory ({shown_key('welcome.open', 'o')}) …"
                ),
                ListOption(f"New config from four answers ({shown_key('welcome.guide', 'n')}) …"),
                ListOption(f"Train the demo: no data, no GPU ({shown_key('welcome.demo', 'd')}) …"),
                *(ListOption(f"New config from the example {e.name}") for e in self._examples),
                markup=False,
            )
            yield PathInput(_paths_beginning, "path of a config or of a run directory")
            yield Static(id="wrong", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        others = (self.action_open_path, self.action_guide, self.action_demo)
        if event.option_index < _BEFORE_EXAMPLES:
            others[event.option_index]()
            return
        self._example = self._examples[event.option_index - _BEFORE_EXAMPLES]
        path = self.query_one(Input)
        path.value = str(free_path(Path(self._example.name)))
        path.cursor_position = len(path.value)
        self._say("enter writes the example there and opens it")
        path.focus()

    def action_open_path(self) -> None:
        """Type the path of what is there already."""
        self._example = None
        self._say("")
        self.query_one(Input).value = ""
        self.query_one(Input).focus()

    def action_guide(self) -> None:
        """Answer four questions; a config is made of them."""
        from cascade_tui.screens.guide import GuideScreen

        environment = cast("CascadeApp", self.app).environment
        self.app.push_screen(GuideScreen(environment), self._guided)

    def _guided(self, path: Path | None) -> None:
        if path is not None:
            cast("CascadeApp", self.app).open_config(path)

    def action_demo(self) -> None:
        """Train the demo, and watch it."""
        cast("CascadeApp", self.app).begin_demo()

    def action_back(self) -> None:
        """From the path back to the list of choices, from there to the runs."""
        if isinstance(self.focused, Input):
            self._say("")
            self.query_one(OptionList).focus()
        else:
            cast("CascadeApp", self.app).action_show_runs()

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        path = Path(os.path.expanduser(event.value.strip()))
        if not event.value.strip():
            return
        if self._example is not None and not self._write(self._example, path):
            return
        refusal = cast("CascadeApp", self.app).open_path(path)
        if refusal:
            self._say(refusal)

    def _write(self, example: Path, path: Path) -> bool:
        if cast("CascadeApp", self.app).refuses_writing():
            return False
        try:
            if path.exists():
                self._say(f"✖ {path} is there already; give another name")
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(path, example.read_text(encoding="utf-8"))
        except OSError as failure:
            self._say(f"✖ {path} cannot be written: {failure.strerror or failure}")
            return False
        return True

    def _say(self, text: str) -> None:
        self.query_one("#wrong", Static).update(text)


def _paths_beginning(text: str) -> list[str]:
    """What may be opened and begins so: folders, and files that can be configs."""
    found = suggest_paths(text, OPTIONS["data_backend_config"])
    return [path for path in found if path.endswith(("/", ".toml", ".json"))]
