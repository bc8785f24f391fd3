"""Lines as a terminal shows them that lacks colours or Unicode."""

from __future__ import annotations

import colorsys
from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from cascade_tui.widgets.braille import ascii_mark
from cascade_tui.widgets.half_blocks import UPPER_HALF

_STANDS_OUT = 42  # of 765: more than any two of a theme's calm backgrounds differ
_FAINT = 0.2  # of 1, in brightness
_SATURATED = 0.25
_SHADES = " ░▒▓█"
_ASCII_SHADES = " .:-=+*#%@"
_ASCII = str.maketrans(
    {
        **dict.fromkeys("─━┄┅┈┉╌╍═╴╶╸╺–—", "-"),
        **dict.fromkeys("│┃┆┇┊┋╎╏║╵╷╹╻▏▎▍▌▐▕‖", "|"),
        **dict.fromkeys("▁▂▃▄", "_"),
        **dict.fromkeys("▅▆▇█▉▊▋▓■", "#"),
        **dict.fromkeys("▀▔", '"'),
        **dict.fromkeys("✖×╳", "x"),
        **dict.fromkeys("→▸›▶►⏎↵", ">"),
        **dict.fromkeys("←◂‹◀◄", "<"),
        **dict.fromkeys("“”", '"'),
        **dict.fromkeys("‘’", "'"),
        **dict.fromkeys("↑", "^"),
        **dict.fromkeys("↓▾▼", "v"),
        **dict.fromkeys("●•◆", "*"),
        **dict.fromkeys("○◌", "o"),
        "▲": "!",
        "✔": "+",
        "·": "-",
        "…": "~",
        "░": ".",
        "▒": ":",
        "\u00a0": " ",
        "\u202f": " ",
    }
)


class AsciiOnly(LineFilter):
    """ASCII characters of the same width, in the place of all others."""

    def apply(
        self,
        segments: list[Segment],
        background: Color,  # noqa: ARG002
    ) -> list[Segment]:
        """The line in ASCII; two pixels of a picture become one blank in their mean colour."""
        return [self._ascii(segment) for segment in segments]

    @staticmethod
    def _ascii(segment: Segment) -> Segment:
        text, style, control = segment
        if text.isascii():
            return segment
        if style is not None and _is_picture(text, style):
            upper, lower = _colours(style)
            mean = Style(bgcolor=upper.blend(lower, 0.5).rich_color)
            return Segment(" " * len(text), style + mean)
        return Segment(in_ascii(text), style, control)


@lru_cache(4096)
def in_ascii(text: str) -> str:
    """A text in as many cells without any character that is not ASCII."""
    return "".join(
        character if character.isascii() else _in_ascii(character)
        for character in text.translate(_ASCII)
    )


def _in_ascii(character: str) -> str:
    code = ord(character)
    if 0x2800 <= code < 0x2900:
        return ascii_mark(code - 0x2800)
    if 0x2500 <= code < 0x2580:
        return "+"  # corners and crossings of frames
    return "?" * cell_len(character)


class WithoutColour(LineFilter):
    """No colours at all: what stands out is reversed, what is faint dim, pictures are shaded."""

    def __init__(self, *, is_ascii: bool) -> None:
        super().__init__()
        self._shades = _ASCII_SHADES if is_ascii else _SHADES

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line without colours."""
        return [self._plain(segment, background) for segment in segments]

    def _plain(self, segment: Segment, background: Color) -> Segment:
        text, style, control = segment
        if style is None or control:
            return segment
        if _is_picture(text, style):
            upper, lower = _colours(style)
            number = round(upper.blend(lower, 0.5).brightness * (len(self._shades) - 1))
            return Segment(self._shades[number] * len(text), Style(meta=style.meta))
        return Segment(text, _without_colour(style, background))


@lru_cache(4096)
def _without_colour(style: Style, background: Color) -> Style:
    foreground, own = _colours(style)
    is_marked = style.reverse or (style.bgcolor is not None and _differ(own, background))
    return Style(
        bold=style.bold or None,
        italic=style.italic or None,
        underline=style.underline or None,
        strike=style.strike or None,
        reverse=is_marked or None,
        dim=(not is_marked and _is_faint(style, foreground, own)) or None,
        meta=style.meta,  # what a click does
    )


class SixteenColours(LineFilter):
    """The colours of a terminal with eight or sixteen, by hue; what stands out is inverted."""

    def __init__(self, *, is_dark: bool) -> None:
        super().__init__()
        self._is_dark = is_dark

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The line in colours that the terminal has. Pictures are left to the nearest colours."""
        return [
            segment
            if segment.style is None or segment.control or _is_picture(segment.text, segment.style)
            else Segment(segment.text, _in_sixteen(segment.style, background, self._is_dark))
            for segment in segments
        ]


@lru_cache(4096)
def _in_sixteen(style: Style, background: Color, is_dark: bool) -> Style:
    foreground, own = _colours(style)
    paper, ink = ("black", "white") if is_dark else ("white", "black")
    if style.reverse or (style.bgcolor is not None and _differ(own, background)):
        colours = Style(color=paper, bgcolor=ink, reverse=False)
    else:
        is_faint = _is_faint(style, foreground, own)
        colour = "bright_black" if is_faint else _hue(foreground, is_dark) or ink
        colours = Style(color=colour, bgcolor=paper)
    return style + colours


def _hue(colour: Color, is_dark: bool) -> str | None:
    """The name of the nearest of six hues; None for greys."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*colour.normalized)
    if saturation < _SATURATED or not 0.15 < lightness < 0.92:
        return None
    names = ("red", "yellow", "green", "cyan", "blue", "magenta")
    name = names[round(hue * 6) % 6]
    return f"bright_{name}" if is_dark else name


def _is_picture(text: str, style: Style) -> bool:
    """Whether these are pixels of a picture, two a character."""
    return text[:1] == UPPER_HALF and style.color is not None and style.bgcolor is not None


def _colours(style: Style) -> tuple[Color, Color]:
    """Foreground and background; those that are left out are the terminal's own."""
    default = RichColor.default()
    return (
        Color.from_rich_color(style.color or default),
        Color.from_rich_color(style.bgcolor or default),
    )


def _differ(colour: Color, background: Color) -> bool:
    """Whether a background is told from that of the widget around it.

    A darker one on a dark ground is what a scroll bar runs in, and marks nothing.
    """
    if background.brightness < 0.5 and colour.brightness < background.brightness:
        return False
    pairs = zip(colour.rgb, background.rgb, strict=True)
    return sum(abs(own - other) for own, other in pairs) > _STANDS_OUT


def _is_faint(style: Style, foreground: Color, background: Color) -> bool:
    if style.color is None or style.bgcolor is None:
        return bool(style.dim)
    return bool(style.dim) or abs(foreground.brightness - background.brightness) < _FAINT
