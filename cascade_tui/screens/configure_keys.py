"""The keys of the form: the footer, the help screen and the palette are made from these."""

from __future__ import annotations

from textual.binding import Binding, BindingType


def _key(
    key: str,
    action: str,
    label: str,
    help: str,
    *,
    show: bool = True,
    key_display: str | None = None,
) -> Binding:
    """A binding with an id to rebind it by; ``help`` is for the help screen and the footer."""
    name = label.lower().replace(" ", "_").replace("$", "")
    return Binding(key, action, label, show, key_display, tooltip=help, id=f"configure.{name}")


CONFIGURE_KEYS: list[BindingType] = [
    _key("slash", "search", "Search", "search names, values and help", key_display="/"),
    _key("w", "save", "Save", "write the files that have edits"),
    _key("L", "launch", "Launch", "start the run; it outlives this viewer"),
    _key("f", "apply_fix", "Fix", "apply the fix of the field's problem"),
    _key("F", "fix_errors", "Fix all", "apply the fixes of all errors", show=False),
    _key("W", "fetch_weights", "Weights", "fetch the weights that are missing", show=False),
    _key("u", "undo", "Undo", "take the last edit back"),
    _key("U,ctrl+r", "redo", "Redo", "do the undone edit again", show=False),
    _key("d", "compare", "Compare", "what differs from file, defaults, a preset, a run"),
    _key("p", "presets", "Presets", "starting points that suit this GPU"),
    _key("B", "datasets", "Datasets", "data backends and their buckets", show=False),
    _key("V", "prompts", "Prompts", "the validation prompts, as a list", show=False),
    _key("a", "accelerate", "Accelerate", "processes, GPUs, the command", show=False),
    _key("v", "forecast", "Forecast", "memory, time and room that the run will take", show=False),
    _key("t", "raw_text", "Text", "edit the text of the file itself", show=False),
    _key("D", "to_default", "Default", "back to the default", show=False),
    _key("P", "toggle_filter('problems')", "Problems", "only fields with problems", show=False),
    _key("C", "toggle_filter('changed')", "Changed", "only fields that differ", show=False),
    _key("n", "next_problem(1)", "Next problem", "next field with a problem", show=False),
    _key("N", "next_problem(-1)", "Problem before", "field with a problem before", show=False),
    _key("J", "scroll_detail(1)", "Scroll detail", "scroll the explanation down", show=False),
    _key("K", "scroll_detail(-1)", "Scroll back", "scroll the explanation up", show=False),
    _key("escape", "clear", "Clear filters", "show all fields again", show=False),
    _key("e", "open_editor", "Open in $EDITOR", "open the file in $EDITOR", show=False),
    _key("R", "reload", "Reload", "read the file again", show=False),
]
