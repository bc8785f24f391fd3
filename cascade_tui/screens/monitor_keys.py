"""The keys of the Monitor: the footer, the help screen and the palette are made from these."""

from __future__ import annotations

from textual.binding import Binding, BindingType

STEERING = frozenset({"steer", "pause", "stop", "abort", "change"})
"""Actions that a run which is over does not obey."""
STEERING_IDS = frozenset(
    f"monitor.{name}"
    for name in ("checkpoint", "validate", "pause", "stop", "abort", "change", "resume")
)
"""The keys that change a run, by id."""
MORE_KEYS = (
    "monitor.gallery",
    "monitor.chart",
    "monitor.gpus",
    "monitor.alerts",
    "monitor.console",
    "monitor.log_axis",
)
"""What the footer shows too where there is room, by id."""
MONITOR_KEYS: list[BindingType] = [
    Binding("c", "steer('checkpoint')", "Checkpoint", id="monitor.checkpoint"),
    Binding("v", "steer('validate')", "Validate", id="monitor.validate"),
    Binding("p", "pause", "Pause", id="monitor.pause"),
    Binding("S", "stop", "Stop…", id="monitor.stop"),
    Binding("A", "abort", "Abort…", id="monitor.abort"),
    Binding("i", "change", "Change…", id="monitor.change"),
    Binding("r", "resume", "Resume", id="monitor.resume"),
    Binding("l", "app.show_log", "Log", id="monitor.log"),
    Binding("g", "app.show_gallery", "Gallery", show=False, id="monitor.gallery"),
    Binding(
        "exclamation_mark", "alerts", "Alerts", show=False, key_display="!", id="monitor.alerts"
    ),
    Binding("u", "gpus", "GPUs", show=False, id="monitor.gpus"),
    Binding("z", "toggle_console", "Console", show=False, id="monitor.console"),
    Binding("f", "chart", "Chart", show=False, id="monitor.chart"),
    Binding("0", "whole", "All steps", show=False, id="monitor.whole"),
    Binding("y", "toggle_log_axis", "Log axis", show=False, id="monitor.log_axis"),
    Binding("plus,equals_sign", "smooth(1)", "Smoother", show=False, id="monitor.smoother"),
    Binding("minus", "smooth(-1)", "Rougher", show=False, id="monitor.rougher"),
    Binding("left,h", "scrub(-1)", "Earlier pictures", show=False, id="monitor.earlier"),
    Binding("right", "scrub(1)", "Later pictures", show=False, id="monitor.later"),
    Binding("enter", "picture", "Picture", show=False, id="monitor.picture"),
    Binding("up,k", "scroll(1)", "Console up", show=False, id="monitor.up"),
    Binding("down,j", "scroll(-1)", "Console down", show=False, id="monitor.down"),
    Binding("pageup", "scroll(20)", "Console page up", show=False, id="monitor.page_up"),
    Binding("pagedown", "scroll(-20)", "Console page down", show=False, id="monitor.page_down"),
    Binding("escape", "small_console", "Back", show=False, id="monitor.back"),
]
