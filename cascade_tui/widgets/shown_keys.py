"""How texts call the key of an action, also one that was given another key."""

from __future__ import annotations

from textual._context import active_app

from cascade_tui.keymap import in_words


def shown_key(id: str, key: str) -> str:
    """The first key of an action, by the id of its binding; `key` is what it has by itself."""
    app = active_app.get(None)  # the app that this is drawn for; a text may be made without one
    chosen = {} if app is None else app._keymap
    return in_words(chosen.get(id, key).split(",")[0])
