"""The data backends of a draft: add, duplicate, remove, and what the buckets would hold."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option as ListOption
from textual.worker import get_current_worker

from cascade_tui.bucket_preview import BucketPreview, preview_buckets
from cascade_tui.draft import Draft, Snapshot
from cascade_tui.draft_backends import (
    BackendError,
    Kind,
    add_backend,
    backends_of,
    duplicate_backend,
    is_text_cache,
    remove_backend,
)
from cascade_tui.field_text import shown_value
from cascade_tui.widgets.glyphs import GLYPHS, READY, fit, printable
from cascade_tui.widgets.key_footer import KeyFooter
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.backends import ImageBackend, backend_key
from engine.config.environment import Environment
from engine.config.problems import Problem, Severity

_BACKENDS = "data_backend"
_STYLES: dict[Severity, str] = {"error": "red", "warning": "yellow", "hint": ""}
_BAR_CELLS = 20
_TOLD_EVERY = 50


class DatasetsScreen(ModalScreen[str | None]):
    """A list of backends beside what is in each; ends with the key of a field to edit, or None."""

    BINDING_GROUP_TITLE = "Datasets"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "edit", "Edit", id="datasets.edit", priority=True),
        Binding("a", "add('images')", "Add folder", id="datasets.add_images"),
        Binding("A", "add('text_embeds')", "Add cache", id="datasets.add_text"),
        Binding("c", "duplicate", "Copy", id="datasets.copy"),
        Binding("x,delete", "remove", "Remove", id="datasets.remove"),
        Binding("b", "count", "Buckets", id="datasets.buckets"),
        Binding("u", "undo", "Undo", id="datasets.undo"),
        Binding("U,ctrl+r", "redo", "Redo", show=False, id="datasets.redo"),
        Binding("j", "list('cursor_down')", "Down", show=False, id="datasets.down"),
        Binding("k", "list('cursor_up')", "Up", show=False, id="datasets.up"),
        Binding("J", "scroll(3)", "Scroll", show=False, id="datasets.scroll"),
        Binding("K", "scroll(-3)", "Scroll back", show=False, id="datasets.scroll_back"),
        Binding("question_mark", "app.help", "Help", key_display="?", id="datasets.help"),
        Binding("escape,q", "back", "Back", key_display="esc", id="datasets.back"),
    ]
    DEFAULT_CSS = """
    DatasetsScreen {
        background: $background;
        & #title { height: 1; padding: 0 1; background: $surface; text-wrap: nowrap;
                   text-overflow: ellipsis; }
        & Horizontal { height: 1fr; }
        & OptionList { width: 28; height: 1fr; background: $background; border: none; padding: 0;
                       border-right: solid $foreground 40%; scrollbar-size-vertical: 1; }
        & OptionList:focus { background-tint: $background 0%; }
        & VerticalScroll { width: 1fr; height: 1fr; padding: 0 2; scrollbar-size-vertical: 1; }
        & Static { height: auto; width: 1fr; }
        & #problems, & #buckets { margin-top: 1; }
    }
    """

    class Progress(Message):
        """So many of the pictures were looked at."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.done, self.total = done, total

    class Previewed(Message):
        """A thread has sorted the pictures of a backend into buckets, or says why not."""

        def __init__(self, identity: str, preview: BucketPreview | None, refusal: str = "") -> None:
            super().__init__()
            self.identity, self.preview, self.refusal = identity, preview, refusal

    class Checked(Message):
        """A thread has checked the draft as it was at ``snapshot``."""

        def __init__(self, problems: Sequence[Problem], snapshot: Snapshot) -> None:
            super().__init__()
            self.problems, self.snapshot = tuple(problems), snapshot

    def __init__(self, draft: Draft, environment: Environment | None = None) -> None:
        """``environment`` is what rules see of the machine; left out, it is looked at."""
        super().__init__()
        self.draft = draft
        self._environment = environment
        self._ids: list[str] = []
        self._problems: tuple[Problem, ...] = ()

    def compose(self) -> ComposeResult:
        """Title, the backends, what the highlighted one says and holds, the keys."""
        yield Static(id="title", markup=False)
        with Horizontal():
            yield OptionList(markup=False)
            with VerticalScroll(can_focus=False):
                yield Static(id="about", markup=False)
                yield Static(id="problems", markup=False)
                yield Static(id="buckets", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(OptionList).focus()
        self._show()

    # -- what is shown -------------------------------------------------------------------------

    @property
    def identity(self) -> str | None:
        """The id of the highlighted backend; None in an empty list."""
        place = self.query_one(OptionList).highlighted
        return self._ids[place] if place is not None and place < len(self._ids) else None

    def _show(self, identity: str | None = None) -> None:
        """Show the backends as they are now, the cursor on one or where it was."""
        lines = self.query_one(OptionList)
        place = lines.highlighted or 0
        backends = backends_of(self.draft)
        self._ids = [name for name, _ in backends]
        lines.clear_options()
        for name, values in backends:
            kind = "text" if is_text_cache(values) else "images"
            lines.add_option(ListOption(f"{fit(name, 18)} {kind}"))
        if identity in self._ids:
            place = self._ids.index(identity)
        lines.highlighted = min(place, len(backends) - 1) if backends else None
        source = self.draft.backends_document or self.draft.document
        count = f"{len(backends)} backend{'' if len(backends) == 1 else 's'}"
        title = f"Datasets  {source.path}  ·  {count}"
        self.query_one("#title", Static).update(printable(title))
        self._show_backend()
        self._check(self.draft.copy(), self.draft.snapshot())

    @on(OptionList.OptionHighlighted)
    def _show_backend(self) -> None:
        self.workers.cancel_group(self, "buckets")
        images = shown_key("datasets.add_images", "a")
        texts = shown_key("datasets.add_text", "A")
        about = f"No data backends yet: {images} adds a folder of pictures, "
        about += f"{texts} a cache of text embeds."
        hint = ""
        identity = self.identity
        if identity is not None:
            values = dict(backends_of(self.draft))[identity]
            about = "\n".join(
                f"{fit(key, 24)} {printable(shown_value(value))}" for key, value in values.items()
            )
            sort = shown_key("datasets.buckets", "b")
            hint = "" if is_text_cache(values) else f"{sort} sorts its pictures into buckets"
        self.query_one("#about", Static).update(about)
        self.query_one("#buckets", Static).update(hint)
        self._show_problems()

    def _show_problems(self) -> None:
        """What is wrong with the highlighted backend; without one, with the lack of it."""
        about = f"{backend_key(self.identity)}." if self.identity is not None else _BACKENDS
        text = Text()
        for problem in self._problems:
            if f"{problem.key}.".startswith(about):
                option = problem.key.rpartition(".")[2]
                fix = f" Fix: {problem.fix}" if problem.fix else ""
                words = f"{GLYPHS[problem.severity]} {option}: {problem.message}.{fix}"
                text.append("\n" if text else "")
                text.append(printable(words), _STYLES[problem.severity])
        told = self.query_one("#problems", Static)
        told.display = bool(text)
        told.update(text)

    @work(thread=True, exclusive=True, group="check")
    def _check(self, draft: Draft, snapshot: Snapshot) -> None:
        with contextlib.suppress(OSError):  # of a path that the config names: the form tells it
            problems = draft.check(self._environment).problems
            self.post_message(self.Checked(problems, snapshot))

    @on(Checked)
    def _checked(self, event: Checked) -> None:
        if event.snapshot == self.draft.snapshot():
            self._problems = event.problems
            self._show_problems()

    # -- edits ---------------------------------------------------------------------------------

    def action_add(self, kind: Kind) -> None:
        """Add a backend to fill in."""
        try:
            self._show(add_backend(self.draft, kind))
        except BackendError as failure:
            self.notify(str(failure), severity="error", markup=False)

    def action_duplicate(self) -> None:
        """Add a copy of the highlighted backend."""
        if self.identity is not None:
            self._show(duplicate_backend(self.draft, self.identity))

    def action_remove(self) -> None:
        """Take the highlighted backend out of the config; undo brings it back."""
        identity = self.identity
        if identity is not None:
            remove_backend(self.draft, identity)
            undo = shown_key("datasets.undo", "u")
            self.notify(f"{printable(identity)} is out of the list; {undo} undoes", markup=False)
            self._show()

    def action_undo(self) -> None:
        """Take the last edit back."""
        self._show(self.identity) if self.draft.undo() else self.notify("nothing to undo")

    def action_redo(self) -> None:
        """Do the undone edit again."""
        self._show(self.identity) if self.draft.redo() else self.notify("nothing to redo")

    def action_edit(self) -> None:
        """Edit the highlighted backend's options in the form."""
        if self.identity is not None:
            values = dict(backends_of(self.draft))[self.identity]
            option = "cache_dir" if is_text_cache(values) else "instance_data_dir"
            self.dismiss(backend_key(self.identity, option))

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_edit()

    def action_back(self) -> None:
        """Back to the form."""
        self.dismiss(None)

    def action_list(self, action: str) -> None:
        """Move within the list."""
        getattr(self.query_one(OptionList), f"action_{action}")()

    def action_scroll(self, by: int) -> None:
        """Scroll what is told of the backend."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    # -- buckets -------------------------------------------------------------------------------

    def action_count(self) -> None:
        """Sort the highlighted backend's pictures into buckets, in a thread."""
        identity = self.identity
        found = [b for b in self.draft.read().backends if b.id == identity]
        if identity is None or not found or not isinstance(found[0], ImageBackend):
            self.notify("buckets are for folders of pictures")
            return
        if not found[0].instance_data_dir:  # an empty path would be the working directory
            edit = shown_key("datasets.edit", "enter")
            self.notify(f"it has no instance_data_dir yet: {edit} edits it")
            return
        self.query_one("#buckets", Static).update("looking for pictures …")
        self._preview(identity, found[0])

    @work(thread=True, exclusive=True, group="buckets")
    def _preview(self, identity: str, backend: ImageBackend) -> None:
        from engine.data.scan import NoImagesError

        worker = get_current_worker()

        def tell(done: int, total: int) -> None:
            if done % _TOLD_EVERY == 0:
                self.post_message(self.Progress(done, total))

        try:
            preview = preview_buckets(
                backend, on_progress=tell, should_stop=lambda: worker.is_cancelled
            )
        except (NoImagesError, OSError, RuntimeError) as failure:  # ~ of an unknown user
            self.post_message(self.Previewed(identity, None, str(failure)))
        else:
            if preview.is_whole:
                self.post_message(self.Previewed(identity, preview))

    @on(Progress)
    def _progressed(self, event: Progress) -> None:
        text = f"{event.done:,} of {event.total:,} pictures looked at …"
        self.query_one("#buckets", Static).update(text)

    @on(Previewed)
    def _previewed(self, event: Previewed) -> None:
        if event.identity != self.identity:
            return
        text = f"{GLYPHS['error']} {printable(event.refusal)}"
        if event.preview is not None:
            text = _told(event.preview)
        self.query_one("#buckets", Static).update(text)


def _told(preview: BucketPreview) -> str:
    """The buckets as bars, then what is left out."""
    most = max(number for _, number in preview.buckets)
    lines = [f"{READY} {preview.num_images:,} to train on, by bucket (px)"]
    for (width, height), number in preview.buckets:
        bar = "█" * max(1, round(_BAR_CELLS * number / most))
        lines.append(f"  {f'{width}x{height}':>9}  {bar:<{_BAR_CELLS}} {number:,}")
    for reason, number in preview.left_out:
        lines.append(f"{GLYPHS['warning']} {number:,} left out: {printable(reason)}")
    return "\n".join(lines)
