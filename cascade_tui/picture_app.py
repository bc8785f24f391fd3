"""What an app that shows pictures and its widgets share: the way to draw, and the one writer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from rich.console import RenderableType
from textual.screen import Screen
from textual.signal import Signal

from cascade_tui.pictures import Setting, Way, choose_way
from cascade_tui.themes import ThemedApp

if TYPE_CHECKING:  # decoding pictures takes imports that the first screen need not wait for
    from cascade_tui.follow.snapshot import Picture
    from cascade_tui.widgets.shelf import Shelf


class PictureApp(ThemedApp, inherit_bindings=False):
    """An app whose pictures are half blocks, or pixels where the terminal draws them."""

    picture_way: Way = "half"
    """How pictures are drawn now."""

    def use_pictures(self, asked: Setting) -> None:
        """Draw as asked, if that can be done here."""
        self._choice = choose_way(
            asked, os.environ, has_true_colour=self.console.color_system == "truecolor"
        )
        self.picture_way = self._choice.way
        self.shelves: WeakSet[Shelf] = WeakSet()
        self.redraw_pictures: Signal[None] = Signal(self, "redraw-pictures")

    def on_mount(self) -> None:
        """Say if pictures are not drawn as asked; draw again after a suspension."""
        if self._choice.refusal:
            self.notify(self._choice.refusal)
        self.app_resume_signal.subscribe(self, lambda _: self.redraw_pictures.publish(None))

    @property
    def has_pixels(self) -> bool:
        """Whether this terminal draws pixels; half blocks may be chosen nevertheless."""
        return self._choice.way not in ("half", "off")

    def toggle_pixels(self) -> None:
        """Half blocks instead of pixels, or pixels again, until the app ends."""
        self.picture_way = self._choice.way if self.picture_way == "half" else "half"
        self.redraw_pictures.publish(None)

    def send(self, sequence: str) -> None:
        """Write to the terminal, after what textual has written, never in the middle of it."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def exit(
        self, result: int | None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Leave nothing in the terminal's memory."""
        for shelf in self.shelves:
            shelf.clear()
        super().exit(result, return_code, message)


class PicturesScreen(Screen[None]):
    """What the screens of pictures have in common; their key for pixels is there if they are."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key for pixels where there are none."""
        if action == "pixels":
            return isinstance(self.app, PictureApp) and self.app.has_pixels
        return super().check_action(action, parameters)

    def action_pixels(self) -> None:
        """Half blocks instead of pixels, or pixels again."""
        assert isinstance(self.app, PictureApp)
        self.app.toggle_pixels()

    def copy_path(self, picture: Picture | None) -> None:
        """Copy a picture's path, through the terminal (OSC 52)."""
        if picture is None:
            self.notify("there is no picture here", severity="warning")
            return
        path = str(Path(picture.path).absolute())
        self.app.copy_to_clipboard(path)
        self.notify(f"sent to the clipboard: {path}", markup=False)

    def open_outside(self, picture: Picture | None, copy_key: str) -> None:
        """Open a picture in the desktop's viewer; ``copy_key`` is the way without a desktop."""
        if picture is None:
            self.notify("there is no picture here", severity="warning")
            return
        from cascade_tui.viewer import NoViewerError, open_outside

        try:
            open_outside(Path(picture.path))
        except NoViewerError as failure:
            reason = f"{failure}; {copy_key} copies its path"
            self.notify(reason, severity="warning", markup=False)
        else:
            self.notify(f"opening {picture.path}", markup=False)
