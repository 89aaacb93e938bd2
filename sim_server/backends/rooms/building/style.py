"""Materials of the building: paints, floors, doors, trim and ceiling lamps."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from protocol.seeds import pick, rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.draw.materials import Material, surface

CEILING = surface("paint", (226, 226, 223), (236, 236, 233), 0.4)
TRIM = surface("plain", (214, 212, 206), (214, 212, 206), 1.0)
METAL = surface("plain", (140, 140, 142), (140, 140, 142), 1.0)
FIXTURE = surface("plain", (255, 246, 226), (255, 246, 226), 1.0)._replace(glow=1.6)
WOODEN_DOOR = surface("wood", (196, 184, 166), (222, 212, 196), 1.2)
_WHITE_DOOR = surface("plain", (222, 220, 214), (222, 220, 214), 1.0)
_OAK_DOOR = surface("wood", (150, 112, 72), (184, 144, 98), 1.0)
LAMPS = ("dome", "globe", "drum", "panel")

_FLOORS = (
    surface("planks", (112, 84, 58), (178, 142, 104), 0.7),
    surface("planks", (142, 118, 90), (206, 182, 148), 0.7),
    surface("boards", (88, 66, 50), (140, 110, 84), 0.5),
    surface("herringbone", (122, 94, 64), (190, 156, 116), 0.9),
    surface("carpet", (138, 134, 128), (184, 180, 172), 1.2),
    surface("carpet", (112, 112, 116), (158, 158, 160), 1.2),
)
_MORE_FLOORS = (
    *_FLOORS[:4],
    surface("planks", (150, 142, 130), (206, 198, 186), 0.7),
    surface("boards", (74, 50, 36), (118, 84, 60), 0.5),
    surface("herringbone", (146, 122, 92), (212, 188, 152), 0.9),
    surface("carpet", (162, 156, 146), (186, 180, 170), 2.6),
    surface("carpet", (120, 124, 132), (142, 146, 152), 2.6),
)
_WET_FLOORS = (
    surface("tiles", (128, 126, 122), (222, 220, 214), 0.6),
    surface("small_tiles", (112, 114, 116), (196, 200, 202), 0.6),
)
_MORE_WET_FLOORS = (
    *_WET_FLOORS,
    surface("tiles", (86, 82, 78), (150, 144, 136), 0.6),
    surface("tiles", (132, 96, 74), (190, 140, 108), 0.7),
    surface("tiles", (168, 166, 160), (212, 206, 196), 0.45),
)
_WALLS = (
    surface("paint", (206, 200, 188), (226, 221, 210), 0.4),
    surface("paint", (196, 198, 198), (216, 218, 218), 0.4),
    surface("paint", (214, 204, 184), (232, 224, 206), 0.4),
    surface("paint", (186, 192, 190), (206, 212, 210), 0.4),
    surface("paint", (204, 196, 190), (222, 216, 211), 0.4),
)
_ACCENTS = (
    surface("paint", (132, 146, 140), (142, 156, 150), 0.4),  # sage
    surface("paint", (116, 132, 148), (126, 142, 158), 0.4),  # slate blue
    surface("paint", (176, 138, 118), (186, 148, 128), 0.4),  # terracotta
    surface("paint", (190, 170, 132), (200, 180, 142), 0.4),  # ochre
    surface("paint", (158, 144, 132), (168, 154, 142), 0.4),  # taupe
    surface("paint", (182, 162, 158), (192, 172, 168), 0.4),  # dusty pink
)
_TILED_WALLS = (
    surface("tiles", (188, 188, 184), (234, 233, 229), 0.8),
    surface("small_tiles", (176, 186, 188), (220, 226, 226), 0.9),
)
_MORE_TILED_WALLS = (
    *_TILED_WALLS,
    surface("tiles", (140, 158, 156), (176, 194, 190), 1.2),
    surface("small_tiles", (196, 184, 168), (226, 216, 202), 0.9),
)


class RoomStyle(NamedTuple):
    """Materials of one room; `accent` is the wall (0..3) painted with `accent_paint`, or -1."""

    floor: Material
    paint: Material
    accent: int
    accent_paint: Material
    lamp: str


class Style(NamedTuple):
    """The materials of each room, and of all doors.

    With `frames`, doors and windows have flat casings, which stay sharp in small images; without, the rounded bars of
    the plain rooms on which the shipped model was trained.
    """

    rooms: tuple[RoomStyle, ...]
    door: Material
    frames: bool


def is_plain(spec: SceneSpec) -> bool:
    """Whether a scene is a single room of the named palette.

    The shipped model was trained on such rooms, so that their pixels must not change.
    """
    return spec.rooms == 1 and spec.palette == "named"


def make_style(spec: SceneSpec, kinds: list[str], rng: np.random.Generator) -> Style:
    """`kinds`: the category of each room; `rng`: the stream for materials, which only plain rooms use."""
    if is_plain(spec):
        return _plain_style(rng)
    rng = rng_for(spec.seed, "rooms", "style")
    floor = pick(_MORE_FLOORS, rng)
    base, lamp = pick(_WALLS, rng), pick(LAMPS, rng)
    rooms = []
    for kind in kinds:
        wet = kind in ("kitchen", "bathroom")
        paint = pick(_WALLS, rng) if rng.random() < 0.4 else base
        accent, accent_paint = -1, pick(_ACCENTS, rng)
        if kind == "bathroom":
            paint = pick(_MORE_TILED_WALLS, rng)
        elif kind != "hallway" and rng.random() < 0.5:
            accent = int(rng.integers(4))
        own = pick(LAMPS, rng) if rng.random() < 0.4 else lamp
        rooms.append(RoomStyle(pick(_MORE_WET_FLOORS, rng) if wet else floor, paint, accent, accent_paint, own))
    door = pick((_WHITE_DOOR, _WHITE_DOOR, WOODEN_DOOR, _OAK_DOOR), rng)
    return Style(tuple(rooms), door, True)


def _plain_style(rng: np.random.Generator) -> Style:
    floor, paint = pick(_FLOORS, rng), pick(_WALLS, rng)
    return Style((RoomStyle(floor, paint, -1, paint, "dome"),), WOODEN_DOOR, False)
