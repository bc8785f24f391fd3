"""Reading the pictures out of what was written to a terminal, as the terminal does."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass

from PIL import Image

from cascade_tui.widgets.kitty import DIACRITICS, PLACEHOLDER


@dataclass(frozen=True)
class Kept:
    """A picture that a terminal has been given by kitty's protocol."""

    columns: int
    rows: int
    image: Image.Image


def kitty_pictures(output: str) -> dict[int, Kept]:
    """The pictures that were given and not taken away again, by number; checks the framing."""
    kept: dict[int, Kept] = {}
    keys: dict[str, str] = {}
    payload = ""
    for command in re.findall(r"\x1b_G(.*?)\x1b\\", output, re.DOTALL):
        control, _, chunk = command.partition(";")
        now = dict(part.split("=") for part in control.split(","))
        assert now["q"] == "2", "an answer would arrive as keystrokes"
        assert len(chunk) <= 4096
        if now.get("a") == "d":
            assert not payload
            assert now["d"] == "I"
            kept.pop(int(now["i"]))
            continue
        assert ("a" in now) == (not payload), "only the first chunk says what it is"
        keys = now if not payload else keys
        payload += chunk
        if now["m"] == "0":
            assert (keys["a"], keys["U"], keys["f"]) == ("T", "1", "100")
            image = Image.open(io.BytesIO(base64.b64decode(payload, validate=True)))
            assert image.format == "PNG"
            kept[int(keys["i"])] = Kept(int(keys["c"]), int(keys["r"]), image.convert("RGB"))
            payload = ""
    assert not payload
    return kept


def placeholder_cells(text: str) -> list[tuple[int, int]]:
    """Row and column of each placeholder in a text, in order."""
    pairs = re.findall(f"{PLACEHOLDER}(.)(.)", text)
    return [(DIACRITICS.index(row), DIACRITICS.index(column)) for row, column in pairs]


def sixel_picture(sequence: str) -> Image.Image:
    """The picture of a sixel sequence, black where nothing is drawn."""
    framed = re.fullmatch(r'\x1bP0;1;0q"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert framed is not None
    image = Image.new("RGB", (int(framed[1]), int(framed[2])))
    pixels = image.load()
    assert pixels is not None
    colours: dict[int, tuple[int, int, int]] = {}
    colour, x, y, last = (0, 0, 0), 0, 0, 0
    tokens = re.findall(
        r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|([$-])", framed[3]
    )
    for number, red, green, blue, chosen, count, repeated, single, move in tokens:
        if number:
            rgb = [round(int(part) * 255 / 100) for part in (red, green, blue)]
            colours[int(number)] = (rgb[0], rgb[1], rgb[2])
        elif chosen:
            colour = colours[int(chosen)]
        elif move:
            x, y = 0, y + (6 if move == "-" else 0)
        else:
            bits = ord(repeated or single) - 63
            for _ in range(int(count or 1)):
                for bit in range(6):
                    if bits >> bit & 1:
                        pixels[x, y + bit] = colour
                x += 1
            last = max(last, x)
    assert last == image.width
    return image


def inline_picture(sequence: str) -> tuple[dict[str, str], Image.Image]:
    """The keys and the picture of iTerm2's sequence."""
    framed = re.fullmatch(r"\x1b\]1337;File=([^:]*):([^\x07]*)\x07", sequence)
    assert framed is not None
    keys = dict(part.split("=") for part in framed[1].split(";"))
    file = base64.b64decode(framed[2], validate=True)
    assert len(file) == int(keys["size"])
    return keys, Image.open(io.BytesIO(file)).convert("RGB")
