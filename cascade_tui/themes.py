"""Colours to choose from, and the choice remembered from one start to the next."""

from __future__ import annotations

import os
from pathlib import Path

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme

from cascade_tui.type_ahead import TypeAhead
from engine.run.files import atomic_write_text

DARK = Theme(
    "cascade-dark",
    primary="#0178d4",
    secondary="#a277d9",
    accent="#ffa62b",
    warning="#ffa62b",
    error="#ba3c5b",
    success="#4ebf71",
    foreground="#e0e0e0",
    background="#121212",
    surface="#1e1e1e",
    panel="#242f38",
)
LIGHT = Theme(
    "cascade-light",
    primary="#004578",
    secondary="#6a3fa0",
    accent="#8f4a00",
    warning="#8f4a00",
    error="#a8173b",
    success="#136c35",
    foreground="#141414",
    background="#fcfcfc",
    surface="#f0f0f0",
    panel="#dfe5ea",
    dark=False,
)
HIGH_CONTRAST = Theme(
    "high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    warning="#ffd700",
    error="#ff8080",
    success="#00ff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#3a3a3a",
    variables={"text-muted": "#ffffff"},
)
# Okabe and Ito's colours: told apart with any kind of colour vision.
COLOUR_BLIND = Theme(
    "colour-blind",
    primary="#56b4e9",
    secondary="#cc79a7",
    accent="#e69f00",
    warning="#f0e442",
    error="#d55e00",
    success="#009e73",
    foreground="#e8e8e8",
    background="#121212",
    surface="#1e1e1e",
    panel="#242f38",
)
THEMES = {
    "dark": DARK.name,
    "light": LIGHT.name,
    "high-contrast": HIGH_CONTRAST.name,
    "colour-blind": COLOUR_BLIND.name,
}
"""What a person calls a theme, and what textual does."""


_ANSI = {
    "black": "background",
    "red": "text-error",
    "green": "text-success",
    "yellow": "text-warning",
    "blue": "text-primary",
    "magenta": "text-secondary",
    "cyan": "text-accent",
    "white": "foreground",
}
"""What the terminal's eight colours are called in a theme, in their order."""


def ansi_colours(theme: Theme) -> TerminalTheme:
    """What a text styled "red" or "green" looks like: the theme's own error and success."""
    variables = theme.to_color_system().generate()
    colours = [Color.parse(variables[name]).rgb for name in _ANSI.values()]
    return TerminalTheme(colours[0], colours[7], colours, colours)


def theme_file() -> Path:
    """Where the choice is kept."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "cascade-tui" / "theme"


def remembered_theme() -> str | None:
    """The name that was chosen last; None without a readable choice."""
    try:
        return theme_file().read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def remember_theme(name: str) -> None:
    """Keep a choice. Raises OSError if it cannot be written."""
    path = theme_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, f"{name}\n", durable=False)


class ThemedApp(TypeAhead, inherit_bindings=False):
    """An app with these themes; one that is chosen while it runs is remembered."""

    is_readonly = False

    def use_theme(self, chosen: str | None) -> None:
        """The theme that was asked for, else the one remembered, else dark."""
        for theme in (DARK, LIGHT, HIGH_CONTRAST, COLOUR_BLIND):
            self.register_theme(theme)
        wanted = THEMES[chosen] if chosen else remembered_theme()
        self.theme = wanted if wanted in self.available_themes else DARK.name

    def action_next_theme(self) -> None:
        """The next of our themes, remembered."""
        names = list(THEMES.values())
        number = names.index(self.theme) + 1 if self.theme in names else 0
        self.theme = names[number % len(names)]

    def watch_theme(self, theme: str) -> None:
        """Colour words alike; remember a theme that is chosen while the app runs."""
        self.ansi_theme_dark = self.ansi_theme_light = ansi_colours(self.current_theme)
        if not self.is_running or self.is_readonly:
            return
        try:
            remember_theme(theme)
        except OSError as failure:
            self.notify(f"the theme is not remembered: {failure.strerror}", markup=False)
