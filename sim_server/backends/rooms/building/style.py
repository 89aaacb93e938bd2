"""Materials of the building: paints, wallpapers, floors, ceilings, doors, trim and ceiling lamps."""

from __future__ import annotations

from typing import NamedTuple, Sequence

from protocol.seeds import pick, rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.draw.kinds import Rgb
from sim_server.backends.rooms.draw.materials import Material, glowing, surface

TRIM = surface("plain", (214, 212, 206), (214, 212, 206), 1.0)
METAL = surface("plain", (140, 140, 142), (140, 140, 142), 1.0)
_FIXTURE = surface("plain", (255, 246, 226), (255, 246, 226), 1.0)
FIXTURE_GLOW = 1.6
LAMPS = ("dome", "globe", "drum", "panel")


def _tones(color: Rgb, spread: float) -> tuple[Rgb, Rgb]:
    """Two tones around a colour, sRGB."""
    red, green, blue = color
    low = (red - spread, green - spread, blue - spread)
    return low, (min(255.0, red + spread), min(255.0, green + spread), min(255.0, blue + spread))


def _plastered(*colors: Rgb) -> tuple[Material, ...]:
    """Each colour as smooth plaster, some also coarse or brushed."""
    out = [surface("plaster", *_tones(color, 11.0), 0.5) for color in colors]
    out += [surface("rough_plaster", *_tones(color, 15.0), 0.7) for color in colors[::3]]
    return (*out, *(surface("brushed", *_tones(color, 8.0), 0.4) for color in colors[1::3]))


_DOORS = (
    *(surface("plain", (222, 220, 214), (222, 220, 214), 1.0),) * 3,
    surface("wood", (196, 184, 166), (222, 212, 196), 1.2),
    surface("wood", (150, 112, 72), (184, 144, 98), 1.0),
    surface("wood", (92, 66, 46), (122, 88, 62), 1.0),
    surface("paint", (92, 104, 108), (98, 110, 114), 1.0),
)
_BLINDS = (
    surface("slats", (150, 150, 148), (232, 232, 228), 2.0),
    surface("slats", (96, 74, 52), (168, 134, 98), 2.0),
    surface("slats", (92, 96, 100), (150, 154, 158), 2.0),
)
_FLOORS = (
    surface("planks", (112, 84, 58), (178, 142, 104), 0.7),
    surface("planks", (142, 118, 90), (206, 182, 148), 0.7),
    surface("planks", (150, 142, 130), (206, 198, 186), 0.7),
    surface("planks", (96, 90, 86), (154, 148, 142), 0.7),
    surface("boards", (88, 66, 50), (140, 110, 84), 0.5),
    surface("boards", (74, 50, 36), (118, 84, 60), 0.5),
    surface("boards", (176, 162, 140), (224, 212, 192), 0.5),
    surface("herringbone", (122, 94, 64), (190, 156, 116), 0.9),
    surface("herringbone", (146, 122, 92), (212, 188, 152), 0.9),
    surface("herringbone", (74, 56, 46), (128, 100, 80), 0.9),
    surface("carpet", (138, 134, 128), (184, 180, 172), 1.2),
    surface("carpet", (162, 156, 146), (186, 180, 170), 2.0),
    surface("carpet", (104, 108, 118), (148, 152, 160), 2.0),
    surface("carpet", (62, 76, 98), (100, 114, 136), 2.0),
    surface("carpet", (94, 110, 98), (132, 146, 134), 2.0),
    surface("tiles", (150, 148, 142), (214, 210, 202), 0.45),
    surface("terrazzo", (104, 102, 100), (222, 220, 216), 0.8),
    surface("concrete", (120, 120, 120), (158, 158, 156), 0.4),
)
_WET_FLOORS = (
    surface("tiles", (128, 126, 122), (222, 220, 214), 0.6),
    surface("tiles", (86, 82, 78), (150, 144, 136), 0.6),
    surface("tiles", (132, 96, 74), (190, 140, 108), 0.7),
    surface("tiles", (168, 166, 160), (212, 206, 196), 0.45),
    surface("small_tiles", (112, 114, 116), (196, 200, 202), 0.6),
    surface("small_tiles", (52, 58, 64), (96, 104, 112), 0.6),
    surface("mosaic", (70, 112, 128), (170, 200, 206), 0.9),
    surface("hexagons", (120, 120, 118), (232, 230, 226), 0.8),
    surface("hexagons", (74, 92, 86), (150, 172, 162), 0.8),
    surface("checker", (52, 52, 54), (226, 224, 218), 0.8),
    surface("checker", (96, 112, 124), (222, 224, 222), 0.8),
    surface("cement_tiles", (216, 212, 204), (64, 88, 116), 1.2),
    surface("cement_tiles", (210, 204, 192), (122, 66, 54), 1.2),
    surface("terrazzo", (120, 118, 116), (232, 230, 226), 0.8),
)
_PAINTS = _plastered(
    (232, 231, 228), (222, 216, 204), (226, 227, 228), (206, 208, 208), (220, 212, 194), (214, 220, 222),
    (228, 224, 216), (196, 202, 200), (212, 206, 202), (202, 214, 206), (206, 212, 222), (218, 206, 204),
)  # fmt: skip
_ACCENTS = _plastered(
    (137, 151, 145), (76, 92, 84), (121, 137, 153), (52, 68, 92), (181, 143, 123), (195, 175, 137), (163, 149, 137),
    (187, 167, 163), (148, 176, 186), (86, 88, 94), (104, 126, 88), (120, 68, 66), (110, 98, 128), (196, 150, 76),
)  # fmt: skip
_PAPERS = (
    surface("stripes", (206, 204, 196), (172, 182, 190), 0.8),
    surface("stripes", (214, 206, 190), (188, 148, 128), 0.8),
    surface("stripes", (226, 226, 222), (150, 172, 160), 0.6),
    surface("damask", (196, 188, 172), (216, 208, 192), 0.9),
    surface("damask", (92, 108, 126), (132, 148, 164), 0.9),
    surface("damask", (120, 66, 66), (156, 98, 92), 0.8),
    surface("trellis", (222, 220, 214), (150, 166, 178), 1.1),
    surface("trellis", (64, 92, 92), (174, 178, 158), 1.1),
    surface("foliage", (226, 224, 214), (96, 128, 98), 0.8),
    surface("foliage", (44, 62, 62), (122, 150, 126), 0.7),
    surface("foliage", (228, 218, 212), (190, 128, 126), 0.9),
    surface("brick", (188, 184, 178), (218, 214, 208), 0.55),
    surface("brick", (92, 70, 60), (168, 98, 78), 0.55),
    surface("concrete", (140, 140, 140), (182, 182, 180), 0.4),
    surface("panelling", (202, 202, 198), (228, 228, 224), 0.6),
    surface("panelling", (104, 116, 112), (136, 148, 144), 0.6),
    surface("panelling", (112, 78, 52), (172, 126, 84), 0.6),
)
_TILED_WALLS = (
    surface("tiles", (188, 188, 184), (234, 233, 229), 0.8),
    surface("tiles", (140, 158, 156), (176, 194, 190), 1.2),
    surface("small_tiles", (176, 186, 188), (220, 226, 226), 0.9),
    surface("small_tiles", (196, 184, 168), (226, 216, 202), 0.9),
    surface("small_tiles", (70, 108, 124), (112, 152, 166), 0.9),
    surface("mosaic", (80, 130, 120), (190, 214, 206), 1.0),
    surface("hexagons", (176, 176, 176), (236, 236, 234), 1.0),
    surface("brick", (150, 152, 150), (232, 232, 228), 0.9),
)
_CEILINGS = (
    *(surface("plaster", (222, 222, 219), (238, 238, 235), 0.5),) * 3,
    surface("rough_plaster", (216, 216, 212), (240, 240, 236), 0.6),
    surface("plaster", (210, 206, 196), (226, 222, 212), 0.5),
    surface("panelling", (206, 206, 202), (232, 232, 228), 0.6),
    surface("panelling", (150, 112, 76), (204, 166, 122), 0.6),
    surface("concrete", (150, 150, 148), (186, 186, 184), 0.4),
)
# More floors and paints of the natural palette.
_MORE_FLOORS = (
    *_FLOORS,
    surface("planks", (120, 122, 124), (176, 178, 180), 0.7),
    surface("boards", (58, 58, 62), (96, 96, 100), 0.5),
    surface("planks", (190, 190, 188), (228, 228, 226), 0.7),
    surface("carpet", (112, 62, 70), (150, 94, 100), 2.0),
    surface("carpet", (70, 78, 84), (112, 122, 130), 2.0),
    surface("carpet", (196, 196, 196), (226, 226, 226), 2.0),
    surface("tiles", (178, 182, 186), (226, 230, 232), 0.45),
    surface("marble", (176, 178, 182), (236, 237, 240), 0.5),
)
_MORE_PAINTS = (
    *_PAINTS,
    *_plastered(
        (204, 214, 226), (190, 206, 214), (198, 212, 198), (214, 206, 222), (232, 234, 238), (184, 192, 206),
        (224, 228, 234), (178, 198, 190),
    ),
)  # fmt: skip
# Walls of the named palette: pale, so that no wall has the colour of an object.
_NAMED_ACCENTS, _NAMED_PAPERS = _PAINTS, (_PAPERS[3], _PAPERS[11], _PAPERS[13], _PAPERS[14])
_ACCENT, _PAPERED = 0.5, 0.35  # probabilities of a wall with another paint, and that it is papered instead
_ALL_PAPERED = 0.15  # of a room with one paper on every wall


class RoomStyle(NamedTuple):
    """Materials of one room; `accent` is the wall (0..3) with `accent_paint`, or -1; `lamp` and
    `fixture`: the shape of the ceiling lamp, and its glass."""

    floor: Material
    paint: Material
    accent: int
    accent_paint: Material
    ceiling: Material
    lamp: str
    fixture: Material


class Style(NamedTuple):
    """The materials of each room, and of all doors and blinds."""

    rooms: tuple[RoomStyle, ...]
    door: Material
    blind: Material


def make_style(spec: SceneSpec, kinds: list[str], lit: tuple[bool, ...], lamp_light: Sequence[float]) -> Style:
    """kinds: the category of each room; lit: whether its ceiling lamp is on; lamp_light: its colour, linear rgb."""
    rng = rng_for(spec.seed, "rooms", "style")
    named = spec.palette == "named"
    accents, papers = (_NAMED_ACCENTS, _NAMED_PAPERS) if named else (_ACCENTS, _PAPERS)
    floors, paints = (_FLOORS, _PAINTS) if named else (_MORE_FLOORS, _MORE_PAINTS)
    floor, base, lamp, ceiling = pick(floors, rng), pick(paints, rng), pick(LAMPS, rng), pick(_CEILINGS, rng)
    rooms, shining = [], glowing(_FIXTURE, lamp_light)._replace(glow=FIXTURE_GLOW)
    for kind, on in zip(kinds, lit):
        wet = kind in ("kitchen", "bathroom")
        paint = pick(paints, rng) if rng.random() < 0.4 else base
        accent, accent_paint = -1, pick(papers if rng.random() < _PAPERED else accents, rng)
        if kind == "bathroom":
            paint = pick(_TILED_WALLS, rng)
        elif kind != "hallway" and rng.random() < _ACCENT:
            accent = int(rng.integers(4))
        elif rng.random() < _ALL_PAPERED:
            paint = pick(papers, rng)
        own = pick(LAMPS, rng) if rng.random() < 0.4 else lamp
        under = pick(_WET_FLOORS, rng) if wet else pick(floors, rng) if rng.random() < 0.25 else floor
        rooms.append(RoomStyle(under, paint, accent, accent_paint, ceiling, own, shining if on else _FIXTURE))
    return Style(tuple(rooms), pick(_DOORS, rng), pick(_BLINDS, rng))
