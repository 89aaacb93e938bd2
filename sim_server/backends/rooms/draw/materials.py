"""Materials, and those of a model's slots under each palette."""

from __future__ import annotations

from typing import NamedTuple, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.seeds import pick
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.kinds import ALTERNATIVES, KINDS, Rgb

# sRGB 0..255; six hues that remain distinct under warm and cold light.
NAMED_COLORS: dict[str, Rgb] = {
    "red": (205, 32, 36),
    "green": (38, 150, 55),
    "blue": (35, 75, 205),
    "yellow": (240, 208, 30),
    "purple": (128, 42, 160),
    "orange": (242, 118, 14),
}

# In the named palette these kinds are grey, so that an object has only one colour.
_PLAIN_BOOKS: dict[str, Rgb] = {"book_a": (120, 116, 112), "book_b": (196, 192, 184), "book_c": (78, 76, 76)}
PAINT_CONTRAST = 0.5  # contrast of painted relative to bare material
MATCHING = 0.7  # probability that legs and doors have the same wood as the rest, natural palette
SECOND_SHADE = 0.62  # linear brightness of the "second" slot relative to the main colour, named palette
_SHADES, _TINT = (0.85, 1.0, 1.15), 0.05  # of one colour between objects, linear, natural palette
_PALE = 0.55
_LAMP_KINDS = ("shade", "glow")  # they glow together, or not at all


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


def material(kind_name: str, color_srgb: Rgb, shade: Sequence[float] = (1.0,), contrast: float = 1.0) -> Material:
    """A material whose pattern blends two shades of one colour, which is multiplied by `shade`, linear."""
    kind = KINDS[kind_name]
    base = np.minimum(linear(color_srgb) * shade, 0.9)
    if base.min() > _PALE:  # white paint covers the grain
        contrast *= 0.3
    return _blend(kind_name, base * (1 - kind.contrast * contrast), base * (1 + kind.contrast * contrast))


def _blend(kind_name: str, low: NDArray[np.float64], high: NDArray[np.float64]) -> Material:
    kind = KINDS[kind_name]
    high = np.minimum(high, 1.0)
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


def painted_materials(kinds: dict[str, str], color: str) -> dict[str, Material]:
    """The materials of a model's slots in the named palette, painted in `color`."""
    out: dict[str, Material] = {}
    for slot, kind in kinds.items():
        if slot == "main":
            out[slot] = material(kind, NAMED_COLORS[color], contrast=PAINT_CONTRAST)
        elif slot == "second":
            out[slot] = material(kind, NAMED_COLORS[color], (SECOND_SHADE,), PAINT_CONTRAST)
        else:
            out[slot] = material(kind, _PLAIN_BOOKS.get(kind, KINDS[kind].colors[0]))
    return out


def natural_materials(
    kinds: dict[str, str], lit: float, lamp: Sequence[float], rng: np.random.Generator
) -> dict[str, Material]:
    """The materials of a model's slots in the natural palette.

    lit: the probability that a lamp is on; lamp: the colour of its light, linear rgb.
    """
    glows = rng.random() < lit
    chosen = {kind: pick(ALTERNATIVES.get(kind, (kind,)), rng) for kind in dict.fromkeys(kinds.values())}
    out: dict[str, Material] = {}
    for slot, name in kinds.items():
        if slot == "second" and name == kinds["main"] and rng.random() < MATCHING:
            out[slot] = out["main"]
            continue
        own = _natural(chosen[name], rng)
        if name in _LAMP_KINDS:
            own = glowing(own, lamp) if glows else own._replace(glow=0.0)
        out[slot] = own
    return out


def glowing(own: Material, light: Sequence[float]) -> Material:
    """A material of a lamp that emits light of this colour, linear rgb."""
    low, high = np.multiply(own.low, light), np.multiply(own.high, light)
    return own._replace(
        low=(float(low[0]), float(low[1]), float(low[2])), high=(float(high[0]), float(high[1]), float(high[2]))
    )


def _natural(kind_name: str, rng: np.random.Generator) -> Material:
    """One of the kind's colours, a little lighter or darker and tinted."""
    kind = KINDS[kind_name]
    shade = pick(_SHADES, rng) * np.exp(rng.normal(0, _TINT, 3))
    color = pick(kind.colors, rng)
    if kind.others:
        return _blend(kind_name, linear(color) * shade, linear(pick(kind.others, rng)) * shade)
    return material(kind_name, color, shade.tolist())
