"""Colours and material kinds, and the materials of a model's slots under each palette."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick
from sim_server.backends.rooms.draw import textures

Rgb = tuple[float, float, float]

# sRGB 0..255; six hues that remain distinct under warm and cold light.
NAMED_COLORS: dict[str, Rgb] = {
    "red": (205, 32, 36),
    "green": (38, 150, 55),
    "blue": (35, 75, 205),
    "yellow": (240, 208, 30),
    "purple": (128, 42, 160),
    "orange": (242, 118, 14),
}


class Kind(NamedTuple):
    """A pattern with its repeats per metre, its contrast, and the colours it has in the natural palette (sRGB)."""

    pattern: str
    repeats_per_m: float
    contrast: float
    colors: tuple[Rgb, ...]
    glow: float = 0.0


_WOODS: tuple[Rgb, ...] = ((176, 128, 82), (142, 96, 58), (98, 64, 42), (205, 166, 118), (226, 222, 212))
_CLOTH: tuple[Rgb, ...] = (
    (128, 132, 136), (92, 110, 134), (168, 150, 128), (116, 128, 104), (156, 88, 74), (70, 74, 82), (196, 182, 160),
)  # fmt: skip
KINDS: dict[str, Kind] = {
    "wood": Kind("wood", 1.6, 0.3, _WOODS),
    "fabric": Kind("fabric", 5.0, 0.14, _CLOTH),
    "linen": Kind("linen", 2.0, 0.08, ((232, 228, 220), (222, 218, 212))),
    "metal": Kind("plain", 1.0, 0.0, ((150, 152, 156), (96, 98, 102), (176, 150, 100))),
    "plastic": Kind("plain", 1.0, 0.0, ((230, 230, 228), (60, 62, 66), (150, 156, 160))),
    "rubber": Kind("paint", 2.0, 0.06, ((190, 70, 50), (60, 100, 160), (230, 190, 80))),
    "ceramic": Kind("paint", 3.0, 0.05, ((236, 234, 228), (170, 120, 90), (90, 120, 130), (200, 190, 170))),
    "clay": Kind("paint", 3.0, 0.12, ((172, 98, 66), (210, 204, 194), (92, 94, 98))),
    "card": Kind("paint", 2.0, 0.14, ((184, 142, 96), (166, 124, 82))),
    "tape": Kind("plain", 1.0, 0.0, ((206, 190, 150),)),
    "wicker": Kind("wicker", 4.0, 0.4, ((186, 148, 98), (140, 104, 66))),
    "leaf": Kind("leaf", 3.0, 0.25, ((70, 118, 54), (54, 98, 58), (96, 132, 60))),
    "soil": Kind("carpet", 6.0, 0.5, ((58, 42, 32),)),
    "dark": Kind("plain", 1.0, 0.0, ((44, 44, 48),)),
    "shade": Kind("linen", 2.0, 0.06, ((236, 222, 192), (222, 210, 190)), 0.55),
    "glow": Kind("plain", 1.0, 0.0, ((255, 240, 205),), 2.2),
    "book_a": Kind("plain", 1.0, 0.0, ((150, 62, 54), (170, 146, 96), (86, 92, 98))),
    "book_b": Kind("plain", 1.0, 0.0, ((62, 84, 120), (70, 96, 78), (186, 180, 166))),
    "book_c": Kind("plain", 1.0, 0.0, ((206, 196, 174), (116, 84, 66), (122, 128, 132))),
    "paper": Kind("plain", 1.0, 0.0, ((236, 234, 226),)),
    "screen": Kind("plain", 1.0, 0.0, ((22, 24, 28),)),
    "enamel": Kind("plain", 1.0, 0.0, ((236, 237, 236), (226, 228, 228))),
    "glass": Kind("plain", 1.0, 0.0, ((48, 78, 52), (86, 58, 34), (120, 146, 150))),
    "steel": Kind("paint", 1.0, 0.06, ((176, 180, 184), (206, 208, 210))),
    "lacquer": Kind(
        "paint", 2.0, 0.04, ((234, 234, 230), (92, 108, 104), (66, 78, 96), (196, 188, 172), (150, 158, 146))
    ),
    "stone": Kind("marble", 1.4, 0.16, ((70, 70, 74), (202, 198, 190), (150, 144, 138))),
    "appliance": Kind("plain", 1.0, 0.0, ((228, 228, 226), (52, 54, 58), (176, 58, 48), (170, 174, 178))),
    "pan": Kind("plain", 1.0, 0.0, ((60, 62, 66), (170, 172, 176), (150, 60, 48))),
    "fruit": Kind("paint", 6.0, 0.15, ((186, 44, 40), (150, 176, 62), (220, 178, 60))),
    "lotion": Kind("plain", 1.0, 0.0, ((110, 170, 190), (232, 226, 214), (214, 150, 150))),
    "mirror": Kind("mirror", 1.0, 0.0, ((234, 239, 240),)),
    "pane": Kind("plain", 1.0, 0.0, ((190, 212, 214),)),
    "curtain": Kind("linen", 2.0, 0.1, ((222, 214, 200), (150, 164, 172), (176, 128, 108), (128, 146, 126))),
    "clock": Kind("plain", 1.0, 0.0, ((52, 54, 58), (178, 62, 50), (196, 168, 112), (70, 110, 140))),
    "rug": Kind("carpet", 4.0, 0.22, ((168, 88, 72), (92, 108, 132), (186, 172, 148), (106, 116, 100), (96, 84, 98))),
    "rug_trim": Kind("carpet", 4.0, 0.18, ((222, 212, 194), (66, 66, 74), (196, 160, 110))),
    "coat": Kind("fabric", 5.0, 0.14, ((58, 72, 96), (120, 56, 52), (92, 92, 66), (176, 148, 108))),
    "piano": Kind("plain", 1.0, 0.0, ((30, 28, 28), (84, 48, 32))),
    "brass": Kind("plain", 1.0, 0.0, ((196, 160, 84),)),
    "cushion": Kind(
        "fabric", 5.0, 0.12, ((196, 142, 60), (70, 108, 116), (182, 92, 78), (222, 214, 198), (92, 96, 120))
    ),
    "plush": Kind("carpet", 8.0, 0.2, ((150, 104, 62), (196, 160, 116), (110, 80, 60))),
    "wax": Kind("plain", 1.0, 0.0, ((236, 228, 206), (170, 60, 54))),
    "statue": Kind("paint", 3.0, 0.1, ((222, 216, 204), (70, 72, 76), (176, 140, 76))),
    "art_sky": Kind("paint", 2.0, 0.1, ((168, 198, 214), (232, 196, 160), (210, 206, 190))),
    "art_hill": Kind("paint", 2.0, 0.1, ((110, 140, 120), (170, 110, 80), (90, 110, 140))),
    "art_near": Kind("paint", 2.0, 0.1, ((60, 88, 70), (120, 70, 60), (52, 66, 92))),
    "art_sun": Kind("plain", 1.0, 0.0, ((232, 160, 62), (214, 84, 62), (238, 220, 150))),
}

# In the named palette these kinds are grey, so that an object has only one colour.
_PLAIN_BOOKS: dict[str, Rgb] = {"book_a": (120, 116, 112), "book_b": (196, 192, 184), "book_c": (78, 76, 76)}
PAINT_CONTRAST = 0.5  # contrast of painted relative to bare material
MATCHING = 0.7  # probability that legs and doors have the same wood as the rest, natural palette
SECOND_SHADE = 0.62  # linear brightness of the "second" slot relative to the main colour, named palette


_PALE = 0.55


class Material(NamedTuple):
    pattern: int
    low: Rgb  # linear RGB where the pattern is 0
    high: Rgb  # linear RGB where it is 1
    repeats_per_m: float
    glow: float


def linear(srgb: Rgb) -> NDArray[np.float64]:
    """IEC 61966-2-1 decoding of sRGB 0..255 to linear 0..1."""
    c = np.asarray(srgb, float) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def material(kind_name: str, color_srgb: Rgb, shade: float = 1.0, contrast: float = 1.0) -> Material:
    kind = KINDS[kind_name]
    base = linear(color_srgb) * shade
    if base.min() > _PALE:  # white paint covers the grain
        contrast *= 0.3
    low, high = base * (1 - kind.contrast * contrast), np.minimum(base * (1 + kind.contrast * contrast), 1.0)
    return Material(
        textures.NAMES.index(kind.pattern),
        (float(low[0]), float(low[1]), float(low[2])),
        (float(high[0]), float(high[1]), float(high[2])),
        kind.repeats_per_m,
        kind.glow,
    )


def surface(pattern: str, low_srgb: Rgb, high_srgb: Rgb, repeats_per_m: float) -> Material:
    """A material of walls, floors or ceilings."""
    low, high = linear(low_srgb), linear(high_srgb)
    return Material(
        textures.NAMES.index(pattern),
        (float(low[0]), float(low[1]), float(low[2])),
        (float(high[0]), float(high[1]), float(high[2])),
        repeats_per_m,
        0.0,
    )


def slot_materials(kinds: dict[str, str], color: str, rng: np.random.Generator) -> dict[str, Material]:
    """The materials of a model's slots: painted in the named `color`, or natural ones if `color` is ""."""
    out: dict[str, Material] = {}
    for slot, kind in kinds.items():
        colors = KINDS[kind].colors
        natural = pick(colors, rng)
        if color and slot == "main":
            out[slot] = material(kind, NAMED_COLORS[color], 1.0, PAINT_CONTRAST)
        elif color and slot == "second":
            out[slot] = material(kind, NAMED_COLORS[color], SECOND_SHADE, PAINT_CONTRAST)
        elif color:
            out[slot] = material(kind, _PLAIN_BOOKS.get(kind, colors[0]))
        elif slot == "second" and kind == kinds["main"] and rng.random() < MATCHING:
            out[slot] = out["main"]
        else:
            out[slot] = material(kind, natural)
    return out
