"""A footer that fills its line: more keys where there is room, help and quit always."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_LAST = ("help", "quit")


class KeyFooter(Footer):
    """The keys that a screen shows, as many as fit, and then ``more``, those by their ids.

    Those whose ids are in the screen's ``hidden_keys`` are left out. Help and quit end the line at
    any width, so that it never hides the way out.
    """

    def __init__(self, *more: str) -> None:
        super().__init__(show_command_palette=False, compact=True)
        self._more = more

    def compose(self) -> ComposeResult:
        """A part for each key."""
        if not self._bindings_ready:
            return
        for active in self._fitting(self.app.size.width):
            binding = active.binding
            yield FooterKey(
                binding.key,
                self.app.get_key_display(binding),
                binding.description,
                binding.action,
                disabled=not active.enabled,
                tooltip=active.tooltip,
            ).data_bind(compact=Footer.compact)

    def on_resize(self, event: events.Resize) -> None:
        """Another width holds other keys."""
        if self._bindings_ready and len(self.children) != len(self._fitting(event.size.width)):
            self.call_after_refresh(self.recompose)

    def _fitting(self, width: int) -> Sequence[ActiveBinding]:
        by_action: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            by_action.setdefault(active.binding.action, active)
        hidden = getattr(self.screen, "hidden_keys", ())
        known = [a for a in by_action.values() if a.binding.id not in hidden]
        shown = [active for active in known if active.binding.show]
        last = [active for active in shown if _name(active.binding) in _LAST]
        by_id = {active.binding.id: active for active in known if not active.binding.show}
        more = [by_id[identity] for identity in self._more if identity in by_id]
        room = width + 1 - sum(map(self._cells, last))
        fitting: list[ActiveBinding] = []
        for active in [*(a for a in shown if a not in last), *more]:
            if self._cells(active) <= room:
                room -= self._cells(active)
                fitting.append(active)
        return [*fitting, *last]

    def _cells(self, active: ActiveBinding) -> int:
        """The width of a key with what it does, and the gap after it."""
        binding = active.binding
        return cell_len(self.app.get_key_display(binding)) + cell_len(binding.description) + 2


def _name(binding: Binding) -> str:
    return binding.action.removeprefix("app.")
