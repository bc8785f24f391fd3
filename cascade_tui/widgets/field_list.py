"""Every field of a config in one list that draws only the lines in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from cascade_tui.draft import Field
from cascade_tui.field_text import shown_value
from cascade_tui.widgets.glyphs import CHANGED, GLYPHS, fit
from cascade_tui.widgets.shown_keys import shown_key
from engine.config.problems import Severity

_MARKERS = 4
"""Cells before a name: problem glyph, changed marker, and a blank after each."""
_TAIL_LINES = 7
"""Blank lines after the last field, so that the editor's message has room below any field."""
_BARE_KINDS = ("boolean", "integer", "number")


@dataclass(frozen=True, slots=True)
class Heading:
    """The line above a group's fields."""

    group: str


Line = Field | Heading


class FieldList(ScrollView, can_focus=True):
    """The fields, one line each, under the headings of their groups; one is highlighted."""

    BINDING_GROUP_TITLE = "Fields"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False, id="fields.up"),
        Binding("down,j", "move(1)", "Down", show=False, id="fields.down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="fields.page_up"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="fields.page_down"),
        Binding("g,home", "first", "First field", show=False, id="fields.first"),
        Binding("G,end", "last", "Last field", show=False, id="fields.last"),
        Binding("left,h", "group(-1)", "Previous group", show=False, id="fields.previous_group"),
        Binding("right,l", "group(1)", "Next group", show=False, id="fields.next_group"),
        Binding("enter", "edit", "Edit", id="fields.edit"),
        Binding("space", "cycle", "Next value", show=False, id="fields.cycle"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "fields--heading",
        "fields--name",
        "fields--value",
        "fields--default",
        "fields--cursor",
        "fields--error",
        "fields--warning",
        "fields--hint",
        "fields--changed",
    }
    DEFAULT_CSS = """
    FieldList {
        scrollbar-size-vertical: 1;
        overflow-x: hidden;
        background: $background;
        & > .fields--heading { color: $text-primary; text-style: bold; }
        & > .fields--name { color: $foreground; }
        & > .fields--value { color: $foreground; text-style: bold; }
        & > .fields--default { color: $foreground 60%; }
        & > .fields--error { color: $text-error; text-style: bold; }
        & > .fields--warning { color: $text-warning; text-style: bold; }
        & > .fields--hint { color: $text-accent; }
        & > .fields--changed { color: $text-primary; text-style: bold; }
        & > .fields--cursor { background: $panel; }
        &:focus > .fields--cursor { background: $primary 30%; }
    }
    """

    virtual_size = reactive(Size(0, 0), repaint=False)  # without layout: only what is inside moves
    highlighted: reactive[Field | None] = reactive(None, repaint=False)
    """The field under the cursor; to be watched, so that what it leads to is drawn in one go."""

    class EditRequested(Message):
        """The person wants to change ``field``."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    class Moved(Message):
        """The lines stand elsewhere on the screen than before."""

    class CycleRequested(EditRequested):
        """The person wants the next of the field's values (of a boolean, the other)."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._severities: Mapping[str, Severity] = {}
        self._cursor = 0
        self._longest_name = 0
        self._base: Style | None = None
        self._parts: dict[str, Style] = {}
        self._widths = (0, 0)

    # -- content -------------------------------------------------------------------------------

    def show(self, fields: Sequence[Field], severities: Mapping[str, Severity]) -> None:
        """Show these fields, with the worst problem of each by key; the cursor stays on its
        field, or near."""
        current = self.field
        lines: list[Line] = []
        for field in fields:
            if not lines or lines[-1].group != field.group:
                lines.append(Heading(field.group))
            lines.append(field)
        before, severities_before = self._lines, self._severities
        width_before = self.name_width
        self._lines, self._severities = tuple(lines), dict(severities)
        self._longest_name = max((len(field.name) for field in fields), default=0)
        self.virtual_size = Size(self.size.width, len(lines) + _TAIL_LINES)
        keys = keys_of(lines)
        if current is not None and current.key in keys:
            self._cursor = keys.index(current.key)
        else:
            self._cursor = self._nearest(min(self._cursor, max(0, len(lines) - 1)), 1)
        if keys_of(before) == keys and width_before == self.name_width:
            self._refresh_changed(before, severities_before)
        else:
            self.refresh()
        self.highlighted = self.field
        self.post_message(self.Moved())

    def _refresh_changed(
        self, before: Sequence[Line], severities_before: Mapping[str, Severity]
    ) -> None:
        """Draw the lines in view that differ; there are as many as before, of the same fields."""
        top = round(self.scroll_offset.y)
        for index in range(top, min(len(self._lines), top + self.size.height)):
            old, new = before[index], self._lines[index]
            is_same_sign = isinstance(new, Heading) or (
                severities_before.get(new.key) == self._severities.get(new.key)
            )
            if old != new or not is_same_sign:
                self._refresh_line(index)

    @property
    def field(self) -> Field | None:
        """The field under the cursor; None when there is none to show."""
        line = self._lines[self._cursor] if self._cursor < len(self._lines) else None
        return line if isinstance(line, Field) else None

    def is_on(self, field: Field | None) -> bool:
        """Whether the cursor is on this field, whatever its value is now."""
        return field is not None and self.field is not None and self.field.key == field.key

    @property
    def is_at_start(self) -> bool:
        """Whether the cursor is on the first field, as at the beginning."""
        return self._cursor == self._nearest(0, 1)

    @property
    def name_width(self) -> int:
        """Cells for a name, blanks before the value included."""
        width = self.scrollable_content_region.width
        return max(12, min(self._longest_name + 2, (width - _MARKERS) * 55 // 100))

    def value_region(self) -> Region:
        """Where the highlighted field's value stands, relative to this widget."""
        x = _MARKERS + self.name_width
        width = self.scrollable_content_region.width - x
        return Region(x, self._cursor - round(self.scroll_offset.y), max(8, width), 1)

    def make_room(self) -> None:
        """Scroll so that the editor's message has room below the highlighted field."""
        region = Region(0, self._cursor, 1, 1 + _TAIL_LINES)
        self.scroll_to_region(region, animate=False, force=True, immediate=True)

    # -- cursor --------------------------------------------------------------------------------

    def go_to(self, key: str) -> bool:
        """Put the cursor on a field; False if it is not in the list now."""
        for index, line in enumerate(self._lines):
            if isinstance(line, Field) and line.key == key:
                self._move_to(index)
                return True
        return False

    def go_to_group(self, group: str) -> bool:
        """Put the cursor on the first field of a group; False if it is not in the list now."""
        for index, line in enumerate(self._lines):
            if isinstance(line, Field) and line.group == group:
                self._move_to(index)
                return True
        return False

    def _nearest(self, index: int, direction: int) -> int:
        """The nearest line at or after ``index`` that holds a field, else the nearest before."""
        for step in (direction, -direction):
            candidate = index
            while 0 <= candidate < len(self._lines):
                if isinstance(self._lines[candidate], Field):
                    return candidate
                candidate += step
        return 0

    def _move_to(self, index: int, direction: int = 1) -> None:
        if not self._lines:
            return
        old = self._cursor
        self._cursor = self._nearest(max(0, min(index, len(self._lines) - 1)), direction)
        above = self._cursor - 1
        has_heading = above >= 0 and isinstance(self._lines[above], Heading)
        top = above if has_heading else self._cursor
        self.scroll_to_region(
            Region(0, top, 1, self._cursor - top + 2), animate=False, force=True, immediate=True
        )
        if old != self._cursor:
            self._refresh_line(old)
            self._refresh_line(self._cursor)
            self.highlighted = self.field

    def _refresh_line(self, line: int) -> None:
        y = line - round(self.scroll_offset.y)
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def action_move(self, by: int) -> None:
        """Move the cursor by lines."""
        target = self._cursor + by
        while 0 <= target < len(self._lines) and isinstance(self._lines[target], Heading):
            target += by
        if 0 <= target < len(self._lines):
            self._move_to(target, by)
        elif by < 0:
            self.scroll_to(y=0, animate=False)

    def action_page(self, by: int) -> None:
        """Move the cursor by nearly the height of the list."""
        self._move_to(self._cursor + by * max(1, self.size.height - 2), by)

    def action_first(self) -> None:
        """Go to the first field."""
        self._move_to(0)
        self.scroll_to(y=0, animate=False)

    def action_last(self) -> None:
        """Go to the last field."""
        self._move_to(len(self._lines) - 1, -1)

    def action_group(self, by: int) -> None:
        """Go to the first field of the next or previous group."""
        starts = [i + 1 for i, line in enumerate(self._lines) if isinstance(line, Heading)]
        if by > 0:
            target = next((start for start in starts if start > self._cursor), None)
        else:
            target = next((start for start in reversed(starts) if start < self._cursor), None)
        if target is not None:
            self._move_to(target)

    def action_edit(self) -> None:
        """Ask for the highlighted field to be edited."""
        if self.field is not None:
            self.post_message(self.EditRequested(self.field))

    def action_cycle(self) -> None:
        """Ask for the highlighted field's next value."""
        if self.field is not None:
            self.post_message(self.CycleRequested(self.field))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same field edits it."""
        line = event.y + round(self.scroll_offset.y)
        if not 0 <= line < len(self._lines) or isinstance(self._lines[line], Heading):
            return
        if line == self._cursor and event.chain >= 2:
            self.action_edit()
        else:
            self._move_to(line)

    def on_resize(self) -> None:
        """Keep the virtual width equal to the real one: nothing scrolls sideways."""
        self.virtual_size = Size(self.size.width, len(self._lines) + _TAIL_LINES)
        self._move_to(self._cursor)
        self.post_message(self.Moved())

    def watch_virtual_size(self, size: Size) -> None:
        """The scroll bar follows at once."""
        if self.size:
            self._scroll_update(size)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell what lies over the lines that they moved."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self.post_message(self.Moved())

    # -- drawing -------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a region; what all of them have in common is looked up once."""
        self._base, self._parts = self.rich_style, {}
        self._widths = self.scrollable_content_region.width, self.name_width
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        index = y + round(self.scroll_offset.y)
        base = self._base or self.rich_style
        width, name_width = self._widths
        if index >= len(self._lines):
            clear = shown_key("configure.clear_filters", "escape")
            text = f"nothing matches; {clear} shows all" if index == 0 else ""
            return Strip([Segment(fit("  " + text, width), base)], width)
        line = self._lines[index]
        if isinstance(line, Heading):
            style = base + self._part("heading")
            return Strip([Segment(fit(f" {line.group} ".ljust(width, "─"), width), style)], width)
        segments = self._field_segments(line, index == self._cursor, width, name_width)
        return Strip([Segment(text, base + style) for text, style in segments], width)

    def _field_segments(
        self, field: Field, is_current: bool, width: int, name_width: int
    ) -> list[tuple[str, Style]]:
        severity = self._severities.get(field.key)
        glyph = GLYPHS[severity] if severity else " "
        value, is_default = self._value_text(field)
        severity_style = self._part(severity) if severity else Style()
        usual = ("name" if is_current else "default") if is_default else "value"
        segments = [
            (f"{glyph} ", severity_style),
            (f"{CHANGED if field.is_changed else ' '} ", self._part("changed")),
            (fit(field.name, name_width - 1) + " ", self._part("name")),
            (fit(value, width - _MARKERS - name_width), severity_style or self._part(usual)),
        ]
        if is_current:
            under = Style(bgcolor=self.get_component_rich_style("fields--cursor").bgcolor)
            segments = [(text, style + under) for text, style in segments]
        return segments

    @staticmethod
    def _value_text(field: Field) -> tuple[str, bool]:
        text = shown_value(field.effective)
        if isinstance(field.value, str) and field.option and field.option.kind in _BARE_KINDS:
            text = f'"{text}"'  # what is wrong with it is that it is text
        unit = f" {field.option.unit}" if field.option and field.option.unit else ""
        unit = unit.removesuffix("s") if text == "1" else unit
        if field.is_overridden:
            return f"{text}{unit}  (--set)", False
        if field.value is None and field.option is None:
            return "", True
        if not text:
            return "(empty)", not field.is_changed
        return text + unit, not field.is_changed

    def _part(self, name: str) -> Style:
        if name not in self._parts:
            full = self.get_component_rich_style(f"fields--{name}")
            self._parts[name] = Style(color=full.color, bold=full.bold)
        return self._parts[name]


def keys_of(lines: Sequence[Line]) -> list[str | None]:
    """The key of each line's field; None for a heading."""
    return [line.key if isinstance(line, Field) else None for line in lines]
