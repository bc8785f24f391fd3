"""The first-run guide: four questions, what it chose and why, and where the config goes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from cascade_tui.guide import (
    CARDS_GB,
    DEFAULT_STEPS,
    PURPOSES,
    Answers,
    FolderCount,
    Guided,
    GuideError,
    Length,
    Purpose,
    guide,
    parse_length,
)
from cascade_tui.picture_folders import Counted, folders_beginning, look_into
from cascade_tui.shipped_files import free_path
from cascade_tui.widgets.choice import Choice
from cascade_tui.widgets.glyphs import GLYPHS, READY, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.path_input import PathInput
from engine.config.environment import Environment, Gpu, likely_folder, probe_environment
from engine.run.files import atomic_write_text

if TYPE_CHECKING:
    from cascade_tui.app import CascadeApp

_ASKED_WITHOUT_GPU = CARDS_GB.index(24)


class GuideScreen(ModalScreen[Path | None]):
    """Asks four things and writes a config; ends with its path, or None."""

    BINDING_GROUP_TITLE = "Guide"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "write", "Write and open", id="guide.write", priority=True),
        Binding("down", "app.focus_next", "Next question", show=False, id="guide.next"),
        Binding("up", "app.focus_previous", "Question before", show=False, id="guide.before"),
        Binding("f1,question_mark", "app.help", "Help", key_display="f1", id="guide.help"),
        Binding("escape", "leave", "Back", id="guide.leave"),
    ]
    DEFAULT_CSS = """
    GuideScreen {
        background: $background;
        & #questions { padding: 0 2; height: 1fr; }
        & #name { text-style: bold; color: $text-primary; margin-bottom: 1; }
        & Horizontal { height: 1; }
        & .asked { width: 15; }
        & Input { width: 1fr; }
        & .told { padding-left: 15; height: auto; color: $text-muted; margin-bottom: 1; }
        & #chosen { height: auto; margin: 0 0 1 0; }
        & .told.-wrong { color: $text-error; }
    }
    """

    class FolderCounted(Message):
        """A thread has counted the folder that was typed as ``text``."""

        def __init__(self, text: str, counted: Counted) -> None:
            super().__init__()
            self.text, self.counted = text, counted

    class FolderFound(Message):
        """A thread has found the folder that is most likely meant."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Probed(Message):
        """A thread has looked at this machine."""

        def __init__(self, environment: Environment) -> None:
            super().__init__()
            self.environment = environment

    def __init__(self, environment: Environment | None = None) -> None:
        super().__init__()
        self._environment = environment
        self._cards: list[float] = list(CARDS_GB)
        self._counted: Counted | None = None
        self._made: Guided | None = None
        self._refused_path: str | None = None

    def compose(self) -> ComposeResult:
        """The four questions, what follows from the answers, and the path."""
        with VerticalScroll(id="questions", can_focus=False):
            yield Static("A new config from four answers", id="name", markup=False)
            folder = PathInput(folders_beginning, "folder of your pictures", id="folder")
            yield from _asked("1 Pictures in", folder)
            yield Static("tab or enter goes on", id="counted", classes="told", markup=False)
            purposes = Choice(list(PURPOSES.values()), id="purpose")
            yield from _asked("2 To learn", purposes)
            yield from _asked("3 On a card of", Choice(["looking …"], id="card"))
            yield from _asked("4 For", self._input("length", "3000 steps, 90 min, 2 h"))
            yield Static(id="chosen", classes="told", markup=False)
            yield from _asked("Write it to", self._input("path", "path of the new config"))
            yield Static(id="unwritten", classes="told -wrong", markup=False)
        yield KeyFooter()

    @staticmethod
    def _input(name: str, placeholder: str) -> Input:
        line = Input(placeholder=placeholder, compact=True, id=name)
        line.cursor_blink = False
        return line

    def on_mount(self) -> None:
        """Begin with the folder; look for GPUs meanwhile."""
        self._text("length", f"{DEFAULT_STEPS[self._purpose]} steps")
        self._text("path", str(free_path(Path("my-run.toml"))))
        self.query_one("#folder", Input).focus()
        self._find_folder()
        if self._environment is None:
            self._probe()
        else:
            self._show_cards(self._environment.gpus)

    @work(thread=True, group="find")
    def _find_folder(self) -> None:
        self.post_message(self.FolderFound(likely_folder(Path())))

    @on(FolderFound)
    def _found_folder(self, event: FolderFound) -> None:
        """Offer it, selected: what is typed takes its place."""
        folder = self.query_one("#folder", Input)
        if event.text and not folder.value:
            self._text("folder", event.text)
            folder.action_select_all()

    @work(thread=True, group="probe")
    def _probe(self) -> None:
        self.post_message(self.Probed(probe_environment()))

    @on(Probed)
    def _probed(self, event: Probed) -> None:
        self._environment = event.environment
        self._show_cards(event.environment.gpus)
        self._show()

    def _show_cards(self, gpus: tuple[Gpu, ...]) -> None:
        sizes = [f"{size} GB" for size in CARDS_GB]
        if gpus:
            largest = max(gpus, key=lambda gpu: gpu.total_bytes)
            has = largest.total_bytes / 1e9
            self._cards = [has, *CARDS_GB]
            found = f"{has:.0f} GB: {printable(largest.name)}, found here"
            self.query_one("#card", Choice).show([found, *sizes], 0)
            return
        self._cards = list(CARDS_GB)
        labels = [f"{size} (none was found here)" for size in sizes]
        self.query_one("#card", Choice).show(labels, _ASKED_WITHOUT_GPU)

    # -- answers -------------------------------------------------------------------------------

    @property
    def _purpose(self) -> Purpose:
        return list(PURPOSES)[self.query_one("#purpose", Choice).chosen]

    def _text(self, name: str, text: str) -> None:
        line = self.query_one(f"#{name}", Input)
        line.value = text
        line.cursor_position = len(text)

    @on(Input.Changed, "#folder")
    def _folder_typed(self, event: Input.Changed) -> None:
        self._counted = None
        self._count_soon(event.value)
        self._show()

    @work(thread=True, exclusive=True, group="count")
    def _count_soon(self, text: str) -> None:
        self.post_message(self.FolderCounted(text, look_into(text)))

    @on(FolderCounted)
    def _was_counted(self, event: FolderCounted) -> None:
        if event.text == self.query_one("#folder", Input).value:
            self._counted = event.counted
            self._say("counted", *_told(event.counted))
            self._show()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        length = self.query_one("#length", Input)
        if event.choice.id == "purpose" and length.value in {
            f"{steps} steps" for steps in DEFAULT_STEPS.values()
        }:
            self._text("length", f"{DEFAULT_STEPS[self._purpose]} steps")
        self._show()

    @on(Input.Changed, "#length")
    def _length_typed(self) -> None:
        self._show()

    @on(Input.Changed, "#path")
    def _path_typed(self, event: Input.Changed) -> None:
        if event.value != self._refused_path:
            self._refused_path = None
            self._say("unwritten", "")

    def _show(self) -> None:
        """What the answers lead to, or what is wrong with the length."""
        self._made = None
        try:
            length = parse_length(self.query_one("#length", Input).value)
        except GuideError as failure:
            self._say("chosen", str(failure), True)
            return
        counted = self._counted
        if counted is not None and not counted.refusal and self._environment is not None:
            try:
                self._made = guide(self._answers(length, counted.count))
            except GuideError as failure:  # the name of the folder
                self._counted = Counted(counted.count, str(failure))
                self._say("counted", str(failure), True)
        reasons = self._made.reasons if self._made else ()
        self._say("chosen", "\n".join(f"{GLYPHS['hint']} {reason}" for reason in reasons))

    def _answers(self, length: Length, count: FolderCount) -> Answers:
        folder = Path(os.path.expanduser(self.query_one("#folder", Input).value)).absolute()
        card = self._cards[self.query_one("#card", Choice).chosen]
        packages = self._environment.packages if self._environment else frozenset[str]()
        return Answers(folder, count, self._purpose, card, length, packages)

    # -- the end -------------------------------------------------------------------------------

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "path":
            self.action_write()
        else:
            self.focus_next()

    @on(Choice.Taken)
    def _taken(self) -> None:
        self.focus_next()

    def action_leave(self) -> None:
        """Back, without a config."""
        self.dismiss(None)

    def action_write(self) -> None:
        """Write the config and open it."""
        if cast("CascadeApp", self.app).refuses_writing():
            return
        if self._made is None:
            self._point_at_what_is_missing()
            return
        path = Path(os.path.expanduser(self.query_one("#path", Input).value.strip()))
        if path.suffix != ".toml":
            self._refuse("give a path that ends in .toml")
            return
        try:
            if path.exists():
                self._refuse("a file of that name is there already; give another name")
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(path, self._made.text)
        except (FileExistsError, NotADirectoryError):
            self._refuse("the folder of that path is a file")
            return
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "strerror", None) or str(failure)
            self._refuse(f"it cannot be written there: {reason}")
            return
        self.dismiss(path)

    def _point_at_what_is_missing(self) -> None:
        counted = self._counted
        if counted is not None and not counted.refusal:  # the length, or this machine is looked at
            self.query_one("#length", Input).focus()
            return
        self.query_one("#folder", Input).focus()
        self._say("counted", *_told(counted))

    def _refuse(self, why: str) -> None:
        path = self.query_one("#path", Input)
        path.focus()
        self._refused_path = path.value
        self._say("unwritten", why, True)

    def _say(self, place: str, text: str, is_wrong: bool = False) -> None:
        told = self.query_one(f"#{place}", Static)
        told.set_class(is_wrong or place == "unwritten", "-wrong")
        told.update(f"{GLYPHS['error']} {printable(text)}" if is_wrong else text)


def _asked(question: str, answer: Input | Choice) -> ComposeResult:
    with Horizontal():
        yield Static(question, classes="asked", markup=False)
        yield answer


def _told(counted: Counted | None) -> tuple[str, bool]:
    """What is said of a folder, and whether it is wrong; None is still counted."""
    if counted is None:
        return "counting …", False
    if counted.refusal:
        return counted.refusal, True
    count = counted.count
    more = "" if count.is_all else "more than "
    images = f"{count.num_images:,} picture{'s' * (count.num_images != 1)}"
    return f"{READY} {more}{images}, {count.num_captions:,} with a .txt beside them", False
