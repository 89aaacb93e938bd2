"""The basic colour word of an object in the natural palette, if people would agree on one.

A word fits a material if its colour is well inside the region that the word covers in CIE LCh (D65), and an object if
it fits nearly all of its surface. Between the regions no word is given: teal, cream, salmon, light grey, pale wood.
"""

from __future__ import annotations

import math
from typing import Mapping, NamedTuple, Sequence

from sim_server.backends.rooms.draw.kinds import Rgb
from sim_server.backends.rooms.draw.materials import Material
from sim_server.backends.rooms.mesh import Part, cross, lengths

_MOST = 0.75  # the least part of the surface that has the word
_PLAIN = 30.0  # the most that the two colours of a pattern differ, CIE76
_FROM_LINEAR = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)  # linear sRGB to XYZ, IEC 61966-2-1; plain numbers are faster than arrays here
_WHITE_XYZ = tuple(map(sum, _FROM_LINEAR))
_CUBIC = (6 / 29) ** 3  # where CIE L*a*b* changes from linear to cubic


class _Region(NamedTuple):
    """Ranges of lightness, chroma, and hue in degrees, which may go around 360."""

    word: str
    lightness: tuple[float, float]
    chroma: tuple[float, float]
    hue_deg: tuple[float, float] = (0.0, 360.0)


_REGIONS = (
    _Region("white", (89.0, 101.0), (0.0, 6.0)),
    _Region("black", (0.0, 19.0), (0.0, 6.0)),
    _Region("grey", (40.0, 64.0), (0.0, 3.0)),
    _Region("red", (24.0, 52.0), (42.0, 120.0), (14.0, 42.0)),
    _Region("orange", (56.0, 78.0), (52.0, 120.0), (52.0, 70.0)),
    _Region("yellow", (68.0, 95.0), (48.0, 120.0), (80.0, 102.0)),
    _Region("green", (24.0, 72.0), (24.0, 120.0), (118.0, 172.0)),
    _Region("blue", (22.0, 62.0), (24.0, 130.0), (255.0, 306.0)),
    _Region("purple", (22.0, 56.0), (24.0, 130.0), (312.0, 338.0)),
    _Region("pink", (62.0, 86.0), (20.0, 60.0), (345.0, 382.0)),
    _Region("brown", (22.0, 46.0), (18.0, 44.0), (50.0, 74.0)),
)


def lab(linear_rgb: Rgb) -> Rgb:
    """CIE L*a*b* (D65) of linear sRGB in 0..1."""
    ratios = (sum(a * b for a, b in zip(row, linear_rgb)) / white for row, white in zip(_FROM_LINEAR, _WHITE_XYZ))
    x, y, z = (r ** (1 / 3) if r > _CUBIC else r * (29 / 6) ** 2 / 3 + 4 / 29 for r in ratios)
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def word_of(own: Material) -> str:
    """The colour word of a material, or ""."""
    (r0, g0, b0), (r1, g1, b1) = own.low, own.high
    lightness, a, b = lab(((r0 + r1) / 2, (g0 + g1) / 2, (b0 + b1) / 2))
    chroma, hue_deg = math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360
    for word, (dark, light), (dull, vivid), (start, end) in _REGIONS:
        around = start <= hue_deg <= end or start <= hue_deg + 360 <= end
        if dark <= lightness <= light and dull <= chroma <= vivid and around:
            plain = math.dist(lab(own.low), lab(own.high)) <= _PLAIN
            return word if plain and not own.glow else ""
    return ""


def object_word(parts: Sequence[tuple[Part, str]], materials: Mapping[str, Material]) -> str:
    """The colour word of a model in these materials, or ""; faces that look down do not count."""
    words = {slot: word_of(own) for slot, own in materials.items()}
    if not any(words.values()):
        return ""
    areas = dict.fromkeys(words.values(), 0.0)
    for part, slot in parts:
        areas[words[slot]] += _area_seen(part)
    word = max(areas, key=lambda each: areas[each])
    return word if areas[word] >= _MOST * sum(areas.values()) else ""


def _area_seen(part: Part) -> float:
    """The area of a part in m2 without faces that look down."""
    a = part.positions[part.faces[:, 0]]
    normal = cross(part.positions[part.faces[:, 1]] - a, part.positions[part.faces[:, 2]] - a)
    area = lengths(normal)[:, 0]
    return float(area[normal[:, 1] > -0.5 * area].sum()) / 2
